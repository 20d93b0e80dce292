"""The story of a pocket problem: who has what, and which numbers. Told again with other numbers.

A problem names its clauses and phrases (`Problem.template`), so people, things and numbers are read
back from its question without guessing.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from l2r_lite.data.pocket.world import CLAUSES, OPERATIONS
from l2r_lite.loop.records import Problem, Step

_BLANK = re.compile(r"\{(\w)\}")  # in a phrase: {P}, {Q}, {O}, {0}, {1}


@dataclass(frozen=True)
class Story:
    """What a pocket question says.

    Attributes:
        clauses: their names in order, such as ("start", "gain", "how-many").
        phrases: the sentences with blanks, such as "{P} gets {0} more.".
        names: blank → who or what fills it: "P" and "Q" are persons, "O" the things.
        numbers: all numbers in the order of the question.
    """

    clauses: tuple[str, ...]
    phrases: tuple[str, ...]
    names: dict[str, str]
    numbers: tuple[int, ...]

    def tell(self) -> str:
        """The question."""
        numbers = iter(self.numbers)
        return " ".join(
            _BLANK.sub(lambda m: self.names[m[1]] if m[1] in "PQO" else str(next(numbers)), phrase)
            for phrase in self.phrases)


@lru_cache(2**13)
def read_story(problem: Problem) -> Story:
    """The story of a pocket problem.

    Raises:
        ValueError: the problem is not from the pocket world.
    """
    kinds = [re.fullmatch(r"([a-z-]+)(\d+)", word) for word in problem.template.split()]
    found = [(k[1], int(k[2])) for k in kinds if k and k[1] in CLAUSES]
    phrases = tuple(CLAUSES[clause][phrase] for clause, phrase in found)
    match = _pattern(" ".join(phrases)).fullmatch(problem.question) if found else None
    if match is None:
        raise ValueError(
            f"{problem.id}: its question does not follow from its template; only problems of the "
            "pocket world have a story that can be read.")
    filled = match.groupdict()
    numbers = tuple(int(text) for blank, text in filled.items() if blank.startswith("n"))
    names = {blank: text for blank, text in filled.items() if not blank.startswith("n")}
    return Story(tuple(clause for clause, _ in found), phrases, names, numbers)


@lru_cache(2**13)
def _pattern(text: str) -> re.Pattern[str]:
    """A pattern for stories with these phrases: named groups P, Q, O, and n0, n1, … for numbers."""
    seen: list[str] = []
    parts = _BLANK.split(text)  # plain text and blanks in turn
    for i in range(1, len(parts), 2):
        blank = parts[i] if parts[i] in "PQO" else f"n{sum(s[0] == 'n' for s in seen)}"
        what = r"\d+" if blank[0] == "n" else r"\w+"
        parts[i] = f"(?P={blank})" if blank in seen else f"(?P<{blank}>{what})"
        seen.append(blank)
    parts[::2] = map(re.escape, parts[::2])
    return re.compile("".join(parts))


def program_of(clauses: Sequence[str], numbers: Sequence[int]) -> tuple[Step, ...] | None:
    """The steps that solve a story; None if the pocket world has no story with these numbers."""
    left, steps, value = iter(numbers), list[Step](), 0
    for clause in clauses:
        if clause == "start":
            value = next(left)
            if not 4 <= value <= 81:
                return None
        elif clause == "groups":
            groups, each = next(left), next(left)
            if not (2 <= groups <= 9 and 2 <= each <= 9):
                return None
            value = groups * each
            steps.append(Step(groups, "*", each, value))
        elif clause in OPERATIONS:
            step = _operate(value, OPERATIONS[clause], next(left))
            if step is None:
                return None
            value = step.result
            steps.append(step)
        elif clause in ("other", "need"):
            other = next(left)
            if not (1 <= other <= 99 and 1 <= abs(value - other) <= 15):
                return None
            steps.append(Step(value, ">" if value > other else "<", other, 1))
    return tuple(steps)


def _operate(left: int, op: str, right: int) -> Step | None:
    if op == "/":
        fits = 2 <= right <= 9 and left % right == 0 and 2 <= left // right <= 9
        return Step(left, op, right, left // right) if fits else None
    result = left + right if op == "+" else left - right
    return Step(left, op, right, result) if 2 <= right <= 40 and 1 <= result <= 99 else None


def retold(problem: Problem) -> Iterator[Problem]:
    """The problem with one number changed, the smallest change first.

    Skill, wording, names and the operations stay, and so does the answer of a comparison.
    """
    story = read_story(problem)
    operations = [step.op for step in problem.program]
    changes = sorted((d for d in range(-97, 98) if d), key=abs)
    for change in changes:
        for place, number in enumerate(story.numbers):
            numbers = (*story.numbers[:place], number + change, *story.numbers[place + 1 :])
            program = program_of(story.clauses, numbers)
            if program is None or [step.op for step in program] != operations:
                continue
            answer = str(program[-1].result) if problem.kind == "number" else problem.answer
            yield dataclasses.replace(
                problem, id=f"{problem.id}-twin", answer=answer, program=program,
                question=dataclasses.replace(story, numbers=numbers).tell())
