"""What several runs say: a difference with its interval, what makes it vary, and how many to run.

A result varies for two reasons: another *seed* (other training questions, samples, initial adapter)
and another *set of test questions*. Most functions here take tables of 0 and 1, (seeds, questions):
a row is a run, a column a test question, 1 a right answer. In two tables that are compared, equal
rows have equal seeds and equal columns the same question, so differences are taken pair by pair.
`paired_difference` gives their mean with an interval over both, from the variance's components.
The mean over seeds alone with its t interval is `l2r_lite.runs.statistics.mean_interval`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]


def differences(first: ArrayLike, second: ArrayLike) -> Numbers:
    """first − second, pair by pair: 1 where only the first arm was right, −1 only the second.

    Raises:
        ValueError: the tables are not both (seeds, questions) of one shape; such runs are no pairs.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.ndim != 2 or a.shape != b.shape or not a.size:
        raise ValueError(
            "two tables of shape (seeds, questions) are compared, and these are "
            f"{a.shape} and {b.shape}: both arms need the same seeds and the same test questions, "
            "in the same order.")
    return a - b


@dataclass(frozen=True)
class Difference:
    """The mean difference of two arms over seeds and questions, with its 95 % interval.

    Attributes:
        standard_error: standard deviation of the difference, had other seeds and other questions
            been drawn.
        freedom: degrees of freedom of Student's t; few make the interval wide.
    """

    difference: float
    low: float
    high: float
    standard_error: float
    freedom: float

    @property
    def decided(self) -> bool:
        """Whether the interval excludes 0: then these runs tell which arm is better."""
        return self.low > 0 or self.high < 0


def paired_difference(first: ArrayLike, second: ArrayLike) -> Difference:
    """first − second, and how far other seeds and other questions could move it.

    Var(d̄) = (MS_seed + MS_question − MS_rest) / (S·Q): both mean squares hold the rest once, so it
    is subtracted once. The interval is d̄ ± t(0.975, f)·√Var, with Satterthwaite's f, at least 1.

    Where the estimate is not positive, neither seeds nor questions seem to matter, and the rest
    alone counts: MS_rest / (S·Q), with (S − 1)(Q − 1) degrees of freedom. 95 % intervals held the
    truth in 93 to 97 % of made-up experiments (tests/test_statistics.py).

    Raises:
        ValueError: the tables are no pairs, or have fewer than two seeds or two questions.
    """
    from scipy.stats import t  # takes half a second to import

    table = differences(first, second)
    of_seeds, of_questions, rest = _mean_squares(table)
    seeds, questions = table.shape
    freedoms = (seeds - 1, questions - 1, (seeds - 1) * (questions - 1))
    total = of_seeds + of_questions - rest
    if total > 0:
        squares = zip((of_seeds, of_questions, rest), freedoms, strict=True)
        freedom = max(1.0, total**2 / sum(square**2 / f for square, f in squares))
    else:
        total, freedom = rest, float(freedoms[2])
    error = math.sqrt(total / table.size)
    mean, half = float(table.mean()), float(t.ppf(0.975, freedom)) * error
    return Difference(mean, mean - half, mean + half, error, freedom)


@dataclass(frozen=True)
class Spread:
    """Why a difference varies, as variances: seeds, questions, and the rest (seed × question)."""

    seeds: float
    questions: float
    rest: float

    def standard_error(self, seeds: int, questions: int) -> float:
        """Standard deviation of the mean difference of an experiment of this size."""
        rest = self.rest / (seeds * questions)
        return math.sqrt(self.seeds / seeds + self.questions / questions + rest)


def spread(table: ArrayLike) -> Spread:
    """Split the variance of a table (seeds, questions) into seeds, questions and the rest.

    Two-way analysis of variance with random effects, x = mean + seed + question + rest; a negative
    estimate counts as 0. From 3 or 5 seeds the seeds' part is a rough guess.

    Raises:
        ValueError: fewer than two seeds or two questions; then nothing tells their parts apart.
    """
    x = np.asarray(table, dtype=float)
    of_seeds, of_questions, rest = _mean_squares(x)
    seeds, questions = x.shape
    return Spread(
        max(0.0, (of_seeds - rest) / questions), max(0.0, (of_questions - rest) / seeds), rest)


def _mean_squares(x: Numbers) -> tuple[float, float, float]:
    """Mean squares of seeds, of questions and of the rest, in a table (seeds, questions)."""
    if x.ndim != 2 or min(x.shape) < 2:
        raise ValueError(
            f"a table of at least 2 seeds and 2 questions is needed, and this one is {x.shape}.")
    seeds, questions = x.shape
    mean, by_seed, by_question = x.mean(), x.mean(1, keepdims=True), x.mean(0, keepdims=True)
    residual = x - by_seed - by_question + mean
    of_seeds = questions * ((by_seed - mean) ** 2).sum() / (seeds - 1)
    of_questions = seeds * ((by_question - mean) ** 2).sum() / (questions - 1)
    rest = (residual**2).sum() / ((seeds - 1) * (questions - 1))
    return float(of_seeds), float(of_questions), float(rest)


def sign_flip_test(values: ArrayLike) -> Any:
    """p of a mean this far from 0, if each seed's difference had either sign with equal chance.

    All 2ⁿ patterns of signs are tried, so no normal distribution is assumed. With n seeds the
    smallest p is 2/2ⁿ: fewer than six seeds can never give p < 0.05.

    Args:
        values: one difference per seed, shape (…, seeds) with at most 16 seeds.

    Returns:
        p, of shape (…); a float for one row of differences.

    Raises:
        ValueError: no seed, or more than 16.
    """
    x = np.asarray(values, dtype=float)
    n = x.shape[-1] if x.ndim else 0
    if not 1 <= n <= 16:
        raise ValueError(
            f"the sign-flip test tries all 2ⁿ patterns: it takes 1 to 16 seeds, not {n}.")
    # scipy.stats.permutation_test(permutation_type="samples") does the same, but takes 6 s instead
    # of 0.3 s for the (300, 12, 10) of a figure, is 2/2ⁿ too low where a mean nearly cancels (its
    # tolerance is relative to the mean), and refuses a single seed.
    signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)  # (2ⁿ, seeds)
    sums = np.abs(x @ signs.T)  # (…, 2ⁿ)
    p = (sums >= np.abs(x.sum(-1, keepdims=True)) - 1e-9).mean(-1)
    return float(p) if x.ndim == 1 else p


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction: p-values to compare with 0.05 although several comparisons were made.

    The smallest of m is multiplied by m, the next by m − 1, and so on; none may be smaller than the
    one before it, none above 1. If no arm differs, at most 5 % of such experiments find any
    difference. (scipy has no Holm.)

    Returns:
        The corrected p-values, in the order given.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def seeds_needed(difference: float, deviation: float, *, power: float = 0.8) -> int:
    """Seeds at which a share `power` of experiments finds a true difference (95 % interval).

    n = ((z(0.975) + z(power)) · deviation / difference)², rounded up: 7.85 · (deviation /
    difference)² for 80 %. A normal approximation: below about 10, add one or two for Student's t.

    Args:
        difference: the true difference to be found, in any unit.
        deviation: standard deviation, over seeds, of the paired difference, in the same unit.

    Raises:
        ValueError: the difference is 0 (no number of seeds finds it) or the deviation negative.
    """
    if difference == 0 or deviation < 0:
        raise ValueError(
            f"no number of seeds finds a difference of {difference:g} with a deviation of "
            f"{deviation:g}.")
    return max(1, math.ceil((_both_tails(power) * deviation / difference) ** 2))


def smallest_difference(seeds: int, deviation: float, *, power: float = 0.8) -> float:
    """The true difference that a share `power` of experiments with so many seeds finds.

    (z(0.975) + z(power)) · deviation / √seeds, 2.8 · deviation / √seeds for 80 %: the inverse of
    `seeds_needed`, with the same normal approximation.

    Args:
        deviation: standard deviation, over seeds, of the paired difference; the result has its
            unit.

    Raises:
        ValueError: no seed, or a negative deviation.
    """
    if seeds < 1 or deviation < 0:
        raise ValueError(
            f"at least one seed and a deviation of at least 0 are needed, not {seeds} and "
            f"{deviation:g}.")
    return _both_tails(power) * deviation / math.sqrt(seeds)


def _both_tails(power: float) -> float:
    """z(0.975) + z(power): standard errors between 0 and a difference found with this power."""
    from scipy.stats import norm  # takes half a second to import

    return float(norm.ppf(0.975) + norm.ppf(power))


def simulate(
    accuracies: Sequence[float], deviation: float, *, seeds: int, questions: int,
    experiments: int = 1, shared: float = 0.7, seed: int = 0,
) -> NDArray[np.bool_]:
    """Made-up experiments whose truth is known: (experiments, arms, seeds, questions), True: right.

    Each run's own accuracy is its arm's plus normal noise. Questions differ in difficulty, alike
    for all runs: with probability `shared` an answer is right if the question's difficulty is below
    the run's accuracy, else luck decides.

    Args:
        accuracies: the true accuracy of each arm, in [0, 1].
        deviation: standard deviation over seeds of the true difference of two runs, in [0, 1].
    """
    rng = np.random.default_rng(seed)
    shape = (experiments, len(accuracies), seeds, questions)
    noise = rng.normal(0, deviation / math.sqrt(2), shape[:3])
    true = np.asarray(accuracies)[None, :, None] + noise
    difficulty = rng.random((experiments, 1, 1, questions), dtype=np.float32)
    luck = rng.random(shape, dtype=np.float32)
    by_difficulty = rng.random(shape, dtype=np.float32) < shared
    return np.where(by_difficulty, difficulty, luck) < true[..., None]
