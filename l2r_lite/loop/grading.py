"""Reading the final answer and saying whether it is right, in the plainest form.

A run reads what any model writes ("#### 42", "so it is 42") with data/answers.py.
"""

import re
from collections.abc import Sequence
from fractions import Fraction

from l2r_lite.loop.prompts import ANSWER_MARK
from l2r_lite.loop.protocols import Judge, Reader
from l2r_lite.loop.records import Kind, Problem

_STATED = {
    "number": re.compile(r"-?[0-9][0-9,]*(?:\.[0-9]+)?"),
    "yes-no": re.compile(r"\b(?:yes|no)\b"),
    "choice": re.compile(r"(?<=\()[A-Z](?=\))"),
}


def read_answer(text: str, problem: Problem) -> str | None:
    """The answer after the last "The answer is"; None if there is none."""
    _, mark, stated = text.rpartition(ANSWER_MARK)
    found = _STATED[problem.kind].search(stated) if mark else None
    return found[0].replace(",", "") if found else None


def same_answer(answer: str | None, gold: str, kind: Kind) -> bool:
    """Whether an answer is right: numbers exactly (72.0 = 72), words up to case; None is not."""
    if answer is None:
        return False
    if kind == "number":
        try:
            return Fraction(answer.replace(",", "")) == Fraction(gold.replace(",", ""))
        except (ValueError, ZeroDivisionError):
            return False
    return answer.strip().casefold() == gold.strip().casefold()


def one_answer_each(read: Reader = read_answer) -> Judge:
    """The usual judge: every sample stands for itself."""

    def judge(texts: Sequence[str], problem: Problem) -> list[str | None]:
        return [read(text, problem) for text in texts]

    return judge
