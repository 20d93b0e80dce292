"""Demonstrations: worked examples before every question (few-shot prompting), by the teacher."""

import random
from collections.abc import Sequence

from l2r_lite.loop.errors import TeacherError
from l2r_lite.loop.grading import read_answer
from l2r_lite.loop.lessons import make_lessons, verify_answer
from l2r_lite.loop.protocols import Reader, Teacher, Verifier
from l2r_lite.loop.records import Lesson, Mistake, Problem


def make_demonstrations(
    teacher: Teacher, problems: Sequence[Problem], count: int, *, seed: int = 0,
    read: Reader = read_answer, verify: Verifier = verify_answer,
) -> list[Lesson]:
    """Verified rationales for `count` problems drawn by the seed, for few-shot prompting.

    Raises:
        TeacherError: the teacher has no good rationale for so many of the problems.
    """
    tried = min(len(problems), 10 * count)
    order = random.Random(f"{seed}/demonstrations").sample(problems, tried)
    found: dict[str, Lesson] = {}
    while len(found) < count and order:
        wanted = count - len(found)
        asked, order = order[:wanted], order[wanted:]
        mistakes = [Mistake(problem, "", None) for problem in asked]
        feedback = make_lessons(teacher, mistakes, 1, read=read, verify=verify, progress=False)
        for lesson in feedback.lessons:
            found.setdefault(lesson.problem_id, lesson)
    if len(found) < count:
        raise TeacherError(
            f"demonstrations = {count}: the teacher wrote a correct rationale for {len(found)} of "
            f"{tried} problems only; ask for fewer, or name another teacher.")
    return list(found.values())
