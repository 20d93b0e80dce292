"""kill -9 at random moments of a run with a paid teacher: nothing is lost, nothing is paid for twice."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors import safe_open

from fake_endpoint import Call, Server
from killing import start
from l2r_lite.loop.config import LoopConfig
from same_run import assert_same_run

KILLS = 60 if "SOAK" in os.environ else 6
AT_ONCE = 4  # calls to the teacher


async def teach(call: Call) -> None:
    """The same question and mistake, the same lessons: what a paid teacher's cache makes of it."""
    await call.teach_well()


@pytest.fixture(scope="module")
def config(tiny_config: LoopConfig) -> LoopConfig:
    return tiny_config.with_(teacher="openai:m", concurrency=AT_ONCE, exam_rows=12)


@pytest.fixture(scope="module")
def undisturbed(config: LoopConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, float]:
    """An undisturbed run, how many touches of files it took, and how many seconds of the processor."""
    place = tmp_path_factory.mktemp("undisturbed")
    with Server(teach, latency=0.02) as server:
        mine = config.with_(base_url=server.url, teacher_cache=str(place / "replies.jsonl"))
        start(mine, place / "warm", told=place / "told.json").join()  # the fork server has to import everything first
        shutil.rmtree(place / "warm")
        (place / "replies.jsonl").unlink()
        process = start(mine, place / "run", told=place / "told.json")
        process.join()
    told = json.loads((place / "told.json").read_text())
    assert process.exitcode == 0 and told["error"] == ""
    return place / "run", told["events"], told["seconds"]


def names(out: Path) -> set[str]:
    return {str(f.relative_to(out)) for f in out.rglob("*")}


def reached(out: Path) -> str:
    """The stage in which a run was killed."""
    for number in (2, 1, 0):
        place = out / f"round-{number}"
        stages = ("validation", "exam", "lessons", "adapter", "test") if number else ("adapter", "validation", "test")
        done = [s for s in stages if (place / s).exists() or (place / f"{s}.jsonl").exists()]
        if done:
            return f"{number}: after {done[-1]}"
    return "start"


def kill_after(process: Any, seconds: float) -> bool:
    """Kill a process once it has had so many seconds of the processor, other work on this machine apart; whether it died."""
    watched = psutil.Process(process.pid)
    with suppress(psutil.NoSuchProcess):
        while process.is_alive() and sum(watched.cpu_times()[:2]) < seconds:
            time.sleep(0.003)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def moments() -> list[tuple[int, str]]:
    return [(seed, "at a file" if seed % 2 else "at a time") for seed in range(KILLS)]


SEEN: Counter[str] = Counter()


@pytest.mark.parametrize(("seed", "kind"), moments())
def test_a_run_killed_at_a_random_moment_and_resumed_ends_as_an_undisturbed_one(
    seed: int, kind: str, config: LoopConfig, undisturbed: tuple[Path, int, float], tmp_path: Path
) -> None:
    whole, events, seconds = undisturbed
    # One moment out of each of KILLS equal parts of the run, so that all stages have their share.
    moment = (seed // 2 + random.Random(seed).random()) / ((KILLS + 1) // 2)
    out, told = tmp_path / "run", tmp_path / "told.json"
    with Server(teach, latency=0.02) as server:
        mine = config.with_(base_url=server.url, teacher_cache=str(tmp_path / "replies.jsonl"))
        process = start(mine, out, die_at=1 + int(moment * (events - 1)) if kind == "at a file" else 0)
        while kind == "at a time" and not kill_after(process, moment * seconds):
            moment *= 0.8  # it took less time than the undisturbed run and was done before: once more, and earlier
            shutil.rmtree(out)
            (tmp_path / "replies.jsonl").unlink()
            server.calls.clear()
            process = start(mine, out)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        SEEN[reached(out)] += 1
        process = start(mine, out, told=told)
        process.join()
        asked = Counter(json.dumps(call, sort_keys=True) for call in server.calls)
    assert process.exitcode == 0 and json.loads(told.read_text())["error"] == ""
    assert_same_run(out, whole)
    assert names(out) == names(whole)
    digests = [json.loads((o / "seals.json").read_text())["sha256"] for o in (out, whole)]
    assert {k: d for k, d in digests[0].items() if "feedback" not in k} == {
        k: d for k, d in digests[1].items() if "feedback" not in k  # which tells what was paid in this start
    }
    assert sum(count - 1 for count in asked.values()) <= AT_ONCE, "a lesson was paid twice that was not in flight"


@pytest.mark.skipif("SOAK" not in os.environ, reason="six kills do not reach every stage; make soak has sixty")
def test_the_kills_reached_every_stage() -> None:
    print(dict(sorted(SEEN.items())))
    assert len(SEEN) >= 9, SEEN


def test_whoever_reads_during_a_run_sees_whole_files_only(config: LoopConfig, tmp_path: Path) -> None:
    out, read = tmp_path / "run", Counter[str]()
    with Server(teach) as server:
        process = start(config.with_(base_url=server.url, teacher_cache=str(tmp_path / "replies.jsonl")), out)
        while process.is_alive():
            patterns = ("*.json", "*/*.json", "*/*.jsonl", "*/adapter/*.safetensors", "student/*.safetensors")
            for file in [f for pattern in patterns for f in out.glob(pattern) if not f.name.startswith(".")]:
                try:
                    if file.suffix == ".safetensors":
                        with safe_open(file, "pt") as weights:
                            assert all(weights.get_tensor(name).numel() for name in weights.keys())  # noqa: SIM118
                    elif file.suffix == ".json":
                        assert json.loads(file.read_text())
                    else:
                        text = file.read_text()
                        assert not text or text.endswith("\n")
                        [json.loads(line) for line in text.splitlines()]
                except FileNotFoundError:
                    continue  # it was listed, and moved or removed before it was opened
                read[file.suffix] += 1
        process.join()
    assert process.exitcode == 0 and min(read.values()) > 5 and len(read) == 3
