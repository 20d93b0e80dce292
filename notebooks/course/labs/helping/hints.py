"""A hint first: the step that belongs next. Who solves the question with it, and what it saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from l2r_course.labs.arms import continue_rationales, count_tokens
from l2r_course.labs.explanations.repair import Repair, find_repairs
from l2r_course.labs.explanations.sentences import Answered
from l2r_lite.data.answers import is_correct
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.loop.exam import take_exam
from l2r_lite.loop.records import Problem, TrainingItem
from l2r_lite.loop.student import Student

STYLE = 2


@dataclass(frozen=True)
class Hinted:
    """A wrong answer, the hint that was given, and how the student went on.

    Attributes:
        wrong: the student's wrong rationale.
        hint: the next right step as a sentence; "" if none can be given: the next one is the last,
            and would give the answer away.
        text: the student's text with the hint in it; "" without a hint.
        solved: whether that text is right. alone: whether the student is right when it goes on
            from the same place without the hint.
    """

    problem: Problem
    wrong: str
    hint: str = ""
    text: str = ""
    solved: bool = False
    alone: bool = False


def give_hints(
    student: Student, problems: Sequence[Problem], *, seed: int = 0, max_new_tokens: int = 56
) -> list[Hinted]:
    """Ask each question greedily, and give a hint for every wrong answer that can have one."""
    exam = take_exam(
        student, problems, max_new_tokens=max_new_tokens, prompt=student.prompt, progress=False)
    wrong = [
        Answered(problem, sample.rationale, True)
        for problem, sample in zip(problems, exam.samples, strict=True) if not sample.correct]
    repairs = {r.problem.id: r for r in find_repairs(wrong) if not r.last}
    given = list(repairs.values())
    asked = [repair.problem for repair in given]
    hinted = continue_rationales(student, asked, [f"{r.kept} {r.step}".strip() for r in given])
    alone = continue_rationales(
        student, asked, [r.kept for r in given], temperature=0.7, seed=seed)
    went_on = {p.id: pair for p, pair in zip(asked, zip(hinted, alone, strict=True), strict=True)}
    return [_hinted(w, repairs.get(w.problem.id), went_on) for w in wrong]


def _hinted(
    wrong: Answered, repair: Repair | None, went_on: dict[str, tuple[str, str]]
) -> Hinted:
    if repair is None:
        return Hinted(wrong.problem, wrong.rationale)
    text, alone = went_on[wrong.problem.id]
    return Hinted(
        wrong.problem, wrong.rationale, repair.step, text, is_correct(text, wrong.problem),
        is_correct(alone, wrong.problem))


def teacher_tokens(student: Student, found: Sequence[Hinted]) -> tuple[int, int]:
    """Tokens that the teacher writes: an explanation for each mistake; a hint first where possible.

    A student that does not solve the question with the hint gets the explanation as well.
    """
    explanations = count_tokens(student, [write_rationale(h.problem, STYLE) for h in found])
    hints = count_tokens(student, [h.hint for h in found])
    first = sum(
        (hint if h.hint else 0) + (0 if h.solved else explanation)
        for h, hint, explanation in zip(found, hints, explanations, strict=True))
    return sum(explanations), first


def lessons(found: Sequence[Hinted], *, hints_first: bool) -> list[TrainingItem]:
    """What the student trains on: explanations, or its own hinted solutions where it has one."""
    return [
        TrainingItem(h.problem, h.text if hints_first and h.solved
                     else write_rationale(h.problem, STYLE))
        for h in found]
