"""Minimal pairs: two questions that differ in one number, so that h is true of one of them only.

An explanation that predicts errors need not name their cause. In a pair everything else is equal:
skill, wording, names, things and operations.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l2r_course.labs.explanations.sentences import Answered, Sentence
from l2r_course.labs.story import retold
from l2r_lite.loop.records import Problem
from l2r_lite.runs.statistics import mean_interval


@dataclass(frozen=True)
class Pair:
    """An answered question and its twin, of which h is false if it is true of the question."""

    answered: Answered
    twin: Problem


def make_pairs(answers: Sequence[Answered], h: Sentence) -> list[Pair]:
    """A twin for each question that has one. Where h cannot be flipped by a number, there is none.

    The smallest change of a number is taken, so numbers stay about as large as they were.
    """
    pairs = []
    for answered in answers:
        now = h.holds(answered)
        for twin in retold(answered.problem):
            if h.holds(dataclasses.replace(answered, problem=twin)) != now:
                pairs.append(Pair(answered, twin))
                break
    return pairs


@dataclass(frozen=True)
class Effect:
    """Error rate where h is true minus error rate where it is false, in [−1, 1].

    Attributes:
        observed: over all questions, which differ in other things too.
        within: over the questions that have a twin only: there h can be true or false.
        paired: over minimal pairs.
        half: half the width of its 95 % interval.
        pairs: how many.
    """

    observed: float
    within: float
    paired: float
    half: float
    pairs: int


def effect(
    answers: Sequence[Answered], pairs: Sequence[Pair], twin_wrong: Sequence[bool], h: Sentence
) -> Effect:
    """Compare what is observed with what minimal pairs show.

    Args:
        answers: all questions.
        twin_wrong: whether the student's answer to each pair's twin was wrong.
    """
    differences = []
    for pair, other in zip(pairs, twin_wrong, strict=True):
        sign = 1 if h.holds(pair.answered) else -1
        differences.append(sign * (float(pair.answered.wrong) - float(other)))
    mean, half = mean_interval(differences)
    return Effect(
        observed=_observed(answers, h), within=_observed([p.answered for p in pairs], h),
        paired=mean, half=half, pairs=len(differences))


def _observed(answers: Sequence[Answered], h: Sentence) -> float:
    """P(wrong | h) − P(wrong | not h); nan if h is true of all of them, or of none."""
    true = np.array([h.holds(a) for a in answers], dtype=bool)
    wrong = np.array([a.wrong for a in answers], dtype=bool)
    if true.all() or not true.any():
        return math.nan
    return float(wrong[true].mean() - wrong[~true].mean())
