"""One seed determines everything: batch size, resuming and the teacher's speed change no answer."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from fake_endpoint import Call, Server
from l2r_lite.loop.config import LoopConfig
from same_run import assert_same_run, run


@pytest.fixture(scope="module")
def pocket() -> LoopConfig:
    """The pocket student, which knows something: its answers are words, not noise."""
    return LoopConfig(limit=20, validation_limit=9, test_limit=9, rounds=1, samples=2, epochs=1, batch_size=16, exam_rows=24,
                      reflection_weight=0.5)  # fmt: skip


def test_another_batch_size_in_exams_from_the_start_or_midway_gives_the_same_answers_and_weights(
    pocket: LoopConfig, tiny_config: LoopConfig, finished_run: Path, tmp_path: Path
) -> None:
    run(pocket, tmp_path / "pocket")
    of_pocket = tmp_path / "pocket"
    for config, rows, whole in ((pocket, 7, of_pocket), (tiny_config, 7, finished_run), (tiny_config, 4096, finished_run)):
        out, calls = tmp_path / f"{config.limit}-{rows}", iter(range(10**6))
        run(config.with_(exam_rows=rows), out)
        assert_same_run(out, whole)
        midway = tmp_path / f"{config.limit}-{rows}-midway"
        stopped = run(config, midway, stop=lambda calls=calls: next(calls) > 60)
        assert stopped["stopped"] == "user"
        run(config.with_(exam_rows=rows), midway)
        assert_same_run(midway, whole)


def test_a_teachers_replies_in_another_order_give_the_same_run(tiny_config: LoopConfig, tmp_path: Path) -> None:
    """Eight calls at once, each as slow as chance will have it; two mistakes a question, whose lessons repeat each other."""
    rng = random.Random(0)

    async def at_its_own_pace(call: Call) -> None:
        await asyncio.sleep(rng.random() * 0.05)
        await call.teach_well()

    for number in range(2):
        with Server(at_its_own_pace) as server:
            mine = tiny_config.with_(
                teacher="openai:m", base_url=server.url, mistakes_per_question=2, samples=3,
                teacher_cache=str(tmp_path / f"replies-{number}"),
            )  # fmt: skip
            run(mine, tmp_path / f"run-{number}")
    assert_same_run(tmp_path / "run-1", tmp_path / "run-0")
