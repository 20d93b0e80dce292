"""Confidence intervals of accuracies: over the questions of one run, and over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l2r_lite.loop.records import ExamReport


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """95 % interval of a share; unlike mean ± 2·σ it stays in [0, 1] and is valid at 0 and 1."""
    from scipy.stats import binomtest  # takes half a second to import

    if total == 0:
        return 0.0, 1.0
    low, high = binomtest(right, total).proportion_ci(method="wilson")
    return float(low), float(high)


def accuracy_interval(exam: ExamReport) -> tuple[float, float]:
    """`wilson_interval` of an exam's accuracy over its questions, for one sample per question."""
    return wilson_interval(sum(s.correct for s in exam.samples), len(exam.samples))


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean over seeds and half the width of its 95 % t interval (nan for a single value)."""
    from scipy.stats import t

    mean = float(np.mean(values))
    count = len(values)
    if count < 2:
        return mean, float("nan")
    return mean, float(t.ppf(0.975, count - 1) * np.std(values, ddof=1) / count**0.5)
