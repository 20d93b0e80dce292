"""Checks of notebook 09: interval of a difference, seeds that disagree, number of seeds, Holm.

eight_seeds.jsonl has real runs with notebook 09's config, seeds 0 to 7. Each line names date and
machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2r_course.checks.base import Errors, Program, exercise, judge, judge_answer
from l2r_course.research import evidence
from l2r_course.research.statistics import holm, paired_difference, seeds_needed

EIGHT_SEEDS = Path(__file__).parent / "eight_seeds.jsonl"
Array = NDArray[np.float64]

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


def _rest(d: Array, by_seed: Array, by_question: Array) -> Array:
    return d - by_seed[:, None] - by_question + d.mean()


def _squares(
    first: Any, second: Any, rest: Callable[[Array, Array, Array], Array] = _rest
) -> tuple[float, float, float, int, int]:
    """Mean squares of seeds, of questions and of the rest, then S and Q."""
    d = np.asarray(first - second, dtype=float)
    (n, m), by_seed, by_question = d.shape, d.mean(1), d.mean(0)
    of_seeds = m * ((by_seed - d.mean()) ** 2).sum() / (n - 1)
    of_questions = n * ((by_question - d.mean()) ** 2).sum() / (m - 1)
    of_rest = (rest(d, by_seed, by_question) ** 2).sum() / ((n - 1) * (m - 1))
    return float(of_seeds), float(of_questions), float(of_rest), n, m


def _errors(
    total: Callable[[float, float, float, int, int], float],
    rest: Callable[[Array, Array, Array], Array] = _rest,
) -> list[Program]:
    """√(total / (S·Q)), with a wrong total or a wrong rest.

    Two programs: of a negative total, np.sqrt makes nan and math.sqrt an exception.

    Args:
        total: (mean squares of seeds, of questions and of the rest, S, Q) → what is divided by S·Q.
        rest: (differences, means of seeds, means of questions) → the rest of each answer.
    """

    def variance(first: Any, second: Any) -> float:
        s, q, r, n, m = _squares(first, second, rest)
        return total(s, q, r, n, m) / (n * m)

    def by_numpy(first: Any, second: Any) -> float:
        found = variance(first, second)
        return math.sqrt(found) if found >= 0 else math.nan

    return [by_numpy, lambda first, second: math.sqrt(variance(first, second))]


def _right_total(s: float, q: float, r: float, n: int, m: int) -> float:
    return s + q - r


def _freedom(n: int, m: int) -> int:
    return (n - 1) * (m - 1)


def _all_squares(s: float, q: float, r: float, n: int, m: int) -> float:
    """Sum of the squares of all answers' distances from the mean."""
    return s * (n - 1) + q * (m - 1) + r * _freedom(n, m)


def _unpaired(first: Any, second: Any) -> float:
    return math.hypot(*(_standard_error(x, 0 * x) for x in (first, second)))


def _seeds_unpaired(first: Any, second: Any) -> float:
    return math.hypot(*(x.mean(1).std(ddof=1) / math.sqrt(len(x)) for x in (first, second)))


def _binomial(first: Any, second: Any) -> float:
    return math.sqrt(sum(x.mean() * (1 - x.mean()) / x.size for x in (first, second)))


def _roots_added(first: Any, second: Any) -> float:
    s, q, r, n, m = _squares(first, second)
    return (math.sqrt(s) + math.sqrt(q) - math.sqrt(r)) / math.sqrt(n * m)


def _deviation_of_seeds(first: Any, second: Any) -> float:
    return float((first - second).mean(1).std(ddof=1))


_STANDARD_ERRORS: Errors = {
    "This is the mean difference itself. Return its standard error.":
        lambda a, b: float((a - b).mean()),
    "Keep the signs: first − second can be −1. With abs() it cannot.":
        lambda a, b: _standard_error(abs(a - b), 0 * a),
    "The rest is counted twice, because MS_seed and MS_question both contain it. Subtract MS_rest "
    "once.": _errors(lambda s, q, r, n, m: s + q),
    "You added MS_rest. Both other mean squares contain it already, so subtract it once.":
        _errors(lambda s, q, r, n, m: s + q + r),
    "This is the variance. The standard error is its square root.":
        lambda a, b: _standard_error(a, b) ** 2,
    "You used the seeds only. Other test questions would have given another difference too.":
        [*_errors(lambda s, q, r, n, m: s), *_errors(lambda s, q, r, n, m: s * (n - 1) / n),
         _deviation_of_seeds],
    "You used the questions only. Another seed would have given another difference too.":
        [*_errors(lambda s, q, r, n, m: q), *_errors(lambda s, q, r, n, m: q * (m - 1) / m)],
    "You used the rest only. It says nothing about how much whole seeds or questions differ.":
        _errors(lambda s, q, r, n, m: r),
    "You counted every answer as an independent experiment. Answers with one seed share that seed, "
    "answers to one question share the question: use the three mean squares.":
        [*_errors(lambda *x: _all_squares(*x) / (x[3] * x[4])),
         *_errors(lambda *x: _all_squares(*x) / (x[3] * x[4] - 1)), _binomial],
    "You added the errors of two arms. They are pairs: take the difference of the two arrays "
    "first, and what both have in common cancels.": [_unpaired, _seeds_unpaired],
    "MS_rest has (S − 1)·(Q − 1) degrees of freedom: divide its sum of squares by that, not by the "
    "number of answers.":
        [*_errors(lambda s, q, r, n, m: s + q - r * _freedom(n, m) / (n * m)),
         *_errors(lambda s, q, r, n, m: s + q - r * _freedom(n, m) / (n * m - 1))],
    "Divide the sums of squares by S − 1, Q − 1 and (S − 1)·(Q − 1). You divided by S or Q "
    "somewhere, as np.var does without ddof=1.": [
        *_errors(lambda s, q, r, n, m: (
            s * (n - 1) / n + q * (m - 1) / m - r * _freedom(n, m) / (n * m))),
        *_errors(lambda s, q, r, n, m: s * (n - 1) / n + q * (m - 1) / m - r),
        *_errors(lambda s, q, r, n, m: s * (n - 1) / n + q - r),
        *_errors(lambda s, q, r, n, m: s + q * (m - 1) / m - r)],
    "A factor is missing. A seed's mean covers Q answers: MS_seed = Q · Σ (…)² / (S − 1). A "
    "question's mean covers S answers: MS_question = S · Σ (…)² / (Q − 1).": [
        *_errors(lambda s, q, r, n, m: s / m + q / n - r),
        *_errors(lambda s, q, r, n, m: s / m + q - r),
        *_errors(lambda s, q, r, n, m: s + q / n - r)],
    "Axes or factors are swapped. Rows are seeds: a seed's mean runs over axis 1, and MS_seed has "
    "the factor Q. MS_question has the factor S.":
        [*_errors(lambda s, q, r, n, m: s * n / m + q * m / n - r),
         *_errors(lambda s, q, r, n, m: (
             q * (m - 1) * m / n / (n - 1) + s * (n - 1) * n / m / (m - 1) - r))],
    "The rest is d − (mean of its seed) − (mean of its question) + (mean of all). Your last term "
    "is missing or has the wrong sign.": [
        *_errors(_right_total, lambda d, s, q: d - s[:, None] - q),
        *_errors(_right_total, lambda d, s, q: d - s[:, None] - q - d.mean())],
    "The seeds' means must be a column: d.mean(1, keepdims=True). Otherwise NumPy subtracts them "
    "along the wrong axis, or not at all.":
        _errors(_right_total, lambda d, s, q: d - s - q + d.mean()),
    "Add and subtract the mean squares first; then take one square root of the result.":
        _roots_added,
    "S·Q belongs under the square root: √(… / (S·Q)).":
        lambda a, b: _standard_error(a, b) / math.sqrt(a.size),
    "Divide the three mean squares by S·Q. You divided by something else.": [
        *_errors(lambda s, q, r, n, m: (s + q - r) * n),
        *_errors(lambda s, q, r, n, m: (s + q - r) * m),
        *_errors(lambda s, q, r, n, m: (s + q - r) * n * m / _freedom(n, m))],
    "This is the error of a single answer. A mean over S·Q answers has the variance divided by "
    "S·Q.": lambda a, b: _standard_error(a, b) * math.sqrt(a.size),
    "Right, but in points of accuracy. Return a share: 0.25, not 25.":
        lambda a, b: 100 * _standard_error(a, b),
    "This is half of an interval. Return the standard error, without 1.96 or Student's t.":
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
                "Give two seeds, as in (0, 1), not their gains. The table has the seeds "
                f"{min(gain)} to {max(gain)}.")
        one, other = (gain[seed] for seed in wrong)
        if tuple(wrong) == (least, most):
            return "These are the two seeds, in the wrong order: the one for reflection is first."
        told = f"{one:+.1f} and {other:+.1f} points"
        if one * other > 0:
            return f"Both tell the same story: {told}."
        return (
            f"{told}: there is a more extreme pair. Compare the two arms within a row; how high "
            "the accuracy of one arm is does not matter.")

    given = tuple(answer) if isinstance(answer, list) else answer
    judge_answer("09.2", given, (most, least), likely)


_Z, _POWER = 1.959964, 0.841621


def _counts(*formulas: Callable[[float, float], float]) -> list[Program]:
    """Programs that round a wrong formula up, with "at least 1" and without it."""

    def program(formula: Callable[[float, float], float], least: int | None) -> Program:
        def count(d: float, s: float) -> int:
            rounded = math.ceil(formula(d, s))
            return rounded if least is None else max(least, rounded)

        return count

    return [program(formula, least) for formula in formulas for least in (1, None)]


def _squared(z: float) -> list[Program]:
    """The right formula with another factor than 1.96 + 0.84."""
    return _counts(lambda d, s: (z * s / d) ** 2)


_SEED_ERRORS: Errors = {
    "You left the power out: with 1.96 alone, half of all experiments miss the difference. "
    "Add 0.84 for 80 %.": _squared(_Z),
    "0.8 is the power itself. The formula needs the quantile that belongs to it: 0.84.":
        _squared(_Z + 0.8),
    "0.2 is the share of experiments that miss the difference. Add the quantile 0.84.":
        _squared(_Z + 0.2),
    "1.64 belongs to a one-sided test. A 95 % interval has two sides: 1.96.":
        [*_squared(1.644854 + _POWER), *_squared(1.64 + 0.84)],
    "You used 1.96 twice. The second number belongs to the power: 0.84 for 80 %.":
        _squared(2 * _Z),
    "1.96 and 0.84 are added, not multiplied or subtracted.":
        [*_squared(_Z * _POWER), *_squared(_Z - _POWER)],
    "You squared 1.96 and 0.84 separately. Add them first.":
        _squared(math.hypot(_Z, _POWER)),
    "The square is missing: the standard error shrinks with the square root of n, so n grows with "
    "the square.":
        _counts(lambda d, s: (_Z + _POWER) * s / abs(d), lambda d, s: (_Z + _POWER) * s / d),
    "The square covers the whole bracket: 2.8, the deviation and the difference.": _counts(
        lambda d, s: (_Z + _POWER) ** 2 * s / abs(d), lambda d, s: (_Z + _POWER) ** 2 * s / d,
        lambda d, s: ((_Z + _POWER) / d) ** 2 * s, lambda d, s: (_Z + _POWER) * (s / d) ** 2),
    "Twice too many: a factor 2 belongs to unpaired arms. Here the deviation is already that of "
    "the paired difference.": _counts(lambda d, s: 2 * ((_Z + _POWER) * s / d) ** 2),
    "Deviation and difference are swapped: a larger spread needs more seeds, a larger "
    "difference fewer.": _counts(
        lambda d, s: ((_Z + _POWER) * d / s) ** 2 if s else 1,
        lambda d, s: (2.8 * d / s) ** 2 if s else 1,
        lambda d, s: ((_Z + _POWER) * d / s) ** 2, lambda d, s: (2.8 * d / s) ** 2),
    "The sign of the difference does not matter: −2 points need the same number of seeds as +2.":
        _counts(lambda d, s: ((_Z + _POWER) * s / d) ** 2 if d > 0 else 1),
    "Square first, and round up at the very end.":
        [lambda d, s: max(1, math.ceil((_Z + _POWER) * s / d) ** 2),
         lambda d, s: max(1, math.ceil((_Z + _POWER) * s / abs(d)) ** 2),
         lambda d, s: math.ceil((_Z + _POWER) * s / abs(d)) ** 2],
    "Round up: 7.85 seeds are 8, and 1.3 are 2 (and never fewer than 1).":
        [lambda d, s: max(1, int(((_Z + _POWER) * s / d) ** 2)),
         lambda d, s: max(1, round(((_Z + _POWER) * s / d) ** 2)),
         lambda d, s: int(((_Z + _POWER) * s / d) ** 2),
         lambda d, s: round(((_Z + _POWER) * s / d) ** 2)],
    "Without any spread, one seed is enough, but you need that one: at least 1.":
        lambda d, s: math.ceil(((_Z + _POWER) * s / d) ** 2),
    "A number of seeds is whole: round up.":
        [lambda d, s: max(1, ((_Z + _POWER) * s / d) ** 2),
         lambda d, s: ((_Z + _POWER) * s / d) ** 2,
         lambda d, s: max(1, (2.8 * s / d) ** 2), lambda d, s: (2.8 * s / d) ** 2],
}


@exercise("09.3", "how many seeds")
def check_seeds_needed(theirs: Program) -> None:
    """my_seeds_needed(difference, deviation) → a whole number of seeds."""
    cases: list[tuple[Any, ...]] = [
        (2.0, 2.0), (1.0, 2.0), (3.0, 5.0), (-2.0, 2.0), (0.5, 2.0), (10.0, 2.0), (2.0, 0.0)]
    judge("09.3", theirs, seeds_needed, cases, _SEED_ERRORS)


Values = Sequence[float]


def _holm_with(
    correct: Callable[[float, int, int], float], *, pick: Callable[[float, float], float] = max,
    monotone: bool = True, sort: bool = True, down: bool = False,
) -> list[Program]:
    """Holm with one thing wrong; two programs, one of them without the cut at 1.

    Args:
        correct: (p, its rank from 0, m) → the corrected p.
        pick: what is kept of the value before and this one.
        monotone: without it, a value may be smaller than the one before.
        sort, down: whether p-values are sorted at all, and whether from the largest.
    """

    def program(most: float) -> Program:
        def wrong(p: Values) -> list[float]:
            order = sorted(range(len(p)), key=lambda i: p[i], reverse=down)
            corrected, last = [0.0] * len(p), None
            for rank, i in enumerate(order if sort else range(len(p))):
                value = min(most, correct(p[i], rank, len(p)))
                last = value if last is None or not monotone else pick(last, value)
                corrected[i] = last
            return corrected

        return wrong

    return [program(1.0), program(math.inf)]


def _by_index(rank_of: Callable[[Values], Sequence[int]]) -> list[Program]:
    """(m − rank) · p, value by value, cut at 1 or not."""

    def program(most: float) -> Program:
        return lambda p: [
            min(most, (len(p) - int(r)) * x) for r, x in zip(rank_of(p), p, strict=True)]

    return [program(1.0), program(math.inf)]


_HOLM_ERRORS: Errors = {
    "You multiplied every p by m: that is Bonferroni's correction, which is also safe but finds "
    "less. Holm multiplies the smallest by m, the next by m − 1, and so on.":
        [*_holm_with(lambda p, rank, m: m * p)],
    "The factors are the wrong way round: multiply the smallest p by m, the largest by 1.":
        [*_holm_with(lambda p, rank, m: (rank + 1) * p),
         *_holm_with(lambda p, rank, m: (rank + 1) * p, monotone=False),
         *_holm_with(lambda p, rank, m: (m - rank) * p, down=True),
         *_holm_with(lambda p, rank, m: (m - rank) * p, down=True, monotone=False)],
    "Right factors, but a corrected p must not be smaller than the one before: keep the largest "
    "so far. Otherwise a larger p could pass where a smaller one failed.":
        [*_holm_with(lambda p, rank, m: (m - rank) * p, monotone=False),
         *_by_index(lambda p: [sorted(p).index(x) for x in p])],
    "Keep the largest corrected value so far, not the smallest.":
        _holm_with(lambda p, rank, m: (m - rank) * p, pick=min),
    "A probability cannot exceed 1: cut the corrected values off there.":
        _holm_with(lambda p, rank, m: (m - rank) * p)[1],
    "The values are right, but sorted. Return them in the order in which the p-values came.": [
        lambda p: sorted(holm(p)),
        lambda p: [min(1.0, (len(p) - k) * x) for k, x in enumerate(sorted(p))]],
    "The factor of the smallest is m, and yours is m − 1. Do you count ranks from 1?":
        [*_holm_with(lambda p, rank, m: (m - rank - 1) * p),
         *_holm_with(lambda p, rank, m: (m - rank - 1) * p, monotone=False)],
    "Sort the p-values first. You took them in the order given.":
        [*_holm_with(lambda p, rank, m: (m - rank) * p, sort=False),
         *_holm_with(lambda p, rank, m: (m - rank) * p, sort=False, monotone=False)],
    "np.argsort gives the place of the smallest, of the next, and so on; it does not give the rank "
    "of each p. Loop over the places, or apply argsort twice.":
        _by_index(lambda p: list(np.argsort(p))),
    "Multiply p by the factor. You divided: that lowers the bar for p instead of raising p.":
        [*_holm_with(lambda p, rank, m: p / (m - rank)),
         *_holm_with(lambda p, rank, m: p / (m - rank), monotone=False)],
    "1 − (1 − p)^k is Šidák's variant. Holm multiplies: k · p.":
        _holm_with(lambda p, rank, m: 1 - (1 - p) ** (m - rank)),
    "You divided by rank / m (Benjamini and Hochberg). That bounds the share of false findings, "
    "not the chance of any.":
        lambda p: [
            min(1.0, min(len(p) * q / sum(r <= q for r in p) for q in p if q >= x)) for x in p],
    "Return the corrected p-values themselves, not whether they are below 0.05.":
        lambda p: [x < 0.05 for x in holm(p)],
}


@exercise("09.4", "Holm's correction")
def check_holm(theirs: Program) -> None:
    """my_holm(p_values) → the corrected p-values, in the order given."""
    cases: list[tuple[Any, ...]] = [
        ([0.01, 0.04, 0.03],), ([0.04],), ([0.03, 0.01],), ([0.02, 0.02, 0.9],), ([0.6, 0.7],),
        ([0.2, 0.001, 0.013, 0.012],), ([],)]
    judge("09.4", theirs, holm, cases, _HOLM_ERRORS)
