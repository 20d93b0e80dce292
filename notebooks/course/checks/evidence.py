"""Checks of notebook 08: the paired bootstrap, seeds that disagree, how many seeds are enough, Holm's correction.

eight_seeds.jsonl holds real runs of notebook 08's kind (its config, seeds 0 to 7); each line says
when and on what machine.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from l2r_course.checks.base import Likely, exercise, judge, judge_answer
from l2r_course.research import evidence
from l2r_course.research.statistics import holm, paired_bootstrap, seeds_needed

EIGHT_SEEDS = Path(__file__).parent / "eight_seeds.jsonl"

# --- 08.1 ---

# Small tables whose draws take few values, so that a right interval does not depend on the random
# numbers used.
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


# (generator, draws, first, second) → one difference a draw
Take = Callable[[np.random.Generator, int, Any, Any], Any]


def _resampled(
    take: Take, tails: tuple[float, float] = (2.5, 97.5)
) -> Callable[..., tuple[float, float]]:
    """A bootstrap that goes wrong in what a draw takes, or in the tails."""

    def bootstrap(first: Any, second: Any, draws: int, seed: int) -> tuple[float, float]:
        low, high = np.percentile(take(np.random.default_rng(seed), draws, first, second), tails)
        return float(low), float(high)

    return bootstrap


def _weights(rng: np.random.Generator, draws: int, n: int) -> Any:
    """(draws, n): the share of each of n things in a draw of n with repetition."""
    return (rng.integers(n, size=(draws, n))[:, :, None] == np.arange(n)).mean(1)


def _crossed(rng: np.random.Generator, draws: int, table: Any) -> Any:
    rows, columns = (_weights(rng, draws, n) for n in table.shape)
    return np.einsum("ds,sq,dq->d", rows, table, columns)


def _right(rng: np.random.Generator, draws: int, a: Any, b: Any) -> Any:
    return _crossed(rng, draws, a - b)


def _unpaired(rng: np.random.Generator, draws: int, a: Any, b: Any) -> Any:
    return _crossed(rng, draws, a) - _crossed(rng, draws, b)


def _seeds_unpaired(rng: np.random.Generator, draws: int, a: Any, b: Any) -> Any:
    columns = _weights(rng, draws, a.shape[1])
    one, other = (
        np.einsum("ds,sq,dq->d", _weights(rng, draws, len(x)), x, columns) for x in (a, b))
    return one - other


def _questions_unpaired(rng: np.random.Generator, draws: int, a: Any, b: Any) -> Any:
    rows = _weights(rng, draws, len(a))
    one, other = (
        np.einsum("ds,sq,dq->d", rows, x, _weights(rng, draws, x.shape[1])) for x in (a, b))
    return one - other


def _row_by_row(rng: np.random.Generator, draws: int, a: Any, b: Any) -> Any:
    rows = rng.integers(len(a), size=(draws, len(a)))
    columns = rng.integers(a.shape[1], size=(draws, len(a), a.shape[1]))
    return (a - b)[rows[:, :, None], columns].mean((1, 2))


def _cells(rng: np.random.Generator, draws: int, a: Any, b: Any) -> Any:
    return (a - b).ravel()[rng.integers(a.size, size=(draws, a.size))].mean(1)


def _questions_only(rng: np.random.Generator, draws: int, a: Any, b: Any) -> Any:
    return _weights(rng, draws, a.shape[1]) @ (a - b).mean(0)


def _seeds_only(rng: np.random.Generator, draws: int, a: Any, b: Any) -> Any:
    return _weights(rng, draws, len(a)) @ (a - b).mean(1)


_UNPAIRED = (
    "You resampled the two arms separately. They are pairs: one draw takes the same seeds and the "
    "same questions of both, so that what is common to both cancels in the difference.")
_NOT_CROSSED = (
    "You drew new questions for each seed, or single cells. All seeds sat the same test: draw the "
    "questions once, and take those columns of every row.")
_LIKELY_BOOTSTRAP = {
    "Your interval leaves 5 % out on each side: that is a 90 % interval. 95 % leaves out 2.5 % on "
    "each side.":
        _resampled(_right, (5, 95)),
    "You drew rows and columns without repetition, which only shuffles them: every draw is then "
    "the same mean.":
        lambda a, b, n, s: (float((a - b).mean()),) * 2,
    "You resampled the questions only. Another seed would have given another difference too: take "
    "seeds with repetition first, then questions.":
        _resampled(_questions_only),
    "You resampled the seeds only. Other test questions would have given another difference too.":
        _resampled(_seeds_only),
    _UNPAIRED:
        [_resampled(_unpaired), _resampled(_seeds_unpaired), _resampled(_questions_unpaired)],
    _NOT_CROSSED: [_resampled(_row_by_row), _resampled(_cells)],
    "np.percentile wants percent (2.5 and 97.5), and you gave it shares (0.025 and 0.975); "
    "np.quantile takes shares.":
        _resampled(_right, (0.025, 0.975)),
    "Low and high are swapped: the 2.5th percentile comes first.": _resampled(_right, (97.5, 2.5)),
    "The sign is turned: the difference is first − second.":
        lambda a, b, n, s: _interval(b, a, n, s),
}


@exercise("08.1", "the paired bootstrap")
def check_paired_bootstrap(theirs: Callable[..., Any]) -> None:
    """my_paired_bootstrap(first, second, draws, seed) → (low, high), judged where luck has next to no say."""
    likely = [Likely(error.sentence, _twice(error.wrong)) for error in _LIKELY_BOOTSTRAP]
    unseeded = Likely(
        "Called twice with the same seed, it gives two intervals. Make the generator inside the "
        "function: rng = np.random.default_rng(seed).",
        lambda a, b, draws, seed: _OTHER if draws == _AGAIN else _interval(a, b, draws, seed))
    judged = _twice(theirs) if callable(theirs) else theirs
    judge("08.1", judged, _twice(_interval), _BOOTSTRAP, [*likely, unseeded], tolerance=0.01)


_EQUAL, _OTHER = "the same interval from two calls", "two intervals from two calls"


def _twice(function: Callable[..., Any]) -> Callable[..., Any]:
    """In the case that is there for it, whether two calls with one seed agree."""

    @functools.wraps(function)
    def judged(first: Any, second: Any, draws: int, seed: int) -> Any:
        found = function(first, second, draws, seed)
        if draws != _AGAIN or found is None:
            return tuple(found) if isinstance(found, list | np.ndarray) else found
        return _EQUAL if np.array_equal(found, function(first, second, draws, seed)) else _OTHER

    return judged


# --- 08.2 ---


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
        if not (
            isinstance(wrong, Sequence) and len(wrong) == 2
            and all(seed in gain for seed in wrong)):
            return (
                "The answer is a pair of seeds, as in (0, 1); the table has the seeds "
                f"{min(gain)} to {max(gain)}.")
        first, second = wrong
        if (first, second) == (least, most):
            return (
                "These are the two seeds, in the other order: first the one that speaks for "
                "reflection.")
        if gain[first] * gain[second] > 0:
            return f"Both tell the same story: {gain[first]:+.1f} and {gain[second]:+.1f} points."
        return (
            f"{gain[first]:+.1f} and {gain[second]:+.1f} points: there is a more extreme pair. "
            "Look at the difference of the two arms within a row, not at how high one arm's "
            "accuracy is.")

    judge_answer(
        "08.2", tuple(answer) if isinstance(answer, list) else answer, (most, least), likely)


# --- 08.3 ---

_Z, _POWER = 1.959964, 0.841621


@exercise("08.3", "how many seeds")
def check_seeds_needed(theirs: Callable[..., Any]) -> None:
    """my_seeds_needed(difference, deviation) → a whole number of seeds."""
    cases: list[tuple[Any, ...]] = [
        (2.0, 2.0), (1.0, 2.0), (3.0, 5.0), (-2.0, 2.0), (0.5, 2.0), (10.0, 2.0), (2.0, 0.0)]

    def formula(count: Callable[[float, float], float]) -> Callable[[float, float], int]:
        return lambda d, s: max(1, math.ceil(count(d, s)))

    likely = {
        "You left the power out: with 1.96 alone, half of all experiments miss the difference. "
        "Add 0.84 for 80 %.":
            formula(lambda d, s: (_Z * s / d) ** 2),
        "The square is missing: the standard error shrinks with the root of n, so n grows with "
        "the square.":
            [formula(lambda d, s: (_Z + _POWER) * s / abs(d)),
             formula(lambda d, s: (_Z + _POWER) * s / d)],
        "Twice as many as needed: the 2 belongs to unpaired arms. Here the deviation is already "
        "that of the paired difference.":
            formula(lambda d, s: 2 * ((_Z + _POWER) * s / d) ** 2),
        "Deviation and difference are swapped: a larger spread needs more seeds, a larger "
        "difference fewer.":
            formula(lambda d, s: ((_Z + _POWER) * d / s) ** 2 if s else 1),
        "You squared 1.96 and 0.84 separately: they are added first.":
            formula(lambda d, s: (_Z**2 + _POWER**2) * (s / d) ** 2),
        "Round up: 7.85 seeds are 8, and 1.3 are 2 (and never fewer than 1).":
            [lambda d, s: max(1, int(((_Z + _POWER) * s / d) ** 2)),
             lambda d, s: max(1, round(((_Z + _POWER) * s / d) ** 2))],
        "Without any spread one seed is enough, but none is not: at least 1.":
            lambda d, s: math.ceil(((_Z + _POWER) * s / d) ** 2),
        "Seeds are whole: round the number up.": lambda d, s: max(1, ((_Z + _POWER) * s / d) ** 2),
        }
    judge("08.3", theirs, seeds_needed, cases, likely)


# --- 08.4 ---


def _sorted_holm(p: Sequence[float]) -> list[float]:
    return sorted(holm(p))


def _holm_with(
    factor: Callable[[int, int], float], *, monotone: bool = True, clip: bool = True
) -> Callable[..., list[float]]:
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
def check_holm(theirs: Callable[..., Any]) -> None:
    """my_holm(p_values) → the corrected p-values, in the order given."""
    cases: list[tuple[Any, ...]] = [
        ([0.01, 0.04, 0.03],), ([0.04],), ([0.03, 0.01],), ([0.02, 0.02, 0.9],), ([0.6, 0.7],),
        ([0.2, 0.001, 0.013, 0.012],), ([],)]
    likely = {
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
            _sorted_holm,
        "The factor of the smallest should be m, and yours is m − 1: do you count ranks from 1?":
            _holm_with(lambda rank, m: m - rank - 1),
        "You took the p-values in the order given; they must be sorted first.":
            lambda p: [
                min(1.0, max((len(p) - j) * p[j] for j in range(i + 1))) for i in range(len(p))],
        "You divided by m / rank (Benjamini and Hochberg): that bounds the share of false finds, "
        "not the chance of any.":
            lambda p: [
                min(1.0, min(len(p) * q / sum(r <= q for r in p) for q in p if q >= x)) for x in p],
        }
    judge("08.4", theirs, holm, cases, likely)
