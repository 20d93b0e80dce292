"""The capstone's plan cannot change after the fact, and its two arms are compared question by question."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from l2r_course.capstone import answers, in_words, pre_register
from l2r_course.research.statistics import Difference
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import RunError, UserError
from l2r_lite.loop.records import Sample
from l2r_lite.loop.runfolder import read_lines
from l2r_lite.runs.report import read_report

BASE = LoopConfig()
ARMS = {"two": BASE, "one": BASE.with_(lessons=1)}


def test_a_plan_is_written_once_and_shown_with_the_settings_that_differ(tmp_path: Path) -> None:
    shown = pre_register(tmp_path / "capstone", "Does it help?", ARMS, [0, 1, 2])
    assert [row for row in shown.rows if row[0] == "arm"] == [["arm", "two: lessons = 2"], ["arm", "one: lessons = 1"]]
    before = (tmp_path / "capstone" / "plan.json").read_text(encoding="utf-8")
    again = pre_register(tmp_path / "capstone", "Does it help?", ARMS, [0, 1, 2])
    assert again.rows == shown.rows
    assert (tmp_path / "capstone" / "plan.json").read_text(encoding="utf-8") == before
    assert "seed" not in json.loads(before)["arms"]["two"]


def test_a_plan_that_changes_after_the_fact_is_refused_with_what_changed(tmp_path: Path) -> None:
    pre_register(tmp_path, "Does it help?", ARMS, [0, 1, 2])
    with pytest.raises(UserError, match="other seeds"):
        pre_register(tmp_path, "Does it help?", ARMS, [0, 1, 2, 3])
    with pytest.raises(UserError, match="other question, arms"):
        pre_register(tmp_path, "And this?", {**ARMS, "one": BASE.with_(lessons=3)}, [0, 1, 2])
    with pytest.raises(UserError, match="other rule"):
        pre_register(tmp_path, "Does it help?", ARMS, [0, 1, 2], rule="the mean is larger")


@pytest.mark.parametrize(("arms", "seeds", "told"), [
    (ARMS, [0, 1], "at least 3"), (ARMS, [0, 0, 0], "at least 3"), ({"one": BASE}, [0, 1, 2], "exactly two"),
    ({"a": BASE, "b": BASE.with_(seed=1)}, [0, 1, 2], "the same settings"),
])  # fmt: skip
def test_a_plan_that_cannot_decide_anything_is_refused(
    arms: dict[str, LoopConfig], seeds: list[int], told: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=told):
        pre_register(tmp_path, "?", arms, seeds)
    assert not (tmp_path / "plan.json").exists()


def test_answers_are_those_of_the_kept_student_one_row_per_run(finished_run: Path) -> None:
    table = answers([finished_run, finished_run])
    kept = read_report(finished_run)["best_round"]
    samples = read_lines(finished_run / f"round-{kept}" / "test.jsonl", Sample)
    assert table.shape == (2, len(samples)) and np.array_equal(table[0], [int(s.correct) for s in samples])


def test_runs_that_took_other_tests_or_were_interrupted_are_no_pairs(finished_run: Path, copied_run: Path) -> None:
    interrupted = Path(shutil.copytree(copied_run, copied_run.with_name("interrupted")))
    report = json.loads((interrupted / "report.json").read_text(encoding="utf-8"))
    (interrupted / "report.json").write_text(json.dumps(report | {"stopped": "user"}), encoding="utf-8")
    with pytest.raises(RunError, match="interrupted"):
        answers([finished_run, interrupted])
    test = copied_run / "problems" / "test.jsonl"
    first, *rest = test.read_text(encoding="utf-8").splitlines(keepends=True)
    test.write_text("".join([*rest, first]), encoding="utf-8")
    with pytest.raises(RunError, match="different tests"):
        answers([finished_run, copied_run])


def test_a_result_claims_no_more_than_its_interval() -> None:
    assert "Undecided" in in_words(Difference(0.02, -0.01, 0.05, 0.01, 3), "two", "one")
    assert in_words(Difference(0.02, 0.01, 0.03, 0.01, 3), "two", "one").endswith('"two" is better.')
    assert in_words(Difference(-0.02, -0.03, -0.01, 0.01, 3), "two", "one").endswith('"one" is better.')
