"""Checks of notebook 10: the interval of a difference, disagreeing seeds, how many seeds, Holm.

eight_seeds.jsonl holds real runs of notebook 10's config, seeds 0 to 7; each line says when and on
what machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from l2r_course.checks.base import Errors, Program, exercise, judge, judge_answer
from l2r_course.research import evidence
from l2r_course.research.statistics import holm, paired_difference, seeds_needed

EIGHT_SEEDS = Path(__file__).parent / "eight_seeds.jsonl"

# Pairs whose seeds and questions both vary at least as much as the rest alone would make them:
# cutting a part off at 0 changes nothing here, and is no error. The first is the worked example.
_CORNER, _SEED, _QUESTION = (
    np.array([[1, 1], [1, 0]]), np.array([[1] * 3, [0] * 3, [0] * 3]), np.array([[1, 0, 0]] * 3))
_MIXED = np.array([[1, 1, 1, 0, 1], [1, 1, 1, 1, 1], [1, 1, 0, 0, 1]])
_OTHER = np.array([[1, 0, 0, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 1, 1]])
_PAIRS = [
    (_CORNER, 0 * _CORNER), (_MIXED, _OTHER), (_SEED, 0 * _SEED), (0 * _QUESTION, _QUESTION),
    (_MIXED, _MIXED), (np.ones((2, 3), dtype=int), np.zeros((2, 3), dtype=int))]


def _standard_error(first: Any, second: Any) -> float:
    return paired_difference(first, second).standard_error


def _errors(
    total: Callable[[float, float, float, int, int], float], *, whole_rest: bool = True
) -> list[Program]:
    """√(total / (S·Q)), of a total that goes wrong.

    Two programs: of a negative total, np.sqrt makes nan and math.sqrt an exception.

    Args:
        total: (mean squares of seeds, of questions and of the rest, S, Q) → what is divided by S·Q.
        whole_rest: without it the rest lacks its last term, the mean of all.
    """

    def variance(first: Any, second: Any) -> float:
        d = first - second
        (n, m), by_seed, by_question = d.shape, d.mean(1, keepdims=True), d.mean(0, keepdims=True)
        of_seeds = m * ((by_seed - d.mean()) ** 2).sum() / (n - 1)
        of_questions = n * ((by_question - d.mean()) ** 2).sum() / (m - 1)
        squares = (d - by_seed - by_question + whole_rest * d.mean()) ** 2
        rest = squares.sum() / ((n - 1) * (m - 1))
        return total(of_seeds, of_questions, rest, n, m) / d.size

    def by_numpy(first: Any, second: Any) -> float:
        found = variance(first, second)
        return math.sqrt(found) if found >= 0 else math.nan

    return [by_numpy, lambda first, second: math.sqrt(variance(first, second))]


def _freedom(n: int, m: int) -> int:
    return (n - 1) * (m - 1)


def _all_squares(s: float, q: float, r: float, n: int, m: int) -> float:
    """Sum of the squares of all answers' distances from the mean."""
    return s * (n - 1) + q * (m - 1) + r * _freedom(n, m)


def _unpaired(first: Any, second: Any) -> float:
    return math.hypot(*(_standard_error(x, 0 * x) for x in (first, second)))


def _seeds_unpaired(first: Any, second: Any) -> float:
    return math.hypot(*(x.mean(1).std(ddof=1) / math.sqrt(len(x)) for x in (first, second)))


_STANDARD_ERRORS: Errors = {
    "The rest is counted twice: both the seeds' and the questions' mean square hold it. Subtract "
    "MS_rest once.": _errors(lambda s, q, r, n, m: s + q),
    "You added MS_rest. It is in both other mean squares already, once too often: subtract it.":
        _errors(lambda s, q, r, n, m: s + q + r),
    "This is the variance. The standard error is its root.":
        lambda a, b: _standard_error(a, b) ** 2,
    "You took the seeds only. Other test questions would have given another difference too.":
        [*_errors(lambda s, q, r, n, m: s), *_errors(lambda s, q, r, n, m: s * (n - 1) / n)],
    "You took the questions only. Another seed would have given another difference too.":
        [*_errors(lambda s, q, r, n, m: q), *_errors(lambda s, q, r, n, m: q * (m - 1) / m)],
    "You counted every answer as one more independent experiment. Answers of one seed share its "
    "luck, answers to one question share the question: take the three mean squares.":
        [*_errors(lambda *x: _all_squares(*x) / (x[3] * x[4])),
         *_errors(lambda *x: _all_squares(*x) / (x[3] * x[4] - 1))],
    "You added up two arms' errors. They are pairs: take the difference of the two arrays first, "
    "so that what is common to both cancels.": [_unpaired, _seeds_unpaired],
    "MS_rest has (S − 1)·(Q − 1) degrees of freedom: divide its sum of squares by that, not by the "
    "number of answers.":
        [*_errors(lambda s, q, r, n, m: s + q - r * _freedom(n, m) / (n * m)),
         *_errors(lambda s, q, r, n, m: s + q - r * _freedom(n, m) / (n * m - 1))],
    "Divide the sums of squares by S − 1, Q − 1 and (S − 1)·(Q − 1). You divided by S, Q and S·Q, "
    "as np.var does without ddof=1.": _errors(lambda s, q, r, n, m: (
        s * (n - 1) / n + q * (m - 1) / m - r * _freedom(n, m) / (n * m))),
    "A factor is missing: a seed's mean is over Q answers, so Q · Σ (…)² / (S − 1); a question's "
    "is over S answers, so S · Σ (…)² / (Q − 1).":
        _errors(lambda s, q, r, n, m: s / m + q / n - r),
    "Axes or factors are swapped: rows are seeds, so a seed's mean is over axis 1, and their mean "
    "square has the factor Q; that of the questions has the factor S.":
        [*_errors(lambda s, q, r, n, m: s * n / m + q * m / n - r),
         *_errors(lambda s, q, r, n, m: (
             q * (m - 1) * m / n / (n - 1) + s * (n - 1) * n / m / (m - 1) - r))],
    "The rest is d − (mean of its seed) − (mean of its question) + (mean of all): yours lacks the "
    "last term.": _errors(lambda s, q, r, n, m: s + q - r, whole_rest=False),
    "This is the error of a single answer. A mean over S·Q answers has the variance divided by "
    "S·Q.": lambda a, b: _standard_error(a, b) * math.sqrt(a.size),
    "Right, but in points of accuracy. Give it as a share: 0.25, not 25.":
        lambda a, b: 100 * _standard_error(a, b),
    "This is half of an interval. The standard error is asked for, without 1.96 or Student's t.":
        [lambda a, b: 1.96 * _standard_error(a, b),
         lambda a, b: paired_difference(a, b).high - (a - b).mean()],
}


@exercise("09.1", "the interval of a difference")
def check_standard_error(theirs: Program) -> None:
    """my_standard_error(first, second) → that of the mean paired difference."""
    judge("09.1", theirs, _standard_error, _PAIRS, _STANDARD_ERRORS)


def _by_seed() -> dict[int, float]:
    """Seed → reflection − tailored, in points of accuracy."""
    runs = evidence.read_log(EIGHT_SEEDS)
    seeds, tailored, reflection = evidence.paired(runs, "tailored", "reflection", after=-1)
    return dict(zip(seeds, 100 * (reflection - tailored).mean(1), strict=True))


@exercise("09.2", "two seeds, two stories")
def check_two_stories(answer: Any) -> None:
    """The seed that speaks most for reflection, then the one that speaks most against it."""
    gain = _by_seed()
    most, least = max(gain, key=lambda s: gain[s]), min(gain, key=lambda s: gain[s])

    def likely(wrong: Any) -> str:
        pair = isinstance(wrong, Sequence) and len(wrong) == 2
        if not pair or not all(seed in gain for seed in wrong):
            return (
                "The answer is a pair of seeds, as in (0, 1); the table has the seeds "
                f"{min(gain)} to {max(gain)}.")
        one, other = (gain[seed] for seed in wrong)
        if tuple(wrong) == (least, most):
            return (
                "These are the two seeds, in the other order: first the one that speaks for "
                "reflection.")
        if one * other > 0:
            return f"Both tell the same story: {one:+.1f} and {other:+.1f} points."
        return (
            f"{one:+.1f} and {other:+.1f} points: there is a more extreme pair. Look at the "
            "difference of the two arms within a row, not at how high one arm's accuracy is.")

    given = tuple(answer) if isinstance(answer, list) else answer
    judge_answer("09.2", given, (most, least), likely)


_Z, _POWER = 1.959964, 0.841621


@exercise("09.3", "how many seeds")
def check_seeds_needed(theirs: Program) -> None:
    """my_seeds_needed(difference, deviation) → a whole number of seeds."""
    cases: list[tuple[Any, ...]] = [
        (2.0, 2.0), (1.0, 2.0), (3.0, 5.0), (-2.0, 2.0), (0.5, 2.0), (10.0, 2.0), (2.0, 0.0)]

    def formula(count: Callable[[float, float], float]) -> Callable[[float, float], int]:
        return lambda d, s: max(1, math.ceil(count(d, s)))

    judge("09.3", theirs, seeds_needed, cases, {
        "You left the power out: with 1.96 alone, half of all experiments miss the difference. "
        "Add 0.84 for 80 %.": formula(lambda d, s: (_Z * s / d) ** 2),
        "The square is missing: the standard error shrinks with the root of n, so n grows with "
        "the square.":
            [formula(lambda d, s: (_Z + _POWER) * s / abs(d)),
             formula(lambda d, s: (_Z + _POWER) * s / d)],
        "Twice as many as needed: the 2 belongs to unpaired arms. Here the deviation is already "
        "that of the paired difference.": formula(lambda d, s: 2 * ((_Z + _POWER) * s / d) ** 2),
        "Deviation and difference are swapped: a larger spread needs more seeds, a larger "
        "difference fewer.": formula(lambda d, s: ((_Z + _POWER) * d / s) ** 2 if s else 1),
        "You squared 1.96 and 0.84 separately: they are added first.":
            formula(lambda d, s: (_Z**2 + _POWER**2) * (s / d) ** 2),
        "Round up: 7.85 seeds are 8, and 1.3 are 2 (and never fewer than 1).":
            [lambda d, s: max(1, int(((_Z + _POWER) * s / d) ** 2)),
             lambda d, s: max(1, round(((_Z + _POWER) * s / d) ** 2))],
        "Without any spread one seed is enough, but none is not: at least 1.":
            lambda d, s: math.ceil(((_Z + _POWER) * s / d) ** 2),
        "Seeds are whole: round the number up.": lambda d, s: max(1, ((_Z + _POWER) * s / d) ** 2),
    })


def _holm_with(
    factor: Callable[[int, int], float], *, monotone: bool = True, clip: bool = True
) -> Program:
    """Holm with the factor of the p at `rank` of m, and without one or the other guard."""

    def wrong(p: Sequence[float]) -> list[float]:
        corrected, largest = [0.0] * len(p), 0.0
        for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
            value = factor(rank, len(p)) * p[i]
            value = min(1.0, value) if clip else value
            largest = max(largest, value) if monotone else value
            corrected[i] = largest
        return corrected

    return wrong


@exercise("09.4", "Holm's correction")
def check_holm(theirs: Program) -> None:
    """my_holm(p_values) → the corrected p-values, in the order given."""
    cases: list[tuple[Any, ...]] = [
        ([0.01, 0.04, 0.03],), ([0.04],), ([0.03, 0.01],), ([0.02, 0.02, 0.9],), ([0.6, 0.7],),
        ([0.2, 0.001, 0.013, 0.012],), ([],)]
    judge("09.4", theirs, holm, cases, {
        "You multiplied all by m: that is Bonferroni's correction, which is safe too but finds "
        "less. Holm multiplies the smallest by m, the next by m − 1, and so on.":
            _holm_with(lambda rank, m: m),
        "The factors are the wrong way round: the smallest p is multiplied by m, the largest by 1.":
            _holm_with(lambda rank, m: rank + 1),
        "Right factors, but a corrected p may not be smaller than the one before it: take the "
        "largest so far. Else a larger p could pass where a smaller one failed.":
            _holm_with(lambda rank, m: m - rank, monotone=False),
        "A probability cannot exceed 1: cut the corrected values off there.":
            _holm_with(lambda rank, m: m - rank, clip=False),
        "The values are right, but sorted: give them back in the order in which the p-values came.":
            lambda p: sorted(holm(p)),
        "The factor of the smallest should be m, and yours is m − 1: do you count ranks from 1?":
            _holm_with(lambda rank, m: m - rank - 1),
        "You took the p-values in the order given; they must be sorted first.":
            lambda p: [
                min(1.0, max((len(p) - j) * p[j] for j in range(i + 1))) for i in range(len(p))],
        "You divided by m / rank (Benjamini and Hochberg): that bounds the share of false finds, "
        "not the chance of any.":
            lambda p: [
                min(1.0, min(len(p) * q / sum(r <= q for r in p) for q in p if q >= x)) for x in p],
    })
