"""One seed decides everything: batch size, resuming and a teacher's pace change no answer."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from fake_endpoint import Call, Server
from test_rounds import assert_same_run

from l2r_lite.loop.config import LoopConfig
from l2r_lite.runs.run import run_rounds


@pytest.fixture(scope="module")
def config() -> LoopConfig:
    """The pocket student, which knows something: its answers are words, not noise."""
    return LoopConfig(limit=20, validation_limit=9, test_limit=9, rounds=2, samples=2, epochs=1, batch_size=16, exam_rows=24,
                      reflection_weight=0.5)  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(config: LoopConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    run_rounds(config, out, progress=False)
    return out


@pytest.mark.parametrize("rows", [7, 4096])
def test_another_batch_size_in_exams_gives_the_same_answers_and_weights(
    rows: int, config: LoopConfig, undisturbed: Path, tmp_path: Path
) -> None:
    run_rounds(config.with_(exam_rows=rows), tmp_path / "run", progress=False)
    assert_same_run(tmp_path / "run", undisturbed)


def test_a_batch_size_changed_midway_gives_the_same_answers(config: LoopConfig, undisturbed: Path, tmp_path: Path) -> None:
    calls = iter(range(10**6))
    run_rounds(config, tmp_path / "run", progress=False, stop=lambda: next(calls) > 4)
    run_rounds(config.with_(exam_rows=14), tmp_path / "run", progress=False)
    assert_same_run(tmp_path / "run", undisturbed)


def test_a_teachers_replies_in_another_order_give_the_same_run(config: LoopConfig, tmp_path: Path) -> None:
    """Eight calls at once, each as slow as chance will have it; two mistakes a question, whose lessons repeat each other."""
    rng = random.Random(0)

    async def at_its_own_pace(call: Call) -> None:
        await asyncio.sleep(rng.random() * 0.05)
        await call.teach_well()

    for number in range(2):
        with Server(at_its_own_pace) as server:
            mine = config.with_(
                teacher="openai:m", base_url=server.url, mistakes_per_question=2, samples=3,
                teacher_cache=str(tmp_path / f"replies-{number}"),
            )  # fmt: skip
            run_rounds(mine, tmp_path / f"run-{number}", progress=False)
    assert_same_run(tmp_path / "run-1", tmp_path / "run-0")
