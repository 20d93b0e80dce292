"""The student's prompt and the teacher's prompt, nowhere else.

One format for every student: what it is examined on is what it is trained on. The prompt ends after "Answer:", a
completion starts with a space, and a rationale ends in the answer line, so that the grader and the exam's stopping rule
look for the same words.
"""

from __future__ import annotations

import re

from l2r_lite.records import LETTERS, Kind, Problem

ANSWER_MARK = "The answer is"


def student_prompt(problem: Problem) -> str:
    """What the student reads: question, options if any, and where to answer."""
    options = "".join(f" ({letter}) {text}" for letter, text in zip(LETTERS, problem.choices, strict=False))
    return f"Question: {problem.question}{' Choices:' + options if options else ''}\nAnswer:"


def completion(rationale: str) -> str:
    """What the student writes after the prompt (the end-of-text token is added by the tokeniser's user)."""
    return " " + " ".join(rationale.split())


def answer_line(answer: str, kind: Kind) -> str:
    """The sentence that ends every rationale: "The answer is 42." or "The answer is (B)."."""
    return f"{ANSWER_MARK} ({answer})." if kind == "choice" else f"{ANSWER_MARK} {answer}."


_ANSWER_LINE = re.compile(re.escape(ANSWER_MARK) + r"[^\n]*?(?:\.(?=\s|$)|(?=\n)|$)")


def cut_after_answer(text: str) -> str:
    """The text up to the end of its first answer line (all of it if there is none): where an exam stops reading."""
    found = _ANSWER_LINE.search(text)
    return text[: found.end()].strip() if found else text.strip()


def has_answer_line(text: str) -> bool:
    """Whether a text being generated has a whole answer line, so that what follows cannot change it ("3." could be 3.5)."""
    found = _ANSWER_LINE.search(text)
    return found is not None and found.end() < len(text)
