"""The real teacher in the whole loop, from the command line: a server on loopback and a planted key. Kills: test_kill.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_endpoint import Call, Server
from l2r_lite.app.cli import main
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.records import Problem
from l2r_lite.loop.runfolder import read_lines
from same_run import flags, read_report

KEY = "sk-planted-8f14e45fceea167a5a36dedd4bea2543"


@pytest.fixture
def config(tiny_config: LoopConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoopConfig:
    for name in ("L2R_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, KEY)
    return tiny_config.with_(rounds=1, max_new_tokens=64, teacher="openai:m", teacher_cache=str(tmp_path / "replies.jsonl"))


def test_a_run_with_a_real_endpoint_teaches_asks_once_and_writes_the_key_nowhere(
    config: LoopConfig, tmp_path: Path, finished_run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    problems = {p.question: p for p in read_lines(finished_run / "problems" / "train.jsonl", Problem)}

    async def good_teacher(call: Call) -> None:
        problem = problems[call.data["question"]]
        await call.teach(write_rationale(problem, 0), write_rationale(problem, 1))

    with Server(good_teacher) as server:
        mine = config.with_(base_url=server.url)
        assert main(flags(mine, tmp_path / "run")) == 0
        entry = read_report(tmp_path / "run")["rounds"][1]
        assert entry["lessons"] == 2 * entry["teacher_calls"] > 0
        assert entry["rejected"] == 0 and entry["without_lesson"] == {}
        assert entry["teacher_cost_so_far"]["calls"] == server.count == entry["teacher_calls"]
        assert "wrong_rationale" in server.calls[0]["messages"][1]["content"]
        assert set(server.keys) == {f"Bearer {KEY}"}
        assert main(flags(mine, tmp_path / "again")) == 0
        assert server.count == entry["teacher_calls"], "the second run asked again for what is in the cache"
    written = [f for f in tmp_path.rglob("*") if f.is_file()]
    assert len(written) > 20
    assert not [f for f in written if KEY.encode() in f.read_bytes()]
    assert KEY not in "".join(capfd.readouterr())


def test_a_refused_key_ends_in_one_sentence_without_the_key(
    config: LoopConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def refuse(call: Call) -> None:
        await call.error("401 Unauthorized", f"Incorrect API key provided: {KEY}.")

    with Server(refuse) as server:
        assert main(flags(config.with_(base_url=server.url), tmp_path / "run")) == 2
    out, err = capfd.readouterr()
    assert "the key is refused (401)" in err and "Traceback" not in err
    assert KEY not in out + err


def test_an_endpoint_that_fails_pauses_the_run_and_a_later_start_resumes_it(
    config: LoopConfig, tmp_path: Path, finished_run: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = {p.question: p for p in read_lines(finished_run / "problems" / "train.jsonl", Problem)}
    monkeypatch.setattr("l2r_lite.teachers.endpoint.PAUSE", 0.01)

    async def overloaded(call: Call) -> None:
        await call.error("504 Gateway Timeout", "upstream timed out")

    async def good_teacher(call: Call) -> None:
        await call.teach(write_rationale(problems[call.data["question"]], 0))

    with Server(overloaded) as server:
        mine = config.with_(base_url=server.url, lessons=1, price="1,2", budget=0.5)
        assert main(flags(mine, tmp_path / "run")) == 2
        said = capfd.readouterr().err
        assert "the first 5 questions brought no rationale" in said and "server error (504)" in said
        assert server.count == 30, "three attempts each, with a schema and without"
        server.handler = good_teacher
        assert main(["run", "--resume", str(tmp_path / "run")]) == 0
    entry = read_report(tmp_path / "run")["rounds"][1]
    assert entry["lessons"] == entry["teacher_calls"] > 0
    cost = entry["teacher_cost_so_far"]
    assert cost["assumed"] == 0 and 0 < cost["dollars"] < 0.5 and cost["lost"] == 0
