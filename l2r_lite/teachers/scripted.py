"""The scripted teacher: it knows the pocket world's solution programs. And nobody, for contrast."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence

from l2r_lite.data.pocket import rationales as pocket
from l2r_lite.loop.errors import TeacherError
from l2r_lite.loop.protocols import Teacher
from l2r_lite.loop.records import Mistake, Reply, Step


class ScriptedTeacher(Teacher):
    """Teaches the pocket world: finds the first wrong step by the solution program and writes the right ones out."""

    def teach(self, mistakes: Sequence[Mistake], count: int) -> Generator[Reply]:
        for mistake in mistakes:
            if not mistake.problem.program:
                raise TeacherError(
                    f'teacher "scripted": {mistake.problem.id} has no solution program; the scripted teacher knows the '
                    "pocket world only. Use recorded:FILE for real problems."
                )
            # Which styles come first differs from question to question, so that every style is taught.
            first = hashlib.sha256(mistake.problem.id.encode()).digest()[0]
            styles = [(first + i) % len(pocket.STYLES) for i in range(min(count, len(pocket.STYLES)))]
            texts = tuple(pocket.write_rationale(mistake.problem, style) for style in styles)
            yield Reply(mistake, what_went_wrong(mistake), texts)


def what_went_wrong(mistake: Mistake) -> str:
    """One sentence on the first step in which a pocket-world rationale leaves the solution program."""
    wrong = pocket.first_wrong_step(mistake.problem, mistake.rationale)
    if wrong is None:
        said = "no answer" if mistake.answer is None else f"the answer {mistake.answer}"
        return f"Every step is right, but you gave {said}; it is {mistake.problem.answer}."
    position, got, want = wrong
    return f"Step {position + 1}: {_compare(got, want)}"


def _compare(got: Step | None, want: Step | None) -> str:
    if got is None:
        return f"you stopped too early; {want} is missing."
    if want is None:
        return f"you had all you needed and went on with {got}."
    if (got.left, got.op, got.right) == (want.left, want.op, want.right):
        return f"{got.left} {got.op} {got.right} is {want.result}, not {got.result if got.result >= 0 else 'left open'}."
    if not pocket.is_true(got):
        return f"{got} is not even true; this step is {want}."
    return f"you wrote {got}, but the story asks for {want}."


class NoTeacher(Teacher):
    """The contrast in which nobody teaches: the student trains on what it got right itself (self-training)."""

    def teach(self, mistakes: Sequence[Mistake], count: int) -> Generator[Reply]:
        yield from ()
