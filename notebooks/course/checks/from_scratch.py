"""Checks of notebook 12: items of several samples, micro-batches, the learning rate."""

from __future__ import annotations

from collections.abc import Sequence

from l2r_course.checks.base import Program, exercise, judge
from l2r_lite.loop.training import rate

Sample = tuple[str, bool]
Item = tuple[str, str, str]


def _mistakes(samples: Sequence[Sample]) -> list[str]:
    return list(dict.fromkeys(text for text, is_right in samples if not is_right))


def _pairs(first: str, second: str, mistakes: Sequence[str]) -> list[Item]:
    """Two items per mistake: each rationale once the anchor, the other one its positive."""
    return [item for m in mistakes for item in ((first, second, m), (second, first, m))]


def _items(first: str, second: str, samples: Sequence[Sample]) -> list[Item]:
    return _pairs(first, second, _mistakes(samples))


_SAMPLES: list[list[Sample]] = [
    [("It is 7.", False)],
    [("It is 7.", False), ("It is 9.", True), ("It is 8.", False)],
    [("It is 7.", False), ("It is 7.", False)],
    [("It is 8.", False), ("It is 7.", False), ("It is 8.", False), ("It is 9.", True)],
    [("It is 9.", True), ("So it is 9.", True)],
    []]


@exercise("12.1", "several samples per question")
def check_sampled_items(my_items: Program) -> None:
    cases = [("5 + 4 = 9.", "First 5 + 4 = 9.", samples) for samples in _SAMPLES]
    judge("12.1", my_items, _items, cases, {
        "The same wrong text twice is one mistake. Yours trains on it twice.":
            lambda a, b, samples: _pairs(a, b, [t for t, is_right in samples if not is_right]),
        "You made negatives of right samples too. Self-reflection would push the student away "
        "from what is right.":
            lambda a, b, samples: _pairs(a, b, list(dict.fromkeys(t for t, _ in samples))),
        "You used one mistake only. With several samples a question can have several different "
        "ones.": lambda a, b, samples: _pairs(a, b, _mistakes(samples)[:1]),
        "Yours has one item per mistake. Each of the two rationales is once the anchor: the second "
        "wording is learned too.":
            lambda a, b, samples: [(a, b, m) for m in _mistakes(samples)],
        "In yours the positive is the anchor itself. Its cosine is always 1, so nothing is pulled "
        "together: take the other rationale.":
            lambda a, b, samples: [i for m in _mistakes(samples) for i in ((a, a, m), (b, b, m))],
        "In yours the anchor is the mistake. The anchor is learned word by word: it must be right.":
            lambda a, b, samples: [i for m in _mistakes(samples) for i in ((m, a, b), (m, b, a))],
        "Your order differs: per mistake, first the item whose anchor is `first`.": [
            lambda a, b, samples: _pairs(b, a, _mistakes(samples)),
            lambda a, b, samples: _pairs(a, b, sorted(_mistakes(samples))),
            lambda a, b, samples: _pairs(a, b, _mistakes(samples)[::-1]),
            lambda a, b, samples: sorted(
                _items(a, b, samples), key=lambda item: item[0] != a)],
    })


def _scales(weights: Sequence[float]) -> list[float]:
    return [weight / sum(weights) for weight in weights]


@exercise("12.2", "less memory, the same gradient")
def check_scales(my_scales: Program) -> None:
    cases = [([30.0, 10.0],), ([5.0],), ([8.0, 8.0, 8.0, 8.0],), ([12.5, 7.5, 30.0],), ([],)]
    judge("12.2", my_scales, _scales, cases, {
        "Yours gives every micro-batch the same share. One with long lessons has more tokens, and "
        "counts more in the whole batch's mean.": lambda w: [1 / len(w) for _ in w],
        "Yours adds the mean losses up. With four micro-batches the gradient is then about four "
        "times as long.": lambda w: [1.0 for _ in w],
        "Yours turns each mean back into a sum, but does not divide by the weight of the whole "
        "batch.": lambda w: list(w),
        "You divided by the number of micro-batches. A mean over tokens is divided by the sum of "
        "their weights.": lambda w: [weight / len(w) for weight in w],
        "You divided by the largest weight. The shares must add up to 1.":
            lambda w: [weight / max(w) for weight in w],
    })


def _rate(step: int, steps: int) -> float:
    return rate(steps, step)


def _warm(step: int, steps: int) -> float:
    return min((step + 1) / max(1, steps // 20), 1.0)


def _left(step: int, steps: int) -> float:
    return max(0.1, 1 - step / steps)


@exercise("12.3", "a learning rate that warms up")
def check_rate(my_rate: Program) -> None:
    cases = [(0, 40), (1, 40), (20, 40), (39, 40), (0, 400), (7, 400), (399, 400), (0, 10), (9, 10),
             (0, 1)]
    judge("12.3", my_rate, _rate, cases, {
        "Your first step has the rate 0 and trains nothing: steps are counted from 0, so the "
        "warm-up is (step + 1) / warmup.":
            lambda s, n: min(s / max(1, n // 20), 1.0) * _left(s, n),
        "Yours has no warm-up: the first steps are as large as the largest.": _left,
        "Yours stays at the peak after the warm-up. The second factor is 1 − step / steps, at "
        "least 0.1.": _warm,
        "Yours falls below a tenth at the end: the decay is at least 0.1.":
            lambda s, n: _warm(s, n) * (1 - s / n),
        "You limited the product. Only the decay is at least 0.1; the warm-up may begin lower.":
            lambda s, n: max(0.1, _warm(s, n) * (1 - s / n)),
        "With fewer than 20 steps, steps // 20 is 0: the warm-up takes at least 1 step.":
            lambda s, n: min((s + 1) / (n // 20), 1.0) * _left(s, n),
        "Your warm-up goes beyond the peak: it is at most 1.":
            lambda s, n: (s + 1) / max(1, n // 20) * _left(s, n),
        "You took the smaller of the two factors. The share is their product.":
            lambda s, n: min(_warm(s, n), _left(s, n)),
    })
