"""Checks of notebook 13: V(h), re-ranking, AUC with ties, a minimal pair."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from l2r_course.checks.base import Case, exercise, judge, say
from l2r_course.labs.explanations.prediction import auc
from l2r_course.labs.explanations.sentences import Answered, Sentence
from l2r_course.labs.story import program_of, read_story
from l2r_lite.loop.records import Problem, Step

Booleans = Sequence[bool]
T, F = True, False

_SIDES: list[Case] = [
    ([T, T, F, T], [T, F, F, F, F]), ([T, T], [T, T, T]), ([F, F, F], [T, F]),
    ([T, F], [T, F, T, F]), ([T, F, F], [F, T, T, T, T])]


def _share(values: Booleans) -> float:
    return sum(values) / len(values)


def _validity(wrong: Booleans, right: Booleans) -> float:
    return _share(wrong) - _share(right)


def _precision(wrong: Booleans, right: Booleans) -> float:
    return sum(wrong) / (sum(wrong) + sum(right))


def _other_way(wrong: Booleans, right: Booleans) -> float:
    """P(wrong | h) − P(wrong | not h)."""
    not_wrong, not_right = ([not x for x in side] for side in (wrong, right))
    return _precision(wrong, right) - _precision(not_wrong, not_right)


def _accuracy(wrong: Booleans, right: Booleans) -> float:
    return (sum(wrong) + len(right) - sum(right)) / (len(wrong) + len(right))


@exercise("13.1", "the validity of an explanation")
def check_validity(my_validity: Any) -> None:
    judge("13.1", my_validity, _validity, _SIDES, {
        "The sign is reversed: V is positive if the sentence is true of wrong answers more often.":
            lambda wrong, right: _validity(right, wrong),
        "These are counts. Use shares: there may be more right answers than wrong ones.": [
            lambda wrong, right: sum(wrong) - sum(right),
            lambda wrong, right: (sum(wrong) - sum(right)) / (len(wrong) + len(right))],
        "This is P(h | wrong) alone. A sentence that is always true would get 1: subtract its "
        "share among right answers.": lambda wrong, right: _share(wrong),
        "This is P(wrong | h): how often such questions go wrong. V asks how often the sentence is "
        "true, among wrong answers and among right ones.": _precision,
        "This is P(wrong | h) − P(wrong | not h). V conditions the other way round: "
        "P(h | wrong) − P(h | right).": _other_way,
        "Keep the sign: a sentence that is true of right answers explains no errors.":
            lambda wrong, right: abs(_validity(wrong, right)),
        "This is the share of answers that the sentence sorts correctly. V compares two shares.":
            _accuracy,
    })


_TRIPLES: list[Case] = [
    ([0.8, 0.6, 0.6], [0.1, 0.4, 0.2], [0.15, 0.3, 0.35]),
    ([1.0, 0.8], [0.3, 0.2], [0.25, 0.1]),
    ([0.6, 0.6, 0.4, 0.4], [0.0, -0.1, 0.2, 0.5], [0.1, 0.6, 0.2, 0.4]),
    ([0.4], [-0.1], [0.05]), ([0.9, 0.5, 0.7], [0.2, 0.6, 0.3], [0.7, 0.5, 0.1])]

Values = Sequence[float]


def _at(values: Values, place: Values) -> float:
    return values[int(np.argmax(place))]


def _reranked(seen: Values, verified: Values, future: Values) -> float:
    return _at(future, verified)


@exercise("13.2", "re-rank by verification")
def check_reranked(my_reranked: Any) -> None:
    judge("13.2", my_reranked, _reranked, _TRIPLES, {
        "You chose by V as seen. That is the winner's curse: choose by V verified.":
            lambda seen, verified, future: _at(future, seen),
        "You chose by V on future questions. Nobody has those when the choice is made, and chosen "
        "on them V is too high again.": lambda seen, verified, future: max(future),
        "You return V from verification. It decided the choice, so it is too high now: return V on "
        "future questions.": lambda seen, verified, future: max(verified),
        "You return a position. Return V of that sentence on future questions.":
            lambda seen, verified, future: int(np.argmax(verified)),
        "You added V as seen to V verified. What was seen made the choice before: leave it out.": [
            lambda seen, verified, future: _at(future, np.add(seen, verified).tolist()),
            lambda seen, verified, future: _at(future, np.minimum(seen, verified).tolist())],
        "You average over all sentences. Take the one that verified best.":
            lambda seen, verified, future: sum(future) / len(future),
    })


_RANKINGS: list[Case] = [
    ([0.9, 0.2, 0.9, 0.1], [T, T, F, F]), ([1.0, 1.0, 0.0, 0.0, 0.0], [T, F, T, F, F]),
    ([0.3, 0.3, 0.3], [T, F, F]), ([0.1, 0.4, 0.35, 0.8], [F, F, T, T]), ([0.2, 0.7], [T, F])]


def _auc(scores: Values, wrong: Booleans) -> float:
    return auc(np.array(scores, dtype=float), np.array(wrong, dtype=bool))


def _pairs(scores: Values, wrong: Booleans, tie: float) -> float:
    """AUC with ties counted as `tie`."""
    above = [s for s, w in zip(scores, wrong, strict=True) if w]
    below = [s for s, w in zip(scores, wrong, strict=True) if not w]
    return sum(float(a > b) + tie * (a == b) for a in above for b in below) / (
        len(above) * len(below))


def _sorted_correctly(scores: Values, wrong: Booleans) -> float:
    return float(np.mean([(s >= 0.5) == w for s, w in zip(scores, wrong, strict=True)]))


@exercise("13.3", "AUC with ties")
def check_auc(my_auc: Any) -> None:
    judge("13.3", my_auc, _auc, _RANKINGS, {
        "Ties count 0 in yours. A tie is a coin toss: count ½. A sentence scores 0 or 1 only, so "
        "most of its pairs are ties.": lambda scores, wrong: _pairs(scores, wrong, 0.0),
        "Ties count 1 in yours (≥ instead of >). A tie is a coin toss: count ½.":
            lambda scores, wrong: _pairs(scores, wrong, 1.0),
        "The order is reversed: a wrong answer should have the higher score.":
            lambda scores, wrong: 1 - _auc(scores, wrong),
        "This is the share of answers sorted correctly at the threshold 0.5. AUC needs no "
        "threshold: compare every wrong answer with every right one.": _sorted_correctly,
        "You did not divide by the number of pairs.": lambda scores, wrong: (
            _pairs(scores, wrong, 0.5) * sum(wrong) * (len(wrong) - sum(wrong))),
    })


# What exercise 13.4 asks about.
ORIGINAL = Problem(
    "pair", "Mia has 27 apples. Mia buys 15 more apples. Mia loses 12 apples. How many apples does "
    "Mia have now?", "30", "number", skill="add-subtract",
    template="start0 gain1 lose1 how-many0",
    program=(Step(27, "+", 15, 42), Step(42, "-", 12, 30)))


def _fault_of_twin(text: str) -> str | None:
    """Why a text is no twin of ORIGINAL; None if it is one."""
    old = read_story(ORIGINAL)
    try:
        new = read_story(dataclasses.replace(ORIGINAL, question=" ".join(text.split())))
    except ValueError:
        return "Words differ. In a minimal pair everything stays but one number."
    if new.names != old.names:
        return "A name or thing differs. In a minimal pair everything stays but one number."
    changed = [a for a, b in zip(old.numbers, new.numbers, strict=True) if a != b]
    if not changed:
        return "This is the same question. Change one number."
    if len(changed) > 1:
        return (f"{len(changed)} numbers differ. If the student answers differently, you cannot "
                "tell which one made the difference.")
    program = program_of(new.clauses, new.numbers)
    if program is None:
        return ("The pocket world has no such story: results lie between 1 and 99, gains and "
                "losses between 2 and 40.")
    twin = dataclasses.replace(ORIGINAL, question=new.tell(), program=program)
    if Sentence("a sum carries").holds(Answered(twin, "", False)):
        first = program[0]
        return f"The sum still carries: {first.left} + {first.right} = {first.result}."
    return None


@exercise("13.4", "a minimal pair")
def check_twin(my_twin: Any) -> None:
    if my_twin is None or my_twin is ...:
        say("13.4", False, "○ not solved yet: the answer is still None")
        return
    if not isinstance(my_twin, str):
        say("13.4", False, "✗ Give the whole question as a text in quotation marks.")
        return
    fault = _fault_of_twin(my_twin)
    say("13.4", fault is None, "✓ right" if fault is None else f"✗ no minimal pair\n  {fault}")
