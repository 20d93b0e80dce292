"""Rationales of the pocket world: write them from a solution program, and check them."""

import re

from l2r_lite.loop.prompts import answer_line
from l2r_lite.loop.records import LETTERS, Problem, Step

# Wordings of a step; {0} is the step itself, e.g. "12 + 7 = 19".
_PHRASES: dict[str, tuple[str, ...]] = {
    "+": ("Add: {0}.", "Together {0}."),
    "-": ("Take away: {0}.", "That leaves {0}."),
    "*": ("Multiply: {0}.", "In all {0}."),
    "/": ("Divide: {0}.", "Each part is {0}."),
    "<": ("Compare: {0}.", "Here {0}."),
    ">": ("Compare: {0}.", "Here {0}."),
}
STYLES = ("name the operation", "say what it means", "first, then")

_STEP = re.compile(r"(\d{1,9}) ?([-+*/<>]) ?(\d{1,9})(?: ?= ?(\d{1,9}))?")


def write_rationale(problem: Problem, style: int) -> str:
    """A correct rationale in one of the STYLES (0, 1, 2), ending in the answer line.

    Raises:
        ValueError: the problem has no program (it is not from the pocket world).
    """
    if not problem.program:
        raise ValueError(
            f"{problem.id}: has no solution program; only pocket-world problems can be written out")
    words = []
    for number, step in enumerate(problem.program):
        if style == 2:
            words.append(f"Then {step}." if number else f"First {step}.")
        else:
            words.append(_PHRASES[step.op][style].format(step))
    if problem.choices:
        option = LETTERS.index(problem.answer)
        words.append(f"{problem.choices[option]} is ({problem.answer}).")
    return " ".join([*words, answer_line(problem.answer, problem.kind)])


def read_steps(rationale: str) -> list[Step]:
    """The steps that a rationale writes out, in order.

    A missing result is read as -1, which is in no program.
    """
    steps = []
    for left, op, right, result in _STEP.findall(rationale):
        value = int(result) if result else -1
        steps.append(Step(int(left), op, int(right), 1 if op in "<>" else value))
    return steps


def step_places(rationale: str) -> list[tuple[int, int]]:
    """Where the steps of `read_steps` are in the text: (start, end) of each."""
    return [match.span() for match in _STEP.finditer(rationale)]


def is_true(step: Step) -> bool:
    """Whether the step's arithmetic holds, regardless of the question."""
    left, op, right = step.left, step.op, step.right
    if op in "<>":
        return left < right if op == "<" else left > right
    if op == "/":
        return right != 0 and step.result * right == left
    return step.result == {"+": left + right, "-": left - right, "*": left * right}[op]


def first_wrong_step(
    problem: Problem, rationale: str
) -> tuple[int, Step | None, Step | None] | None:
    """Where a rationale first differs from its program; operands of + and * may be swapped.

    Returns:
        None if every step is as in the program; else the step's position, the student's step
        (None if it stopped too early) and the program's (None if the student wrote too many).
    """
    written = read_steps(rationale)
    for position in range(max(len(written), len(problem.program))):
        got = written[position] if position < len(written) else None
        want = problem.program[position] if position < len(problem.program) else None
        if got is None or want is None or not _same(got, want):
            return position, got, want
    return None


def _same(got: Step, want: Step) -> bool:
    if got == want:
        return True
    mirrored = {"<": ">", ">": "<"}.get(got.op, got.op)
    swapped = Step(got.right, mirrored, got.left, got.result)
    return want.op in "+*<>" and swapped == want
