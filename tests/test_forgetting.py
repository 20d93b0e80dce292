"""The statements of notebook 08 about a run are computed from that run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from l2r_course import figures, forgetting
from l2r_lite.loop.records import Problem
from l2r_lite.loop.runfolder import read_lines
from l2r_lite.runs.report import read_report


def entry(number: int, accuracy: float, by_skill: dict[str, float]) -> dict[str, Any]:
    return {"round": number, "accuracy": accuracy, "by_skill": by_skill, "validation_accuracy": accuracy}


def report(*accuracies: float, kept: int = 0) -> dict[str, Any]:
    rounds = [entry(n, a, {"add": a, "divide": 1.0, "add-multiply": 0.5}) for n, a in enumerate(accuracies)]
    return {"rounds": rounds, "best_round": kept}


def test_known_and_withheld_skills_are_averaged_apart() -> None:
    known, withheld = forgetting.groups(entry(0, 0.5, {"add": 1.0, "divide": 0.5, "add-multiply": 0.25}))
    assert (known, withheld) == (0.75, 0.25)
    assert math.isnan(forgetting.groups(entry(0, 0.5, {"add": 1.0}))[1])


def test_the_table_of_runs_names_the_rounds_that_lowered_the_accuracy() -> None:
    table = forgetting.runs_table({"a": report(0.5, 0.25, 0.75, 0.5), "b": report(0.5, 0.5)})
    assert [row[-1] for row in table.rows] == ["1, 3", "none"]
    assert table.rows[0][2] == "25.0 (62, 50)" and len({len(row) for row in table.rows}) == 1


def test_the_tests_choice_is_told_only_where_it_is_another_one() -> None:
    same = forgetting.two_choices(report(0.5, 0.75, 0.75, kept=1)).text
    other = forgetting.two_choices(report(0.5, 0.75, 0.875, kept=1)).text
    assert "chose round 1" in same and "would not have found a better one" in same
    assert "75.0%" in other and "would have chosen round 2" in other and "87.5%" in other


def test_tables_and_figures_of_a_run_are_made_of_its_files(finished_run: Path) -> None:
    problems = read_lines(finished_run / "problems" / "test.jsonl", Problem)
    shown = forgetting.answers_by_round(finished_run, [problems[0].skill], most=1)
    assert shown.rows[0][0] == problems[0].question and len(shown.head) == 4
    steps = [list(map(int, row[1:])) for row in forgetting.too_many_steps(finished_run).rows]
    assert len(steps) == 3 and all(row == sorted(row, reverse=True) for row in steps)
    items = forgetting.items_by_source({"it": finished_run})
    rounds = read_report(finished_run)["rounds"][1:]
    assert [sum(map(int, row[2:5])) for row in items.rows] == [r["items"] for r in rounds]


def test_wrong_answers_with_too_many_steps_are_counted(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Problem("p", "?", "7", "number", skill="add", program=(("+", 3, 4),))  # type: ignore[arg-type]
    texts = [
        "First 3 + 4 = 7. Then 7 + 4 = 11. The answer is 11.", "First 3 * 4 = 12. Then 12 + 4 = 16. The answer is 16.",
        "3 + 4 = 8. The answer is 8.",
    ]  # fmt: skip

    class Said:
        problem_id, correct = "p", False

        def __init__(self, rationale: str) -> None:
            self.rationale = rationale

    monkeypatch.setattr(forgetting, "_tests", lambda _: ({"p": problem}, [[Said(text) for text in texts]]))
    assert forgetting.too_many_steps("anywhere").rows == [["0", "3", "3", "2", "1"]]


def test_the_stopping_figure_says_which_round_is_last_and_which_is_kept() -> None:
    figure = figures.stopping_rule([0.5, 0.25, 0.75], 1)
    assert figure.axes[0].get_title(loc="left") == "Patience 1: round 1 is the last, the student of round 0 is kept"
