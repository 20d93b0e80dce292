"""Notebook 00: its opening example is real, its sentences follow the run, and its long cell shows its progress."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from l2r_course import figures
from l2r_course.figures.whole_loop import answers_by_round, run_in_words
from l2r_lite.app.panels import LiveFigure, live_figure
from l2r_lite.data.answers import read
from l2r_lite.data.arithmetic import wrong_equations
from l2r_lite.data.problems import load_problems
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import RunError
from l2r_lite.loop.grading import same_answer
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.records import Problem, Sample
from l2r_lite.loop.runfolder import write_lines
from l2r_lite.loop.stages import Progress
from l2r_lite.runs.run import run_rounds
from run_notebooks import NOTEBOOKS

PLUMS = "pocket-test-59"


def entry(number: int, accuracy: float, mistakes: int = 0, **by_skill: float) -> dict[str, Any]:
    return {"round": number, "accuracy": accuracy, "ci95": [accuracy - 0.04, accuracy + 0.04],
            "validation_accuracy": accuracy, "mistakes": mistakes, "samples": 1700, "by_skill": by_skill}  # fmt: skip


def said(best: int, *rounds: dict[str, Any]) -> dict[str, str]:
    text = run_in_words({"rounds": list(rounds), "best_round": best})._repr_markdown_()
    return dict(re.findall(r"^- \*\*(\w+)\.\*\* (.+)$", text, re.M))


# --- the opening ---


def plums() -> Problem:
    return next(p for p in load_problems("pocket", "test", limit=425) if p.id == PLUMS)


def test_the_opening_shows_a_test_question_that_the_untrained_student_gets_wrong(pocket_student: Any) -> None:
    problem = plums()
    first = nbformat.read(next(NOTEBOOKS.glob("00_*.ipynb")), as_version=4).cells[0].source
    assert f"> **{problem.question}**" in first
    before, after = re.findall(r"“(.+)”", first)
    assert not same_answer(read(before, problem), problem.answer, problem.kind)
    assert same_answer(read(after, problem), problem.answer, problem.kind)
    assert not list(wrong_equations(after))
    ((written,),) = pocket_student.generate([student_prompt(problem)])
    assert not same_answer(read(written, problem), problem.answer, problem.kind)


def test_the_students_4_bit_parameters_are_as_many_as_notebook_00_says(pocket_student: Any) -> None:
    sizes = [(p.quant_state.shape.numel() if hasattr(p, "quant_state") else p.numel(), hasattr(p, "quant_state"))
             for name, p in pocket_student.model.named_parameters() if "lora" not in name]  # fmt: skip
    assert round(sum(size for size, _ in sizes) / 1e6, 1) == 1.9
    assert sum(size for size, packed in sizes if packed) == 1_769_472


# --- sentences about a run ---


def test_a_run_that_rises_is_said_to_rise_in_every_round() -> None:
    told = said(2, entry(0, 0.5, add=1.0, both=0.0), entry(1, 0.8, 841, add=1.0, both=0.7),
                entry(2, 0.9, 367, add=0.92, both=0.96))  # fmt: skip
    assert told == {
        "Accuracy": "50 % of the test questions right before training, then 80 % and 90 %. It rose in every round.",
        "Mistakes": "The exams found 841 and 367, in 1,700 answers each.",
        "Learned": "1 of 2 skills rose, most of all `both` (0 % → 96 %).",
        "Forgotten": "1 of 1 skill that it knew fell: `add` (100 % → 92 %).",
        "Kept": "The student of round 2, the best on the validation questions (90 % right).",
    }


def test_rounds_that_do_not_rise_are_named() -> None:
    told = said(1, *(entry(n, share) for n, share in enumerate([0.5, 0.8, 0.7, 0.7])))
    assert told["Accuracy"].endswith("It did not rise in round 2 and round 3.")


def test_a_run_that_learns_and_forgets_nothing_is_said_to_do_so() -> None:
    told = said(0, entry(0, 0.5, add=0.9, both=0.0), entry(1, 0.5, 7, add=0.9, both=0.0))
    assert told["Mistakes"] == "The exam found 7 in 1,700 answers."
    assert told["Learned"] == "No skill has risen."
    assert told["Forgotten"] == "Nothing: no skill that it knew has fallen."
    assert told["Kept"].startswith("The untrained student,")


def test_a_skill_that_was_not_known_cannot_be_forgotten() -> None:
    assert "no skill well enough" in said(1, entry(0, 0.5, guess=0.64), entry(1, 0.6, guess=0.2))["Forgotten"]


def test_a_run_without_a_finished_round_is_refused() -> None:
    with pytest.raises(ValueError, match="no finished round"):
        run_in_words({"rounds": [entry(0, 0.5)], "best_round": 0})


def test_answers_come_round_by_round_and_are_escaped(tmp_path: Path) -> None:
    for number in (10, 2, 0):
        (tmp_path / f"round-{number}").mkdir()
        samples = [Sample("q", 0, f"<b>{number}", str(number), number == 10), Sample("other", 0, "x", None, False)]
        write_lines(tmp_path / f"round-{number}" / "test.jsonl", samples)
    table = answers_by_round(tmp_path, "q")
    assert table.rows == [["before training", "<b>0", "✗ wrong"], ["after round 2", "<b>2", "✗ wrong"],
                          ["after round 10", "<b>10", "✓ right"]]  # fmt: skip
    assert "<b>" not in table._repr_html_()


def test_a_question_that_the_test_does_not_have_is_named(tmp_path: Path) -> None:
    (tmp_path / "round-0").mkdir()
    write_lines(tmp_path / "round-0" / "test.jsonl", [Sample("q", 0, "x", None, False)])
    with pytest.raises(RunError, match="has no question .nowhere"):
        answers_by_round(tmp_path, "nowhere")


# --- the diagram ---


def test_the_diagram_names_all_steps_of_a_round_and_its_files() -> None:
    text = " ".join(t.get_text() for t in figures.round_diagram().axes[0].texts)
    for name in ("Exam", "Feedback", "Verification", "training", "Validation and test", "exam.jsonl", "lessons.jsonl",
                 "rejected.jsonl", "adapter/", "validation.jsonl", "test.jsonl"):  # fmt: skip
        assert name in text, name


def test_files_in_the_diagram_are_those_of_a_run(finished_run: Path) -> None:
    from l2r_course.figures.loop import _FILES

    for _, names in _FILES:
        for name in names.split("\n"):
            assert (finished_run / "round-1" / name).exists(), name


# --- the long cell ---


class Shown:
    """A display handle that notes what was displayed."""

    def __init__(self, first: Any) -> None:
        self.all = [first]

    def update(self, what: Any) -> None:
        self.all.append(what)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Shown]:
    handles: list[Shown] = []

    def display(what: Any, display_id: bool) -> Shown:
        assert display_id
        handles.append(Shown(what))
        return handles[-1]

    monkeypatch.setattr(live_figure, "display", display)
    return handles


def test_bar_and_figure_stay_two_small_outputs_and_end_with_the_run(
    tiny_config: LoopConfig, tmp_path: Path, shown: list[Shown]
) -> None:
    config = tiny_config.with_(rounds=1)
    with LiveFigure(config.rounds) as live:
        run_rounds(config, tmp_path / "run", on_round=live, on_progress=live.progress, progress=False)
    figure, line = shown
    assert "<progress" in line.all[0].data
    assert any("round 1 of 1 · exam" in update.data for update in line.all)
    assert "Done: 1 of 1 rounds." in line.all[-1].data
    assert "<progress" not in line.all[-1].data
    assert len(figure.all) == 3  # empty, before training, after round 1
    heights = {update.get_size_inches()[1] for update in figure.all}
    assert max(heights) * 100 <= 300  # with the cell and the bar this fits into a window of 900 px


def test_a_finished_run_is_shown_at_once(finished_run: Path, tiny_config: LoopConfig, shown: list[Shown]) -> None:
    with LiveFigure(tiny_config.rounds) as live:
        run_rounds(tiny_config, finished_run, on_round=live, on_progress=live.progress, progress=False)
    assert len(shown[0].all) == 2


def test_an_interrupted_run_says_how_to_resume(shown: list[Shown]) -> None:
    with LiveFigure(rounds=3) as live:
        live.progress(Progress(1, "exam", 40, 850))
        live({"rounds": [entry(0, 0.5), entry(1, 0.7)], "best_round": 1})
    assert "Done: 1 of 3 rounds. Run this cell again to resume." in shown[1].all[-1].data


def test_the_bar_is_updated_a_few_times_per_second_at_most(shown: list[Shown], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(live_figure.time, "monotonic", lambda: now)
    with LiveFigure(rounds=1) as live:
        for done in range(50):
            live.progress(Progress(1, "training", done, 50))
        assert len(shown[1].all) == 2
        now = 101.0
        live.progress(Progress(1, "training", 50, 50))
        assert len(shown[1].all) == 3
