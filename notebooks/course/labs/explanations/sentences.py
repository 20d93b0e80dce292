"""Explanations that can be executed: each sentence is true or false of an answered question.

Two lists of forms. QUESTION forms read the question only, so they can predict an error before the
student answers. RATIONALE forms read the student's text: they check an answer that is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l2r_course.labs.story import Story, read_story
from l2r_lite.data.pocket.rationales import is_true, read_steps
from l2r_lite.loop.records import Problem

EDIBLE = ("apples", "nuts", "cakes", "plums", "eggs", "seeds")


@dataclass(frozen=True)
class Answered:
    """A question with what the student wrote, and whether its answer was wrong."""

    problem: Problem
    rationale: str
    wrong: bool

    @property
    def story(self) -> Story:
        return read_story(self.problem)

    @property
    def words(self) -> list[str]:
        return re.findall(r"\w+", self.problem.question)


Test = Callable[..., bool]  # (answered, the words that fill the form's gaps) → true or false


def _clause(word: str) -> str:
    return {"gained": "gain", "lost": "lose", "shared": "share", "needed": "need",
            "compared": "other", "grouped": "groups"}[word]


def _happens(answered: Answered, word: str) -> bool:
    return _clause(word) in answered.story.clauses


def _before(answered: Answered, first: str, second: str) -> bool:
    clauses = answered.story.clauses
    both = _clause(first) in clauses and _clause(second) in clauses
    return both and clauses.index(_clause(first)) < clauses.index(_clause(second))


def _number(answered: Answered, which: str, side: str, bound: str) -> bool:
    numbers = answered.story.numbers
    chosen = {"first": numbers[0], "last": numbers[-1], "largest": max(numbers),
              "smallest": min(numbers)}[which]
    return chosen > int(bound) if side == "above" else chosen < int(bound)


def _digits(answered: Answered, op: str) -> bool:
    """Whether a sum carries into the tens, or a difference borrows from them."""
    steps = [step for step in answered.problem.program if step.op == op]
    if op == "+":
        return any(step.left % 10 + step.right % 10 >= 10 for step in steps)
    return any(step.left % 10 < step.right % 10 for step in steps)


def _kind(answered: Answered, kind: str) -> bool:
    kinds = {"a number": "number", "yes or no": "yes-no", "a name": "choice"}
    return answered.problem.kind == kinds[kind]


def _says(answered: Answered, text: str) -> bool:
    said = " ".join(re.findall(r"\w+", text)).casefold()
    return f" {said} " in f" {' '.join(answered.words).casefold()} "


_HAPPENS = "gained|lost|shared|needed|compared|grouped"
# A form as it is shown to an LLM, its pattern, and its test.
QUESTION: tuple[tuple[str, str, Test], ...] = (
    ("the question has at least N numbers", r"the question has at least (\d+) numbers",
     lambda a, n: len(a.story.numbers) >= int(n)),
    ("the question has more than N words", r"the question has more than (\d+) words",
     lambda a, n: len(a.words) > int(n)),
    ("the first|last|largest|smallest number is above|below N",
     r"the (first|last|largest|smallest) number is (above|below) (\d+)", _number),
    ("a number is a multiple of N", r"a number is a multiple of ([1-9]\d*)",
     lambda a, n: any(x % int(n) == 0 for x in a.story.numbers)),
    ("every number is even", r"every number is even",
     lambda a: all(x % 2 == 0 for x in a.story.numbers)),
    ("every number has two digits", r"every number has two digits",
     lambda a: min(a.story.numbers) > 9),
    ("the first number is below the second", r"the first number is below the second",
     lambda a: a.story.numbers[0] < a.story.numbers[1]),
    (f"something is {_HAPPENS}", rf"something is ({_HAPPENS})", _happens),
    (f"something is {_HAPPENS} before something is {_HAPPENS}",
     rf"something is ({_HAPPENS}) before something is ({_HAPPENS})", _before),
    ("the answer is a number|yes or no|a name", r"the answer is (a number|yes or no|a name)",
     _kind),
    ("a sum carries", r"a sum carries", lambda a: _digits(a, "+")),
    ("a difference borrows", r"a difference borrows", lambda a: _digits(a, "-")),
    ('the question says "WORDS"', r'the question says "([^"]{1,40})"', _says),
    ("a name begins with a letter before X", r"a name begins with a letter before ([a-z])",
     lambda a, x: any(name[0].casefold() < x for b, name in a.story.names.items() if b != "O")),
    ("a name ends in a vowel", r"a name ends in a vowel",
     lambda a: any(name[-1] in "aeiou" for b, name in a.story.names.items() if b != "O")),
    ("the things begin with X", r"the things begin with ([a-z])",
     lambda a, x: a.story.names["O"].startswith(x)),
    ("the things can be eaten", r"the things can be eaten",
     lambda a: a.story.names["O"] in EDIBLE),
)
RATIONALE: tuple[tuple[str, str, Test], ...] = (
    ("the rationale has fewer than N steps", r"the rationale has fewer than (\d+) steps",
     lambda a, n: len(read_steps(a.rationale)) < int(n)),
    ("the rationale leaves out a number", r"the rationale leaves out a number",
     lambda a: not set(a.story.numbers) <= {
         x for step in read_steps(a.rationale) for x in (step.left, step.right)}),
    ("the rationale has a false equation", r"the rationale has a false equation",
     lambda a: not all(map(is_true, read_steps(a.rationale)))),
)


@dataclass(frozen=True)
class Sentence:
    """An explanation h. `holds` executes it."""

    text: str

    def holds(self, answered: Answered) -> bool:
        test, gaps = _find(self.text)
        return bool(test(answered, *gaps))


def read_sentence(text: str) -> Sentence | None:
    """The sentence that a text says; None if it has none of the forms, so nobody can check it."""
    plain = " ".join(text.replace("“", '"').replace("”", '"').split()).strip().rstrip(".").strip()
    try:
        _find(plain)
    except ValueError:
        return None
    return Sentence(plain[0].casefold() + plain[1:])


def _find(text: str) -> tuple[Test, tuple[str, ...]]:
    for _, pattern, test in (*QUESTION, *RATIONALE):
        if match := re.fullmatch(pattern, text, re.IGNORECASE):
            return test, tuple(gap.casefold() for gap in match.groups())
    raise ValueError(f"no form fits: {text!r}")


def table_of(sentences: Sequence[Sentence], answers: Sequence[Answered]) -> NDArray[np.bool_]:
    """Which sentence is true of which answer, (answers, sentences)."""
    return np.array([[s.holds(a) for s in sentences] for a in answers], dtype=bool).reshape(
        len(answers), len(sentences))


def _all(*texts: str) -> tuple[Sentence, ...]:
    return tuple(Sentence(text) for text in texts)


# What the scripted explainer can say. Many are about names, things and wording: with ten answers
# before it, an explainer cannot know that they do not matter.
BANK = _all(
    *(f"the question has at least {n} numbers" for n in (3, 4)),
    *(f"the question has more than {n} words" for n in (15, 20, 25)),
    *(f"the first number is above {n}" for n in (30, 50)),
    *(f"the last number is below {n}" for n in (10, 20)),
    "the largest number is above 60", "the smallest number is above 10",
    *(f"a number is a multiple of {n}" for n in (5, 10)),
    "every number is even", "every number has two digits", "the first number is below the second",
    *(f"something is {what}" for what in _HAPPENS.split("|")),
    "something is gained before something is lost", "something is lost before something is gained",
    *(f"the answer is {what}" for what in ("a number", "yes or no", "a name")),
    "a sum carries", "a difference borrows",
    *(f'the question says "{words}"' for words in (
        "a friend", "find", "how many", "in the end", "now", "then", "bag", "buys")),
    *(f"a name begins with a letter before {letter}" for letter in "gn"),
    "a name ends in a vowel", "the things can be eaten",
    *(f"the things begin with {letter}" for letter in "bcs"),
)
CHECK = Sentence("the rationale leaves out a number")
