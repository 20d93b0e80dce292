"""Logs of runs: made from a run folder, read back, and refused where they could mislead."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from l2r_course.research import evidence
from l2r_course.research.evidence import EvidenceError, Run
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.runfolder import write_lines
from l2r_lite.runs.run import run_rounds


def run(arm: str = "tailored", seed: int = 0, test: tuple[str, ...] = ("0101", "0111")) -> Run:
    config = LoopConfig(seed=seed, reflection_weight=0.5 * (arm == "reflection")).to_json()
    return Run(arm, seed, config, "4 · abc", test, (0.5, 0.75), 1, {"cores": 2}, "b00d959", "2026-11-23", 12.5)


def test_a_log_gives_back_what_was_kept_sorted_and_without_repetition(tmp_path: Path) -> None:
    log = tmp_path / "pocket.jsonl"
    for one in (run("reflection", 1), run("tailored", 1), run("tailored", 0), run("tailored", 1, ("0101", "1111"))):
        evidence.keep(one, log)
    found = evidence.read_runs(tmp_path)
    assert list(found) == ["pocket"]
    assert found["pocket"] == [run("tailored", 0), run("tailored", 1, ("0101", "1111")), run("reflection", 1)]
    assert len(log.read_text(encoding="utf-8").splitlines()) == 3


def test_a_run_folder_becomes_a_line_with_every_test_answer(tmp_path: Path) -> None:
    config = LoopConfig(rounds=0, limit=17, validation_limit=17, test_limit=17, prompt="plain")
    report = run_rounds(config, tmp_path / "run", progress=False)
    made = evidence.from_folder(tmp_path / "run", "untrained", "b00d959")
    assert (made.arm, made.seed, made.config, made.kept, made.commit) == ("untrained", 0, config.to_json(), 0, "b00d959")
    assert made.questions.startswith("17 · ") and [len(t) for t in made.test] == [17]
    assert made.correct().mean() == pytest.approx(report["accuracy"], abs=1e-4)
    assert made.validation == (report["rounds"][0]["validation_accuracy"],) and made.environment == report["environment"]
    evidence.keep(made, tmp_path / "log.jsonl")
    assert evidence.read_runs(tmp_path) == {"log": [made]}


def test_a_log_names_files_without_the_folders_they_lay_in(tiny_folder: Path, tmp_path: Path) -> None:
    rows = [{"question": f"What is {n} + 1?", "answer": n + 1, "split": split}
            for n, split in enumerate(("train", "validation", "test"))]  # fmt: skip
    write_lines(tmp_path / "mine.jsonl", rows)
    write_lines(tmp_path / "gpt4.jsonl", [{"question": rows[0]["question"], "rationale": "The answer is 1."}])
    config = LoopConfig(
        student=str(tiny_folder), problems=str(tmp_path / "mine.jsonl"), data_dir=str(tmp_path), rounds=0, max_new_tokens=8,
        teacher=f"recorded:{tmp_path / 'gpt4.jsonl'}", teacher_cache=str(tmp_path / "replies.jsonl"),
    )  # fmt: skip
    run_rounds(config, tmp_path / "run", progress=False)
    kept = evidence.from_folder(tmp_path / "run", "untrained").config
    assert (kept["student"], kept["problems"], kept["data_dir"]) == (tiny_folder.name, "mine.jsonl", tmp_path.name)
    assert (kept["teacher"], kept["teacher_cache"]) == ("recorded:gpt4.jsonl", "replies.jsonl")
    assert "/" not in json.dumps(kept)


def test_without_logs_nothing_is_read_and_the_table_says_so(tmp_path: Path) -> None:
    assert evidence.read_runs(tmp_path / "nowhere") == {} == evidence.read_runs(tmp_path)
    told = repr(evidence.what_is_there([run("tailored", 3), run("tailored", 0)]))
    assert "2 (0, 3)" in told and told.count("no run here") == len(evidence.ARMS) - 1


def line(**changes: object) -> str:
    data = json.loads(json.dumps(run().__dict__)) | changes
    return json.dumps({k: v for k, v in data.items() if v is not None}) + "\n"


def test_a_line_that_would_mislead_is_refused_with_its_place(tmp_path: Path) -> None:
    for text, told in [
        (line(test=None, kept=None), "line 1: no field test, kept"),
        (line() + line(), "line 2: the arm tailored with seed 0 is already in this log"),
        (line(arm="reflexion"), 'line 1: no arm is called "reflexion".* Did you mean "reflection"'),
        (line() + line(seed=1, questions="5 · def"), "line 2: this run has other test questions"),
    ]:
        (tmp_path / "log.jsonl").write_text(text, encoding="utf-8")
        with pytest.raises(EvidenceError, match=told):
            evidence.read_runs(tmp_path)


def test_fields_of_a_later_version_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(line(gpu_hours=3), encoding="utf-8")
    assert evidence.read_runs(tmp_path)["log"] == [run()]


def test_pairs_are_runs_of_one_seed_after_the_round_asked_for() -> None:
    runs = [run(seed=2), run(seed=0), run("reflection", 2, ("1111", "0000")), replace(run("reflection", 5), kept=0)]
    seeds, tailored, reflection = evidence.paired(runs, "tailored", "reflection")
    assert (seeds, tailored.tolist(), reflection.tolist()) == ([2], [[0, 1, 1, 1]], [[0, 0, 0, 0]])
    assert evidence.paired(runs, "tailored", "reflection", after=0)[2].tolist() == [[1, 1, 1, 1]]
    assert np.array_equal(runs[3].correct(), [0, 1, 0, 1]) and np.array_equal(runs[3].correct(-1), [0, 1, 1, 1])
    with pytest.raises(EvidenceError, match="no seed in common"):
        evidence.paired(runs[1:], "tailored", "reflection")


def test_what_two_arms_differ_in_is_told_without_the_seed() -> None:
    assert evidence.what_differs([run(), run("reflection", 1)], "tailored", "reflection") == {"reflection_weight": (0.0, 0.5)}


def test_the_knobs_of_an_arm_are_knobs() -> None:
    assert evidence.KNOBS.keys() <= evidence.ARMS.keys()
    for knobs in evidence.KNOBS.values():
        LoopConfig().with_(**knobs)
