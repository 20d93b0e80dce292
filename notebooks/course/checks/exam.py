"""Checks of notebook 03: temperature, mistakes each once, pass@k, Wilson's interval."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from l2r_course.checks.base import Case, Program, exercise, judge
from l2r_course.pass_at_k import pass_at_k
from l2r_lite.loop.records import ExamReport, Problem, Sample
from l2r_lite.loop.writing import probabilities
from l2r_lite.runs.statistics import wilson_interval

Numbers = Sequence[float]
Answers = Sequence[tuple[str, str, bool]]
Found = list[tuple[str, str]]


def _softmax(z: Numbers, stable: bool = True) -> list[float]:
    most = max(z) if stable else 0.0
    e = [math.exp(v - most) for v in z]
    return [v / sum(e) for v in e]


def _greedy(z: Numbers) -> list[float]:
    return [float(i == z.index(max(z))) for i in range(len(z))]


def _raise(z: Numbers) -> list[float]:
    raise ZeroDivisionError


# One error: a wrong formula with any treatment of T = 0, safe against overflow or not.
def _temperature(at_t: Callable[[Numbers, float, bool], list[float]]) -> list[Program]:
    def program(zero: Program | None, stable: bool) -> Program:
        return lambda z, t: zero(z) if zero and t == 0 else at_t(z, t, stable)

    ways = itertools.product((_greedy, _raise, _softmax, None), (True, False))
    return [program(zero, stable) for zero, stable in ways]


def _zero(at_zero: Callable[[Numbers], Any]) -> list[Program]:
    def program(stable: bool) -> Program:
        return lambda z, t: at_zero(z) if t == 0 else _softmax([v / t for v in z], stable)

    return [program(True), program(False)]


@exercise("03.1", "temperature")
def check_probabilities(theirs: Program) -> None:
    """Probabilities of the next token, as a list, from its logits and a temperature."""
    cases: list[Case] = [
        ([2.0, 0.0], 2.0), ([1.0, 3.0, 2.0], 1.0), ([1.0, 3.0, 2.0], 0.5), ([-1.0, -1.0], 0.7),
        ([4.0], 1.5), ([1.0, 3.0, 2.0], 0.0), ([-2.0, -5.0], 0.0), ([3.0, 1.0, 3.0], 0.0),
        ([900.0, 899.0], 1.0), ([12.0, 10.0], 0.01)]
    judge("03.1", theirs, lambda z, t: probabilities(torch.tensor(z), t).tolist(), cases, {
        "You multiplied the logits by T. Divide them: z / T. A small T spreads the logits apart.":
            _temperature(lambda z, t, stable: _softmax([v * t for v in z], stable)),
        "T has no effect in your function: softmax(z) is temperature 1.":
            _temperature(lambda z, t, s: _softmax(z, s)),
        "You divided the probabilities by T, after the softmax. Divide the logits, before it.":
            _temperature(lambda z, t, stable: [v / t for v in _softmax(z, stable)]),
        "Yours do not add up to 1: divide each exp(z / T) by their sum.":
            _temperature(lambda z, t, stable: [math.exp(v / t) for v in z]),
        "At T = 0 you divide by zero. T = 0 means greedy: all probability goes to the likeliest "
        "token.": _zero(_raise),
        "You treat T = 0 like T = 1. T = 0 means greedy: all probability goes to the likeliest "
        "token.": _zero(_softmax),
        "At T = 0 two tokens tie, and you gave both of them 1. Greedy takes one token: the first "
        "of the likeliest.": _zero(lambda z: [float(v == max(z)) for v in z]),
        "At T = 0 two tokens tie, and you split the probability. Greedy takes one token: the first "
        "of the likeliest.":
            _zero(lambda z: [float(v == max(z)) / list(z).count(max(z)) for v in z]),
        "At T = 0 you return the token's index. Return probabilities: 1 for that token, 0 for the "
        "others.": _zero(lambda z: z.index(max(z))),
        "exp(900) is too large for a float. Subtract the largest z / T first: the probabilities "
        "stay the same.":
            lambda z, t: _greedy(z) if t == 0 else _softmax([v / t for v in z], False),
    })


def _library_mistakes(samples: Answers) -> Found:
    problems = {q: Problem(q, q, "", "number") for q, _, _ in samples}
    said = tuple(Sample(q, i, r, None, c) for i, (q, r, c) in enumerate(samples))
    report = ExamReport(tuple(problems.values()), said)
    return [(m.problem.id, m.rationale) for m in report.mistakes]


def _once(pairs: Sequence[tuple[str, str]]) -> Found:
    return list(dict.fromkeys(pairs))


def _wrong(samples: Answers) -> Found:
    return [(q, r) for q, r, correct in samples if not correct]


def _one_of_each(samples: Answers, key: int, last: bool = False) -> Found:
    """One mistake per question (key 0) or per rationale (key 1): the first, or the last."""
    kept: dict[str, tuple[str, str]] = {}
    for pair in _wrong(samples):
        if last or pair[key] not in kept:
            kept[pair[key]] = pair
    return list(kept.values())


def _new_words_only(samples: Answers) -> Found:
    """Mistakes whose rationale no earlier sample has, right or wrong."""
    before = [[r for _, r, _ in samples[:i]] for i in range(len(samples))]
    triples = zip(samples, before, strict=True)
    return [(q, r) for (q, r, correct), earlier in triples if not correct and r not in earlier]


def _never_passed(samples: Answers) -> Found:
    passed = {q for q, _, correct in samples if correct}
    return [(q, r) for q, r in _once(_wrong(samples)) if q not in passed]


def _neighbours_once(samples: Answers) -> Found:
    wrong = _wrong(samples)
    return [x for i, x in enumerate(wrong) if i == 0 or x != wrong[i - 1]]


@exercise("03.2", "mistakes, each once")
def check_mistakes(theirs: Program) -> None:
    """The different mistakes among (question, rationale, correct), as pairs."""
    cases: list[Case] = [
        (
            [("q1", "so 8", False), ("q1", "so 8", False), ("q1", "so 7", True),
             ("q2", "so 8", False)],), ([("q1", "so 7", True), ("q1", "it is 7", True)],),
        ([("q1", "so 8", False), ("q1", "so 9", False)],),
        ([("q1", "so 5", False), ("q2", "so 5", False)],),
        (
            [("q2", "so 4", False), ("q1", "so 3", False), ("q2", "so 4", False),
             ("q2", "so 6", False)],), ([("q1", "so 7", True), ("q1", "so 8", False)],), ([],),
        # A set happens to keep this order once in 5040 times.
        ([(f"q{i}", f"so {i}", False) for i in (5, 1, 7, 3, 2, 6, 4)],)]
    judge("03.2", theirs, _library_mistakes, cases, {
        "You counted the same wrong rationale of the same question twice.": _wrong,
        "You compare with the last mistake only. Compare with all earlier ones: the same mistake "
        "can come again later.": _neighbours_once,
        "You compare rationales alone. The same words under another question are another mistake: "
        "compare question and rationale.":
            [lambda s: _one_of_each(s, 1), lambda s: _one_of_each(s, 1, last=True),
             _new_words_only],
        "You return rationales alone. Return pairs (question, rationale): the same words under "
        "another question are another mistake.":
            [lambda s: list(dict.fromkeys(r for _, r in _wrong(s))),
             lambda s: [r for _, r in _wrong(s)], lambda s: [r for _, r in _once(_wrong(s))]],
        "You dropped the mistakes of a question that another sample got right. The student still "
        "made them.": _never_passed,
        "You kept one mistake per question. Two different wrong rationales are two mistakes.":
            [lambda s: _one_of_each(s, 0), lambda s: _one_of_each(s, 0, last=True)],
        "You kept the right samples too. Leave out those with correct = True.":
            lambda s: _once([(q, r) for q, r, _ in s]),
        "You kept the right samples and left out the wrong ones. Keep those with correct = False.":
            lambda s: _once([(q, r) for q, r, correct in s if correct]),
        "A set has no order. Return a list in the order in which the mistakes first appear; a dict "
        "keeps it.": [lambda s: set(_wrong(s)), lambda s: list(set(_wrong(s)))],
        "All mistakes are there, but sorted. Keep the order in which they first appear; a dict "
        "does.": lambda s: sorted(set(_wrong(s))),
    })


@exercise("03.3", "pass@k without bias")
def check_pass_at_k(theirs: Program) -> None:
    """pass@k from n samples, c of which are right."""
    comb = math.comb

    def by_factorials(n: int, c: int, k: int) -> float:
        f = math.factorial
        return 1 - f(n - c) * f(n - k) / (f(n) * f(n - c - k))

    cases: list[Case] = [(4, 2, 2), (8, 1, 1), (8, 3, 4), (8, 0, 4), (8, 8, 3), (5, 3, 3),
                         (8, 1, 8), (1, 0, 1), (1, 1, 1), (100, 3, 50)]
    judge("03.3", theirs, pass_at_k, cases, {
        "That is the naive estimate 1 − (1 − c/n)^k. It draws with replacement, and is too low.":
            lambda n, c, k: 1 - (1 - c / n) ** k,
        "Yours is always 0 or 1. Either // rounded C(n−c, k) / C(n, k) down to a whole number (use "
        "/), or you asked whether any of all n samples is right (that is pass@n).":
            lambda n, c, k: float(c > 0),
        "That is the chance that all k samples are wrong; pass@k is 1 minus it.":
            lambda n, c, k: 1 - pass_at_k(n, c, k),
        "Here fewer than k samples are wrong (n − c < k). Every choice of k contains a right one: "
        "pass@k is 1.":
            [by_factorials, lambda n, c, k: 0.0 if n - c < k else pass_at_k(n, c, k),
             lambda n, c, k: None if n - c < k else pass_at_k(n, c, k)],
        "You counted the choices that are all right, C(c, k). Count those that are all wrong, "
        "C(n−c, k), and take 1 minus their share.": lambda n, c, k: comb(c, k) / comb(n, k),
        "You took 1 minus the share of choices that are all right. The wrong samples are n − c.":
            lambda n, c, k: 1 - comb(c, k) / comb(n, k),
        "k has no effect in your function: c/n is pass@1.": lambda n, c, k: c / n,
        "k · c/n adds up chances that overlap; it can exceed 1.": lambda n, c, k: k * c / n,
    })


def _interval(
    centre: Callable[[float, float], float], half: Callable[[float, int, float, float], float],
    clip: bool = True, at_none: Any = (0.0, 1.0),
) -> Program:
    """An interval from centre(share, z²/n) ± half(share, n, z, z²/n).

    Args:
        clip: cut it off at 0 and 1.
        at_none: what is returned for n = 0, or ZeroDivisionError.
    """

    def wrong(right: int, total: int, z: float = 1.96) -> Any:
        if total == 0 and at_none is not ZeroDivisionError:
            return at_none
        share, spread = right / total, z * z / total
        middle, width = centre(share, spread), half(share, total, z, spread)
        low, high = middle - width, middle + width
        return (max(0.0, low), min(1.0, high)) if clip else (low, high)

    return wrong


def _centre(share: float, spread: float) -> float:
    return (share + spread / 2) / (1 + spread)


def _half(share: float, total: int, z: float, spread: float) -> float:
    return z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))


def _plain(share: float, total: int, z: float, spread: float) -> float:
    return z * math.sqrt(share * (1 - share) / total)


def _anyway(centre: Callable[..., float], half: Callable[..., float]) -> list[Program]:
    """A wrong formula, clipped or not, with any result for n = 0."""
    ways = itertools.product((True, False), ((0.0, 1.0), (0.0, 0.0), ZeroDivisionError, None))
    return [_interval(centre, half, clip, at_none) for clip, at_none in ways]


@exercise("03.4", "Wilson's interval")
def check_wilson_interval(theirs: Program) -> None:
    """Low and high end of the 95 % interval of an accuracy."""
    at_none: tuple[Any, ...] = (ZeroDivisionError, (0.0, 0.0), None, (1.0, 1.0), (0.5, 0.5))
    cases: list[Case] = [
        (8, 10), (5, 10), (223, 425), (2625, 5000), (0, 20), (20, 20), (1, 1), (0, 0)]
    judge("03.4", theirs, wilson_interval, cases, {
        "That is p ± z·√(p(1−p)/n). At 0 % and 100 % it has no width, as if the accuracy were "
        "known exactly. Wilson adds terms with z²/n.": _anyway(lambda p, s: p, _plain),
        "Your centre is p itself. Wilson's is closer to one half: (p + z²/2n) / (1 + z²/n).":
            _anyway(lambda p, s: p, _half),
        "You forgot to divide by 1 + z²/n.":
            _anyway(lambda p, s: p + s / 2, lambda p, n, z, s: (1 + s) * _half(p, n, z, s)),
        "You divided the centre by 1 + z²/n, but not the half width.":
            _anyway(_centre, lambda p, n, z, s: (1 + s) * _half(p, n, z, s)),
        "The last term under the root is z²/4n², with n squared.":
            _anyway(_centre, lambda p, n, z, s: z / (1 + s) * math.sqrt(p * (1 - p) / n + s / 4)),
        "You forgot the square root.":
            _anyway(_centre, lambda p, n, z, s: z / (1 + s) * (p * (1 - p) / n + s / (4 * n))),
        "You forgot the second term under the root, z²/4n². Without it the interval has no width "
        "at 0 % and 100 %.": _anyway(_centre, lambda p, n, z, s: _plain(p, n, z, s) / (1 + s)),
        "Without a question any accuracy is possible: return (0.0, 1.0).":
            [_interval(_centre, _half, at_none=value) for value in at_none],
        "Yours are percentages; return shares between 0 and 1.":
            [_percent(value) for value in ((0.0, 1.0), (0.0, 100.0), None)],
        "You return the centre and the half width. Return the ends: centre − half and centre + "
        "half.": _centre_and_half,
    })


def _percent(at_none: Any) -> Program:
    def wrong(right: int, total: int) -> Any:
        return tuple(100 * v for v in wilson_interval(right, total)) if total else at_none

    return wrong


def _centre_and_half(right: int, total: int) -> tuple[float, float]:
    low, high = wilson_interval(right, total)
    return ((low + high) / 2, (high - low) / 2) if total else (low, high)
