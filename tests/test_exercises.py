"""Every exercise of every notebook: the stub runs, the folded solution passes, typical wrong answers get their message."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch

from l2r_course.checks import notes, progress
from l2r_course.checks.base import judge, judge_answer, same
from run_notebooks import NOTEBOOKS

HEAD = re.compile(
    r"^### Exercise (?P<number>(?P<notebook>\d\d)\.\d) · (?P<title>.+)\n\*(?:easy|medium|hard) · \d+ minutes?\*\n", re.M
)
FOLDED = re.compile(
    r"<details><summary>Hint</summary>\n\n(?P<hint>.+?)\n\n</details>\n\n"
    r"<details><summary>Solution</summary>\n\n```python\n(?P<solution>.+?)\n```\n(?P<why>.*?)\n</details>",
    re.S,
)


@dataclass(frozen=True)
class Exercise:
    number: str
    stub: str  # the cell: imports, the stub, and the check's call in the last line
    folded: str

    @property
    def check(self) -> str:
        return self.stub.rstrip().splitlines()[-1]


def exercises() -> Iterator[Exercise]:
    for file in sorted(NOTEBOOKS.glob("*.ipynb")):
        cells = nbformat.read(file, as_version=4).cells
        for i, cell in enumerate(cells):
            if cell.cell_type == "markdown" and (head := HEAD.search(cell.source)):
                assert head["notebook"] == file.name[:2], f"{file.name}: {head[0]}"
                yield Exercise(head["number"], cells[i + 1].source, cells[i + 2].source)


ALL = list(exercises())
WRONG = {
    number: answers
    for file in sorted((Path(__file__).parent / "wrong_answers").glob("nb*.py"))
    for number, answers in importlib.import_module(f"wrong_answers.{file.stem}").WRONG.items()
}


@pytest.fixture(autouse=True)
def own_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2R_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setattr(notes, "_solved", set())
    monkeypatch.setattr(notes, "_predicted", {})


def noted() -> list[str]:
    """The exercises that the file of notes calls solved."""
    file = notes.notes_file()
    return json.loads(file.read_text(encoding="utf-8"))["solved"] if file.exists() else []


def verdict(capsys: pytest.CaptureFixture[str], *code: str) -> str:
    names: dict[str, Any] = {}
    for i, part in enumerate(code):
        if i == len(code) - 1:
            capsys.readouterr()
        exec(part, names)  # noqa: S102 - the notebooks' own code
    return capsys.readouterr().out


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.number)
def test_a_stub_runs_unsolved_and_says_so(exercise: Exercise, capsys: pytest.CaptureFixture[str]) -> None:
    assert verdict(capsys, exercise.stub).startswith("○ not solved yet")


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.number)
def test_the_folded_solution_passes_its_check(exercise: Exercise, capsys: pytest.CaptureFixture[str]) -> None:
    folded = FOLDED.search(exercise.folded)
    assert folded, f"{exercise.number}: no folded hint and solution in the form of the others"
    assert verdict(capsys, exercise.stub, folded["solution"], exercise.check).startswith("✓")
    assert exercise.number in noted()


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.number)
def test_a_typical_wrong_answer_is_told_its_error(exercise: Exercise, capsys: pytest.CaptureFixture[str]) -> None:
    for code, sentence in WRONG[exercise.number]:
        told = verdict(capsys, exercise.stub, code, exercise.check)
        assert told.startswith("✗") and sentence in told, told
    assert noted() == []


def test_every_exercise_has_at_least_three_wrong_answers_of_different_sentences() -> None:
    few = {e.number for e in ALL if len({sentence for _, sentence in WRONG.get(e.number, [])}) < 3}
    assert not few and WRONG.keys() <= {e.number for e in ALL}


def test_every_exercise_is_registered_and_listed_once() -> None:
    numbers = [e.number for e in ALL]
    listed = progress()
    assert [row[0] for row in listed.rows[:-1]] == sorted(numbers) and len(numbers) == len(set(numbers))
    assert f"of {len(numbers)} solved" in repr(listed)


# --- the judge itself ---


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


CASES = [([1.0, 3.0],), ([2.0],), ([],)]


def test_what_is_solved_is_noted_for_a_new_kernel_and_damaged_notes_are_no_obstacle(
    capsys: pytest.CaptureFixture[str],
) -> None:
    number = ALL[0].number
    judge(number, mean, mean, CASES)
    assert capsys.readouterr().out == "✓ 3 of 3 cases\n" and number in noted()
    code = """
import sys
from l2r_course.checks import notes, progress
for text in sys.argv[1:]:
    notes.notes_file().write_text(text, encoding="utf-8")
    print(*[row[0] for row in progress().rows if row[2] == "✓"])
"""
    texts = [json.dumps({"solved": [number]}), "{", json.dumps({"solved": [1, number], "predicted": 3}), "[]"]
    done = subprocess.run([sys.executable, "-c", code, *texts], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == [number, "", number, "", ""]


WRONG_MEANS: list[tuple[Any, str]] = [
    (lambda v: sum(v) / len(v), "exception"), (lambda v: sum(v), "divide"), (lambda v: None, "not solved yet"),
    (lambda v: sum(v) / len(v) if v else None, "return"), (lambda v: [mean(v)], "type list"),
    (lambda v: float("nan"), "divided by zero"), (3, "function itself"), (lambda v: torch.tensor([mean(v)]), "shape (1,)"),
    (lambda v: "2", "type str"), (lambda v, w: 1, "missing 1 required"),
]  # fmt: skip


def test_a_wrong_answer_is_told_why(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, told in WRONG_MEANS:
        judge("00.1", wrong, mean, CASES, {"Did you forget to divide?": lambda v: sum(v)})
        said = capsys.readouterr().out
        assert told in said and not said.startswith("✓") and not noted()


def test_printing_instead_of_returning_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    def printed(values: list[float]) -> None:
        print("The mean is", mean(values))

    def printed_if_any(values: list[float]) -> float | None:
        return print(mean(values)) if values else 0.0  # type: ignore[func-returns-value]

    judge("00.1", printed, mean, CASES, {"Named?": lambda v: 7})
    said = capsys.readouterr().out
    assert said == "✗ Your function printed 'The mean is 2.0' and returned None: use return instead of print.\n"
    judge("00.1", printed_if_any, mean, CASES)
    assert "Your function printed '2.0' and returned None: use return instead of print" in capsys.readouterr().out
    assert not noted()


def test_what_a_learner_prints_to_find_an_error_is_shown_above_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    def told(values: list[float]) -> float:
        print("got", values)
        return mean(values)

    judge("00.1", told, mean, CASES)
    assert capsys.readouterr().out.splitlines() == ["got [1.0, 3.0]", "got [2.0]", "got []", "✓ 3 of 3 cases"]


def test_an_error_is_named_only_if_it_makes_the_case_fail_that_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Rounding fails case 2. Without max it also agrees, in case 3, with a program that forgot the 0."""

    def room(free: float, each: float) -> int:
        return max(0, int(free // each))

    def rounds(free: float, each: float) -> int:
        return round(free / each)

    cases = [(4.0, 2.0), (7.0, 4.0), (-4.0, 2.0)]
    negative = {"Never a negative number.": lambda free, each: int(free // each)}
    judge("00.1", rounds, room, cases, negative)
    said = capsys.readouterr().out
    assert said.startswith("✗ case 2 of 3: got 2, expected 1") and "negative" not in said
    judge("00.1", rounds, room, cases, negative | {"Round down.": rounds})
    assert "Round down." in capsys.readouterr().out
    judge("00.1", negative["Never a negative number."], room, cases, negative)
    assert "Never a negative number." in capsys.readouterr().out


def test_a_readers_function_cannot_change_the_cases(capsys: pytest.CaptureFixture[str]) -> None:
    def greedy(values: list[float]) -> float:
        result = mean(values)
        values.clear()
        return result

    judge("00.1", greedy, mean, CASES)
    judge("00.1", mean, mean, CASES)
    assert capsys.readouterr().out == 2 * "✓ 3 of 3 cases\n"


def test_a_value_is_judged_and_its_error_named(capsys: pytest.CaptureFixture[str]) -> None:
    for answer in (None, ..., "a", "c", "b"):
        judge_answer("00.2", answer, "b", {"a": "Look again at round 1."})
    said = capsys.readouterr().out.splitlines()
    assert [line[0] for line in said] == ["○", "○", "✗", " ", "✗", "✓"] and "round 1" in said[3]


SAME = [
    (1, 1.0, True), (1.0, 1.0 + 1e-9, True), (1.0, 1.1, False), (True, 1, False), (True, np.bool_(True), True),
    ([1, 2], (1, 2), True), ([1], [1, 2], False), ({"a": 1}, {"a": 1.0}, True), ({"a": 1}, {"b": 1}, False),
    (None, 0, False), ("a", "a", True), ("1", 1, False),
    (torch.ones(2), np.ones(2), True), (torch.ones(2), [1.0, 1.0], True), (torch.ones(2), torch.ones(2, 1), False),
    (torch.tensor(1.0), 1.0, True), (torch.tensor(float("nan")), torch.tensor(float("nan")), True),
]  # fmt: skip


def test_results_are_the_same_within_a_tolerance_whatever_holds_them() -> None:
    for a, b, equal in SAME:
        assert same(a, b) is same(b, a) is equal, (a, b)
