"""Is the named step the reason? Repair it, let the student go on, and compare with rewriting.

The scripted teacher names the first wrong step. *Repaired*: the student's text up to there, the
right step in the student's own style, then the student again. *Rewritten*: the same beginning
without the step; the student writes on by itself, at a temperature, since greedy it would write
the same text again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from l2r_course.labs.arms import continue_rationales
from l2r_course.labs.explanations.sentences import Answered
from l2r_lite.data.answers import read, same_answer
from l2r_lite.data.pocket.rationales import first_wrong_step, read_steps, write_rationale
from l2r_lite.loop.records import Problem
from l2r_lite.loop.student import Student

TEMPERATURE = 0.7  # of rewriting: the temperature of the loop's exam


@dataclass(frozen=True)
class Repair:
    """A wrong answer, cut before its first wrong step.

    Attributes:
        kept: the student's text before the step.
        step: the right step as a sentence.
        last: the program ends with this step. Then the repaired step contains the answer, and
            solving the question proves nothing.
    """

    problem: Problem
    kept: str
    step: str
    last: bool


def find_repairs(answers: Sequence[Answered]) -> list[Repair]:
    """A repair for each wrong answer in which a step is missing or wrong.

    Left out are answers whose steps are all right (only the answer is not) and answers that went on
    after the last step: no step of theirs can be replaced.
    """
    repairs = []
    for answered in answers:
        named = first_wrong_step(answered.problem, answered.rationale) if answered.wrong else None
        if named is None or named[2] is None:
            continue
        position = named[0]
        right = _sentences(write_rationale(answered.problem, _style(answered.rationale)))
        repairs.append(Repair(
            answered.problem, _before(answered.rationale, position), right[position],
            last=position == len(answered.problem.program) - 1))
    return repairs


def solved(student: Student, repairs: Sequence[Repair], *, repaired: bool, seed: int = 0
           ) -> list[bool]:
    """Whether the student reaches the right answer, with the repaired step or without it."""
    problems = [repair.problem for repair in repairs]
    begun = [f"{r.kept} {r.step}" if repaired else r.kept for r in repairs]
    texts = continue_rationales(
        student, problems, begun, temperature=0.0 if repaired else TEMPERATURE, seed=seed)
    return [
        same_answer(read(text, problem), problem.answer, problem.kind)
        for text, problem in zip(texts, problems, strict=True)]


def _sentences(rationale: str) -> list[str]:
    return re.split(r"(?<=\.) ", rationale)


def _before(rationale: str, position: int) -> str:
    """The sentences before the one with step number `position`, and before the answer line."""
    kept: list[str] = []
    for sentence in _sentences(rationale):
        if len(read_steps(" ".join([*kept, sentence]))) > position or "answer" in sentence:
            break
        kept.append(sentence)
    return " ".join(kept)


def _style(rationale: str) -> int:
    """The style in which the student wrote its first step (pocket/rationales.py, STYLES)."""
    first = rationale.split(" ", 1)[0]
    if first in ("First", "Then"):
        return 2
    return 0 if ":" in rationale.split(".", 1)[0] else 1
