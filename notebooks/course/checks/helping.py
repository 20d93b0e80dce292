"""Checks of the lab on help: the next hint, what hints save, what the curves show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from l2r_course.checks.base import Program, exercise, judge
from l2r_course.checks.lab_report import judge_letters

Steps = Sequence[str]


def _place(program: Steps, written: Steps) -> int:
    """Where the student first leaves the program."""
    pairs = zip(program, written, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(program), len(written)))


def _hint(program: Steps, written: Steps) -> str | None:
    place = _place(program, written)
    return program[place] if place < len(program) - 1 else None


def _with_last(program: Steps, written: Steps) -> str | None:
    place = _place(program, written)
    return program[place] if place < len(program) else None


def _missing(program: Steps, written: Steps) -> str | None:
    return next((step for step in program[:-1] if step not in written), None)


_TWO, _THREE = ["13 + 5 = 18", "18 / 9 = 2"], ["4 * 3 = 12", "12 + 8 = 20", "20 - 5 = 15"]


@exercise("15.1", "the next step as a hint")
def check_hint(my_hint: Program) -> None:
    cases: list[tuple[Steps, Steps]] = [
        (_TWO, ["13 - 5 = 8", "8 / 9 = 0"]), (_TWO, ["13 + 5 = 18", "18 - 9 = 9"]),
        (_THREE, ["4 * 3 = 12", "12 - 8 = 4"]), (_THREE, []), (_TWO, ["13 + 5 = 18"]),
        (_THREE, ["4 * 3 = 12"]), (_TWO, _TWO), (_THREE, ["12 + 8 = 20", "4 * 3 = 12"]),
        (["5 + 2 = 7"], ["5 - 2 = 3"]), (_TWO, [*_TWO, "2 + 1 = 3"])]
    judge("15.1", my_hint, _hint, cases, {
        "Yours gives the last step away: its result is the answer, so the student has nothing left "
        "to solve.": _with_last,
        "Yours always gives the first step, also to a student that has it.":
            lambda program, written: program[0] if len(program) > 1 else None,
        "Yours looks for a step anywhere in the text. What counts is the place where the student "
        "leaves the program.": _missing,
        "You return the student's wrong step. The hint is the right one.":
            lambda p, w: w[_place(p, w)] if _place(p, w) < min(len(w), len(p) - 1) else None,
        "A student that stopped too early needs the next step as well.":
            lambda p, w: _hint(p, w) if _place(p, w) < len(w) else None,
    })


def _tokens(explained: Sequence[int], hinted: Sequence[int | None], solved: Sequence[bool]) -> int:
    return sum(
        (hint or 0) + (0 if done else full)
        for full, hint, done in zip(explained, hinted, solved, strict=True))


@exercise("15.2", "what a hint saves")
def check_hint_tokens(my_tokens: Program) -> None:
    cases: list[tuple[list[int], list[int | None], list[bool]]] = [
        ([20, 30], [8, 9], [True, False]), ([20], [None], [False]), ([25], [10], [True]),
        ([25, 25, 30], [10, None, 12], [False, False, True]), ([], [], [])]
    judge("15.2", my_tokens, _tokens, cases, {
        "Yours stops after the hint. A student that does not solve the question gets the "
        "explanation as well.": lambda e, h, s: sum(
            full if hint is None else hint for full, hint in zip(e, h, strict=True)),
        "Yours pays for the explanation although the hint was enough.":
            lambda e, h, s: sum(e) + sum(hint or 0 for hint in h),
        "Yours forgets the mistakes that can have no hint: they get the explanation at once.":
            lambda e, h, s: sum(
                hint + (0 if done else full)
                for full, hint, done in zip(e, h, s, strict=True) if hint is not None),
        "Yours leaves the hint out where it did not help. It was written and paid for.":
            lambda e, h, s: sum(
                (hint or 0) if done else full for full, hint, done in zip(e, h, s, strict=True)),
        "You return what is saved. Asked is what the teacher writes.":
            lambda e, h, s: sum(e) - _tokens(e, h, s),
    })


CURVES = {
    "a": "The curve of answers alone ends far below where it began, and most questions that it got "
         "right at first are about skills that it knew.",
    "b": "With its first word given, most of the accuracy returns. It would not, if it could no "
         "longer calculate.",
    "c": "The share of texts that write a step falls together with the accuracy.",
    "d": "Twice the questions also end below where the student began. What the lessons lack is "
         "steps, not questions.",
    "e": "The lab has one student with two million parameters and no pupil. It cannot speak of "
         "children.",
}


@exercise("15.3", "what the curves show")
def check_curves(answer: Any) -> None:
    """The letters of the sentences that the two panels support."""
    judge_letters("15.3", answer, ["a", "c"], CURVES)
