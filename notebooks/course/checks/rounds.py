"""Checks of notebook 08: what was forgotten, and when to stop (replay.py has the others)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from l2r_course.checks.base import Program, exercise, judge
from l2r_course.stopping import stopping_round

BySkill = Mapping[str, float]


def _forgotten(before: BySkill, after: BySkill, threshold: float) -> list[str]:
    falls = {s: before[s] - after[s] for s in before if s in after}
    return sorted((s for s in falls if falls[s] > threshold), key=lambda s: -falls[s])


def _falls(keep: Program, order: Callable[[float, float], float]) -> Program:
    """A wrong answer: keep(before, after, threshold) selects skills, order(before, after) sorts."""

    def wrong(before: BySkill, after: BySkill, threshold: float) -> list[str]:
        kept = [s for s in before if s in after and keep(before[s], after[s], threshold)]
        return sorted(kept, key=lambda s: order(before[s], after[s]))

    return wrong


def _fell(b: float, a: float, t: float) -> bool:
    return b - a > t


# Halves, quarters and eighths are exact floats, so no case depends on rounding.
_FORGOT_CASES = [
    ({"add": 1.0, "sums": 0.0, "divide": 1.0, "more": 0.75},
     {"add": 0.75, "sums": 0.5, "divide": 0.25, "more": 0.75}, 0.125),
    ({"subtract": 1.0, "add": 0.75, "divide": 0.625},
     {"subtract": 0.5, "add": 0.5, "divide": 0.0}, 0.25),
    ({"more": 1.0, "enough": 1.0, "add": 0.375},
     {"more": 0.75, "enough": 0.5, "add": 0.125}, 0.125),
    ({"multiply": 0.25, "add": 1.0}, {"multiply": 0.0, "add": 0.625}, 0.375),
    ({"add": 0.5}, {"add": 1.0}, 0.125),
    ({"add": 1.0, "divide": 1.0}, {"divide": 0.5}, 0.125),
    ({}, {}, 0.125)]


@exercise("08.1", "what was forgotten")
def check_forgotten(theirs: Program) -> None:
    judge("08.1", theirs, _forgotten, _FORGOT_CASES, {
        "The smallest fall comes first: sort by the fall, largest first.":
            _falls(_fell, lambda b, a: b - a),
        "You subtracted the wrong way round: these are the skills that rose.":
            _falls(lambda b, a, t: a - b > t, lambda b, a: b - a),
        "Skills that rose are in your list too: compare before - after, without abs().":
            _falls(lambda b, a, t: abs(a - b) > t, lambda b, a: -abs(a - b)),
        "A fall of exactly the threshold is not more than the threshold: use >, not >=.":
            _falls(lambda b, a, t: b - a >= t, lambda b, a: a - b),
        "You divided the fall by the accuracy before. The fall is in points: from 1.0 to 0.75 it "
        "is 0.25.": _falls(lambda b, a, t: bool(b) and (b - a) / b > t, lambda b, a: (a - b) / b),
        "You sorted by the accuracy after the round: sort by the fall, largest first.":
            _falls(_fell, lambda b, a: a),
        "You sorted by name: sort by the fall, largest first.":
            lambda b, a, t: sorted(_forgotten(b, a, t)),
        "The right skills, in the order of `before`: sort them by the fall, largest first.":
            _falls(_fell, lambda b, a: 0.0),
        "Your list has every skill that fell at all: compare the fall with the threshold.":
            _falls(lambda b, a, t: b > a, lambda b, a: a - b),
        "A skill that is missing in `after` was not asked about: leave it out.":
            lambda b, a, t: _forgotten(b, {s: a[s] for s in b}, t),
        "You count a skill that is missing in `after` as 0. It was not asked about, so leave it "
        "out.": lambda b, a, t: _forgotten(b, {s: a.get(s, 0.0) for s in b}, t),
    })


def _right(value: float, best: float, gain: float) -> bool:
    return value > best + gain


def _stop(
    better: Program = _right, *, more_patience: int = 0, start: int = 0, than_best: bool = True,
    in_a_row: bool = True,
) -> Program:
    """A wrong stopping rule.

    Args:
        better: (accuracy, that of the rival, minimal gain) → whether a round is better.
        more_patience: how many rounds too late it stops.
        start: the first candidate for the best round.
        than_best: a round is compared with the best so far; else with the one before.
        in_a_row: a better round resets the count of rounds without gain.
    """

    def wrong(validation: Sequence[float], patience: int, minimal_gain: float) -> tuple[int, int]:
        last, missed = len(validation) - 1, 0
        best = min(start, last)
        for number in range(best + 1, last + 1):
            rival = validation[best if than_best else number - 1]
            if better(validation[number], rival, minimal_gain):
                best = number
                missed = 0 if in_a_row else missed
                continue
            missed += 1
            if patience and missed >= patience + more_patience:
                return number, best
        return last, best

    return wrong


def _highest(values: Sequence[float]) -> int:
    return max(range(len(values)), key=lambda i: values[i])


_STOP_CASES = [
    ([0.5, 0.375, 0.625, 0.75], 2, 0.0),
    ([0.5, 0.375, 0.625, 0.75], 1, 0.0),
    ([0.5, 0.75, 0.625, 0.6875, 0.625, 0.875], 2, 0.0),
    ([0.5, 0.625, 0.5, 0.5625, 0.875], 2, 0.0),
    ([0.5, 0.75, 0.75, 0.75, 0.75], 2, 0.0),
    ([0.5, 0.25, 0.75, 0.25, 0.875], 2, 0.0),
    ([0.5, 0.75, 0.8125, 0.8125, 0.6875], 2, 0.125),
    ([0.5, 0.5625, 0.625, 0.6875, 0.75], 3, 0.125),
    ([0.75, 0.5, 0.25], 2, 0.0),
    ([0.5, 0.375, 0.25, 0.375], 0, 0.0),
    ([0.5], 1, 0.0),
]


@exercise("08.4", "when to stop, and what to keep")
def check_stopping(theirs: Program) -> None:
    right = stopping_round
    judge("08.4", theirs, right, _STOP_CASES, {
        "You return the last round as the best. The run stopped there because it was not better: "
        "keep track of the best one.": lambda v, p, g: (right(v, p, g)[0],) * 2,
        "You compare each round with the one before: compare it with the best so far.":
            _stop(than_best=False),
        "A tie counts as better in your function. A round must exceed the best, so the earliest "
        "of equal rounds is kept.": _stop(lambda v, b, g: v >= b + g),
        "You stop one round too late: stop as soon as `patience` rounds in a row were not "
        "better.": _stop(more_patience=1),
        "You stop one round too early: the best round itself is not a round without gain.":
            lambda v, p, g: _stop(more_patience=-1)(v, p, g) if p != 1 else right(v, p, g),
        "You leave out round 0: the untrained student is a candidate too, so start with it as "
        "the best.": _stop(start=1),
        "Your rounds are one too high: round 0 is the student before any training.":
            lambda v, p, g: (right(v, p, g)[0] + 1, right(v, p, g)[1] + 1),
        "You do not use minimal_gain: a round must exceed the best by more than that.":
            lambda v, p, g: right(v, p, 0.0),
        "You return the highest of all accuracies, but rounds after the stop are never run.":
            lambda v, p, g: (right(v, p, g)[0], _highest(v)),
        "You return the highest accuracy, but it is not better by more than minimal_gain: keep "
        "the last round that was.":
            lambda v, p, g: (right(v, p, g)[0], _highest(v[: right(v, p, g)[0] + 1])),
        "Patience counts rounds without gain in a row: reset the count after a better round.":
            _stop(in_a_row=False),
        "Patience 0 means never stop early: yours stops at the first round without gain.":
            lambda v, p, g: right(v, max(p, 1), g),
        "Your two results are swapped: first the last round that is run, then the best one.":
            lambda v, p, g: right(v, p, g)[::-1],
    })
