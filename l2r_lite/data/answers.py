"""Reading the final answer out of a rationale, without a model and without `eval`.

A sample is a mistake if its answer, read here, is not the gold answer; a teacher's rationale
becomes a lesson only if its answer is, and no equation in it is wrong (arithmetic.py).

How an answer is read, in this order:

1. *Explicit answers*: "The answer (in dollars) is 42", "Ans: 42", "#### 42", \\boxed{42}; for
   choices "I would pick B" too. The last one wins, because models change their mind. Several
   answers at once ("5 or 6", "yes and no") and a refusal ("unknown") count as no answer.
2. *The conclusion*, if there is no explicit answer: the last number ("…, so 24 / 3 = 8 weeks."
   → 8), or the last equation's result if the last sentence restates it; the last yes or no that is
   a clause of its own; the last "(C)", or the option named in the last sentence.

answer_marks.py finds where an answer is stated, answer_numbers.py and answer_choices.py read what
is stated there, numbers.py reads numbers, and plain.py removes LaTeX and the like before. Every
pattern is bounded or free of overlapping repetition, so that any text is read in linear time.
"""

import re
from collections.abc import Sequence

from l2r_lite.data.answer_choices import (
    concluding_choice,
    concluding_verdict,
    stated_choice,
    stated_verdict,
)
from l2r_lite.data.answer_marks import (
    LONGEST_STATEMENT,
    Statement,
    find_marks,
    is_pick,
    statement,
)
from l2r_lite.data.answer_numbers import SENTENCE_END, concluding_number, is_bare, stated_number
from l2r_lite.data.numbers import (
    MAX_DIGITS,
    SCALES,
    canonical_number,
    match_number,
    numbers,
    parse_number,
)
from l2r_lite.data.plain import grouped, plain_text
from l2r_lite.data.text import unreadable
from l2r_lite.loop.records import LETTERS, Kind, Problem

__all__ = [
    "MAX_DIGITS", "SCALES", "canonical_number", "extract_answer", "grouped", "is_correct",
    "match_number", "numbers", "parse_number", "plain_text", "read", "read_answer", "same_answer"]

_NEXT_QUESTION = re.compile(r"^[ #]{0,5}(?:Q|Question)[ ]?[0-9]{0,3}:", re.MULTILINE)
_REFUSAL = re.compile(
    r"\b(?:unknown|undefined|unclear|unanswerable|undetermined|indeterminate|impossible|cannot"
    r"|can't|n/a|inconclusive|depends|dependent"
    r"|not\s(?:known|clear|possible|determinable|given|enough|specified|provided))\b",
    re.IGNORECASE)
_RETRACTION = re.compile(
    r"[.!?\n]\s{0,3}(?:but\s|oh,?\s|hmm,?\s|no,?\s)?(?:wait|oops|correction|scratch that)\b"
    r"|\bthat(?:'s| is) (?:wrong|not right|incorrect)\b",
    re.IGNORECASE)
_NEGATED = re.compile(
    r"\b(?:not\s(?!only\b)[^.;:\n]{1,80}?[\s,]but\b(?:\s(?:rather|instead))?"  # "not A but B"
    r"|(?:not|rather than|instead of)\s(?:[$€£]\s?)?"
    r"(?:-?[0-9][0-9,.]{0,30}|\((?-i:[A-Z])\)|\(?(?-i:[A-Z])\)?(?![\w'])|(?:yes|no|true|false)\b))",
    re.IGNORECASE)


def extract_answer(text: str, kind: Kind, choices: Sequence[str] = ()) -> str | None:
    """Read the final answer from what a model wrote. Never raises.

    Args:
        text: a rationale as generated, of any length.
        kind: "number", "yes-no" or "choice".
        choices: the options A, B, C, …; an answer that is an option's text becomes its letter.

    Returns:
        "42", "-3.5" or "1/3" (number), "yes" or "no", a letter; None if no answer can be read.
    """
    return read_answer(text, kind, choices)[0]


def read(text: str, problem: Problem) -> str | None:
    """`extract_answer` as the Reader of a run; a text that no student could read has no answer."""
    # Such a text may be a megabyte long: looking for an answer in it would take seconds.
    return None if unreadable(text) else extract_answer(text, problem.kind, problem.choices)


def read_answer(text: str, kind: Kind, choices: Sequence[str] = ()) -> tuple[str | None, str]:
    """What `extract_answer` reads, and where it was read, in words for people."""
    text = plain_text(text)
    marks = find_marks(text, kind)
    if marks and (following := _NEXT_QUESTION.search(text, marks[0].end())):
        # A base model runs on into a next question of its own, and answers that one.
        text = text[: following.start()]
        marks = [m for m in marks if m.end() <= following.start()]
    for mark in reversed(marks[-100:]):
        stated = statement(text, mark)
        answer = _stated(stated, kind, choices, picked=is_pick(mark))
        said = " ".join(mark[0].split("{")[0].split())
        if answer == "":
            return None, f"what is stated after “{said}” is not one answer"
        if answer is not None:
            if _RETRACTION.search(text, stated.end):
                corrected = _conclusion(text[stated.end :], kind, choices) or answer
                where = f"what is stated after “{said}” is taken back, so what follows counts"
                return corrected, where
            return answer, f"it is stated after “{said}”"
        if _REFUSAL.search(stated.sentence):
            return None, f"after “{said}” the text says that there is none"
    concluded = _conclusion(text, kind, choices)
    where = "so the conclusion counts" if concluded else "and nothing concludes"
    return concluded, f"nothing is stated as the answer, {where}"


def is_correct(text: str, problem: Problem) -> bool:
    """Whether the final answer of `text` is the gold answer of `problem`."""
    answer = extract_answer(text, problem.kind, problem.choices)
    return same_answer(answer, problem.answer, problem.kind)


def same_answer(a: str | None, b: str | None, kind: Kind) -> bool:
    """Whether two answers are the same: numbers exactly (72.0 = 72), others up to case and space.

    None, a missing answer, is never the same.
    """
    if a is None or b is None:
        return False
    if kind == "number":
        left, right = parse_number(a), parse_number(b)
        return left is not None and left == right
    return a.strip().casefold() == b.strip().casefold() != ""


def _stated(stated: Statement, kind: Kind, choices: Sequence[str], *, picked: bool) -> str | None:
    """The answer that is stated; "" if it is not one answer ("A or B"), None if none is."""
    sentence = _NEGATED.sub(" ", stated.sentence)
    if kind == "number":
        if stated.continuation[len(stated.sentence) :].strip(". \n") and not is_bare(sentence):
            return concluding_number(stated.continuation)
        return stated_number(sentence)
    if kind == "yes-no":
        return stated_verdict(sentence)
    return stated_choice(sentence, choices, right_there=picked)


def _conclusion(text: str, kind: Kind, choices: Sequence[str]) -> str | None:
    """The answer of a text that never says "the answer is"."""
    if kind == "number":
        return concluding_number(text)
    if kind == "yes-no":
        return concluding_verdict(text)
    alone = text.strip()
    if re.fullmatch(r"[A-Za-z][.)]?", alone):
        letter = alone[0].upper()
        return letter if letter in (LETTERS[: len(choices)] or LETTERS) else None
    last = text.rstrip(".!? \n")[-LONGEST_STATEMENT:]
    last = last[max((m.end() for m in SENTENCE_END.finditer(last)), default=0) :]
    return concluding_choice(text, last, choices)
