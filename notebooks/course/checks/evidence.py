"""Checks of notebook 08: the paired bootstrap, disagreeing seeds, how many seeds, Holm.

eight_seeds.jsonl holds real runs of notebook 08's config, seeds 0 to 7; each line says when and on
what machine.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from l2r_course.checks.base import Errors, Program, exercise, judge, judge_answer
from l2r_course.research import evidence
from l2r_course.research.statistics import holm, paired_bootstrap, seeds_needed

EIGHT_SEEDS = Path(__file__).parent / "eight_seeds.jsonl"

# Small tables whose draws take few values, so that a right interval does not hang on luck.
_SEED, _QUESTION = np.array([[1] * 3, [0] * 3, [0] * 3]), np.array([[1, 0, 0]] * 3)
_NONE = np.zeros((3, 3), dtype=int)
_NOISY = np.random.default_rng(8).integers(0, 2, (4, 40))
_AGAIN = 30  # so few draws that only a seeded function gives the same interval twice
_BOOTSTRAP = [
    (np.ones((2, 2), dtype=int), np.zeros((2, 2), dtype=int), 100, 0), (_SEED, _SEED, 500, 0),
    (_SEED, _NONE, 5000, 0), (_NONE, _QUESTION, 5000, 0), (_QUESTION, _QUESTION, 500, 1),
    (np.array([[1, 0, 0]]), np.array([[0, 0, 0]]), 5000, 1), (_NOISY, 1 - _NOISY, _AGAIN, 3)]


def _interval(first: Any, second: Any, draws: int, seed: int) -> tuple[float, float]:
    found = paired_bootstrap(first, second, draws=draws, seed=seed)
    return found.low, found.high


def _resampled(take: Program, tails: tuple[float, float] = (2.5, 97.5)) -> Program:
    """A bootstrap that goes wrong in its tails, or in what a draw takes.

    Args:
        take: (generator, draws, first, second) → one difference per draw.
    """

    def bootstrap(first: Any, second: Any, draws: int, seed: int) -> tuple[float, float]:
        low, high = np.percentile(take(np.random.default_rng(seed), draws, first, second), tails)
        return float(low), float(high)

    return bootstrap


def _weights(rng: np.random.Generator, draws: int, n: int) -> Any:
    """(draws, n): the share of each of n things in a draw of n with repetition."""
    return (rng.integers(n, size=(draws, n))[:, :, None] == np.arange(n)).mean(1)


def _mean(rows: Any, table: Any, columns: Any) -> Any:
    """(draws,): the table's mean, with a draw's weights of its rows and columns."""
    return np.einsum("ds,sq,dq->d", rows, table, columns)


def _crossed(rng: np.random.Generator, n: int, table: Any) -> Any:
    return _mean(_weights(rng, n, len(table)), table, _weights(rng, n, table.shape[1]))


def _right(rng: np.random.Generator, n: int, a: Any, b: Any) -> Any:
    return _crossed(rng, n, a - b)


def _unpaired(rng: np.random.Generator, n: int, a: Any, b: Any) -> Any:
    return _crossed(rng, n, a) - _crossed(rng, n, b)


def _seeds_unpaired(rng: np.random.Generator, n: int, a: Any, b: Any) -> Any:
    columns = _weights(rng, n, a.shape[1])
    one, other = (_mean(_weights(rng, n, len(x)), x, columns) for x in (a, b))
    return one - other


def _questions_unpaired(rng: np.random.Generator, n: int, a: Any, b: Any) -> Any:
    rows = _weights(rng, n, len(a))
    one, other = (_mean(rows, x, _weights(rng, n, x.shape[1])) for x in (a, b))
    return one - other


def _row_by_row(rng: np.random.Generator, n: int, a: Any, b: Any) -> Any:
    rows = rng.integers(len(a), size=(n, len(a)))
    columns = rng.integers(a.shape[1], size=(n, *a.shape))
    return (a - b)[rows[:, :, None], columns].mean((1, 2))


def _cells(rng: np.random.Generator, n: int, a: Any, b: Any) -> Any:
    return (a - b).ravel()[rng.integers(a.size, size=(n, a.size))].mean(1)


_EQUAL, _OTHER = "the same interval from two calls", "two intervals from two calls"
_BOOTSTRAP_ERRORS: Errors = {
    "Your interval leaves 5 % out on each side: that is a 90 % interval. 95 % leaves out 2.5 % on "
    "each side.": _resampled(_right, (5, 95)),
    "You drew rows and columns without repetition, which only shuffles them: every draw is then "
    "the same mean.": lambda a, b, n, s: (float((a - b).mean()),) * 2,
    "You resampled the questions only. Another seed would have given another difference too: take "
    "seeds with repetition first, then questions.":
        _resampled(lambda rng, n, a, b: _weights(rng, n, a.shape[1]) @ (a - b).mean(0)),
    "You resampled the seeds only. Other test questions would have given another difference too.":
        _resampled(lambda rng, n, a, b: _weights(rng, n, len(a)) @ (a - b).mean(1)),
    "You resampled the two arms separately. They are pairs: one draw takes the same seeds and the "
    "same questions of both, so that what is common to both cancels in the difference.":
        [_resampled(_unpaired), _resampled(_seeds_unpaired), _resampled(_questions_unpaired)],
    "You drew new questions for each seed, or single cells. All seeds sat the same test: draw the "
    "questions once, and take those columns of every row.":
        [_resampled(_row_by_row), _resampled(_cells)],
    "np.percentile wants percent (2.5 and 97.5), and you gave it shares (0.025 and 0.975); "
    "np.quantile takes shares.": _resampled(_right, (0.025, 0.975)),
    "Low and high are swapped: the 2.5th percentile comes first.": _resampled(_right, (97.5, 2.5)),
    "The sign is turned: the difference is first − second.":
        lambda a, b, n, s: _interval(b, a, n, s),
    "Called twice with the same seed, it gives two intervals. Make the generator inside the "
    "function: rng = np.random.default_rng(seed).":
        lambda a, b, n, s: _OTHER if n == _AGAIN else _interval(a, b, n, s),
}


@exercise("08.1", "the paired bootstrap")
def check_paired_bootstrap(theirs: Program) -> None:
    """my_paired_bootstrap(first, second, draws, seed) → (low, high)."""
    errors = {
        sentence: list(map(_twice, [programs] if callable(programs) else programs))
        for sentence, programs in _BOOTSTRAP_ERRORS.items()}
    judged = _twice(theirs) if callable(theirs) else theirs
    judge("08.1", judged, _twice(_interval), _BOOTSTRAP, errors, tolerance=0.01)


def _twice(function: Program) -> Program:
    """In the case with few draws: whether two calls with one seed agree."""

    @functools.wraps(function)
    def judged(first: Any, second: Any, draws: int, seed: int) -> Any:
        found = function(first, second, draws, seed)
        if draws != _AGAIN or found is None or isinstance(found, str):
            return tuple(found) if isinstance(found, list | np.ndarray) else found
        return _EQUAL if np.array_equal(found, function(first, second, draws, seed)) else _OTHER

    return judged


def _by_seed() -> dict[int, float]:
    """Seed → reflection − tailored, in points of accuracy."""
    runs = evidence.read_log(EIGHT_SEEDS)
    seeds, tailored, reflection = evidence.paired(runs, "tailored", "reflection", after=-1)
    return dict(zip(seeds, 100 * (reflection - tailored).mean(1), strict=True))


@exercise("08.2", "two seeds, two stories")
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
    judge_answer("08.2", given, (most, least), likely)


_Z, _POWER = 1.959964, 0.841621


@exercise("08.3", "how many seeds")
def check_seeds_needed(theirs: Program) -> None:
    """my_seeds_needed(difference, deviation) → a whole number of seeds."""
    cases: list[tuple[Any, ...]] = [
        (2.0, 2.0), (1.0, 2.0), (3.0, 5.0), (-2.0, 2.0), (0.5, 2.0), (10.0, 2.0), (2.0, 0.0)]

    def formula(count: Callable[[float, float], float]) -> Callable[[float, float], int]:
        return lambda d, s: max(1, math.ceil(count(d, s)))

    judge("08.3", theirs, seeds_needed, cases, {
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


@exercise("08.4", "Holm's correction")
def check_holm(theirs: Program) -> None:
    """my_holm(p_values) → the corrected p-values, in the order given."""
    cases: list[tuple[Any, ...]] = [
        ([0.01, 0.04, 0.03],), ([0.04],), ([0.03, 0.01],), ([0.02, 0.02, 0.9],), ([0.6, 0.7],),
        ([0.2, 0.001, 0.013, 0.012],), ([],)]
    judge("08.4", theirs, holm, cases, {
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
