"""The scripted teacher, which knows the pocket world's solution programs; and no teacher."""

import hashlib
from collections.abc import Generator, Sequence

from l2r_lite.data.pocket import rationales as pocket
from l2r_lite.loop.errors import TeacherError
from l2r_lite.loop.protocols import Teacher
from l2r_lite.loop.records import Mistake, Reply, Step


class ScriptedTeacher(Teacher):
    """Teaches the pocket world by its programs: the first wrong step, and right rationales."""

    def teach(self, mistakes: Sequence[Mistake], count: int) -> Generator[Reply]:
        known = len(pocket.STYLES)
        for mistake in mistakes:
            problem = mistake.problem
            if not problem.program:
                raise TeacherError(
                    f'teacher "scripted": {problem.id} has no solution program; the scripted '
                    "teacher knows the pocket world only. Use recorded:FILE for real problems.")
            # The style to begin with depends on the question, so that every style is taught.
            first = hashlib.sha256(problem.id.encode()).digest()[0]
            styles = [(first + i) % known for i in range(min(count, known))]
            texts = tuple(pocket.write_rationale(problem, style) for style in styles)
            yield Reply(mistake, what_went_wrong(mistake), texts)


def what_went_wrong(mistake: Mistake) -> str:
    """One sentence on the first step in which a pocket-world rationale leaves the program."""
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
        return f"you had all you needed and continued with {got}."
    if (got.left, got.op, got.right) == (want.left, want.op, want.right):
        said = got.result if got.result >= 0 else "left open"
        return f"{got.left} {got.op} {got.right} is {want.result}, not {said}."
    if not pocket.is_true(got):
        return f"{got} is not even true; this step is {want}."
    return f"you wrote {got}, but the story asks for {want}."


class NoTeacher(Teacher):
    """Nobody teaches: the student trains on its own right answers (self-training)."""

    def teach(self, mistakes: Sequence[Mistake], count: int) -> Generator[Reply]:
        yield from ()
