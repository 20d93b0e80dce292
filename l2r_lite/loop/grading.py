"""Read the final answer of a text and grade it, in the simplest form.

A run uses data/answers.py, which reads what any model writes ("#### 42", "so it is 42").
"""

import re
from fractions import Fraction

from l2r_lite.loop.prompts import ANSWER_MARK
from l2r_lite.loop.protocols import Judge, Reader
from l2r_lite.loop.records import Kind, Problem

_STATED = {
    "number": re.compile(r"-?[0-9][0-9,]*(?:\.[0-9]+)?"),
    "yes-no": re.compile(r"\b(?:yes|no)\b"),
    "choice": re.compile(r"(?<=\()[A-Z](?=\))")}


def read_answer(text: str, problem: Problem) -> str | None:
    """The answer after the last "The answer is"; None if there is none."""
    _, mark, stated = text.rpartition(ANSWER_MARK)
    found = _STATED[problem.kind].search(stated) if mark else None
    return found[0].replace(",", "") if found else None


def same_answer(answer: str | None, gold: str, kind: Kind) -> bool:
    """Whether an answer is right: numbers by value (72.0 = 72), words in any case, None never."""
    if answer is None:
        return False
    if kind == "number":
        try:
            return Fraction(answer.replace(",", "")) == Fraction(gold.replace(",", ""))
        except (ValueError, ZeroDivisionError):
            return False
    return answer.strip().casefold() == gold.strip().casefold()


def one_answer_each(read: Reader = read_answer) -> Judge:
    """The usual judge: each sample is graded on its own."""
    return lambda texts, problem: [read(text, problem) for text in texts]
