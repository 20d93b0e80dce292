"""The real teacher in the whole loop: a process of its own, a server on loopback, a planted key, a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_endpoint import Call, Server

from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.data.pocket.world import make_problems
from l2r_lite.loop.records import Problem

KEY = "sk-planted-8f14e45fceea167a5a36dedd4bea2543"
SMALL = ["--rounds", "1", "--limit", "34", "--validation-limit", "17", "--test-limit", "17", "--samples", "1", "--epochs", "1"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def problems() -> dict[str, Problem]:
    return {p.question: p for p in make_problems("train", 34)}


def command(server: Server, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "l2r_lite", "run", *SMALL, "--teacher", "openai:m", "--base-url", server.url,
            "--teacher-cache", str(out.parent / "replies.jsonl"), "--out", str(out), *more]  # fmt: skip


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "L2R_API_KEY": KEY, "OPENAI_API_KEY": KEY}


def good_teacher(problems: dict[str, Problem]):  # noqa: ANN201
    async def handler(call: Call) -> None:
        problem = problems[call.data["question"]]
        await call.teach(write_rationale(problem, 0), write_rationale(problem, 1))

    return handler


def test_a_run_with_a_real_endpoint_teaches_and_writes_the_key_nowhere(tmp_path: Path, problems: dict[str, Problem]) -> None:
    out = tmp_path / "run"
    with Server(good_teacher(problems)) as server:
        done = subprocess.run(command(server, out), capture_output=True, text=True, env=environment(), timeout=300)
        assert done.returncode == 0, done.stderr
        assert set(server.keys) == {f"Bearer {KEY}"}
        (_, entry) = json.loads((out / "report.json").read_text())["rounds"]
        assert entry["teacher_calls"] == server.count > 5
        assert entry["lessons"] == 2 * server.count and entry["rejected"] == 0 and entry["without_lesson"] == {}
        assert entry["teacher_cost_so_far"]["calls"] == server.count
        assert "wrong_rationale" in server.calls[0]["messages"][1]["content"]

        again = subprocess.run(command(server, tmp_path / "again"), capture_output=True, text=True, env=environment(),
                               timeout=300)  # fmt: skip
        assert again.returncode == 0 and entry["teacher_calls"] == server.count  # the second run asked nothing
    written = [f for f in tmp_path.rglob("*") if f.is_file()]
    assert len(written) > 20
    assert not [f for f in written if KEY.encode() in f.read_bytes()]
    assert KEY not in done.stdout + done.stderr + again.stdout + again.stderr


def test_a_refused_key_ends_in_one_sentence_without_the_key(tmp_path: Path) -> None:
    async def refuse(call: Call) -> None:
        await call.error("401 Unauthorized", f"Incorrect API key provided: {KEY}.")

    with Server(refuse) as server:
        done = subprocess.run(command(server, tmp_path / "run"), capture_output=True, text=True, env=environment(), timeout=300)
    assert done.returncode == 2 and "the key is refused (401)" in done.stderr and "Traceback" not in done.stderr
    assert KEY not in done.stdout + done.stderr


def test_a_run_killed_while_the_teacher_speaks_pays_for_nothing_twice(tmp_path: Path, problems: dict[str, Problem]) -> None:
    out, cache = tmp_path / "run", tmp_path / "replies.jsonl"
    with Server(good_teacher(problems), latency=0.3) as server:
        first = subprocess.Popen(command(server, out, "--concurrency", "1"), env=environment(), stderr=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL)  # fmt: skip
        deadline = time.monotonic() + 200
        while not (cache.exists() and cache.read_bytes().count(b"\n") >= 6):
            assert time.monotonic() < deadline and first.poll() is None
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert not (out / "round-1" / "lessons.jsonl").exists()
        done = subprocess.run(command(server, out), capture_output=True, text=True, env=environment(), timeout=300)
        assert done.returncode == 0, done.stderr
        asked = [json.loads(c["messages"][1]["content"])["question"] for c in server.calls]
    (_, entry) = json.loads((out / "report.json").read_text())["rounds"]
    assert len(set(asked)) == entry["teacher_calls"]
    assert len(asked) - len(set(asked)) <= 1  # the call that was on its way when the process was killed
