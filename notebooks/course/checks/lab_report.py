"""Checks of notebook 10: equal cost, what a table may claim, verdicts, exploratory findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from l2r_course.checks.base import Errors, Program, exercise, judge, judge_answer

# --- 10.1: do two arms cost the same?

Amounts = Mapping[str, float]


def _differs(one: float, other: float, slack: float) -> bool:
    return abs(one - other) > slack * max(one, other)


def _unfair(
    first: Amounts, second: Amounts, slack: float,
    differs: Callable[[float, float, float], bool] = _differs,
) -> list[str]:
    """Amounts in which two arms differ by more than a share `slack` of the larger, sorted."""
    either, both = first.keys() | second.keys(), first.keys() & second.keys()
    return sorted(
        name for name in either
        if name not in both or differs(first[name], second[name], slack))


def _with(differs: Callable[[float, float, float], bool]) -> Program:
    return lambda first, second, slack: _unfair(first, second, slack, differs)


def _over(names: Callable[[Amounts, Amounts], Any]) -> list[Program]:
    """Programs that look at these amounts only; a missing one raises KeyError, or counts as 0."""

    def index(first: Amounts, second: Amounts, slack: float) -> list[str]:
        return sorted(n for n in names(first, second) if _differs(first[n], second[n], slack))

    def get(first: Amounts, second: Amounts, slack: float) -> list[str]:
        return sorted(
            n for n in names(first, second)
            if _differs(first.get(n, 0), second.get(n, 0), slack))

    return [index, get]


_UNFAIR_ERRORS: Errors = {
    "These are the amounts that agree. Return those that differ.":
        lambda a, b, slack: sorted((a.keys() & b.keys()) - set(_unfair(a, b, slack))),
    "You compared the difference itself with slack. slack is a share: multiply it by the larger "
    "amount.": _with(lambda x, y, slack: abs(x - y) > slack),
    "Differences count in both directions: take abs(…). The second arm may have more.": [
        _with(lambda x, y, slack: x - y > slack * max(x, y)),
        _with(lambda x, y, slack: y - x > slack * max(x, y)),
        _with(lambda x, y, slack: x - y > slack * x), _with(lambda x, y, slack: y - x > slack * y)],
    "Take the share of the larger amount, whichever arm has it. Otherwise the answer depends on "
    "which arm comes first.": [
        _with(lambda x, y, slack: abs(x - y) > slack * x),
        _with(lambda x, y, slack: abs(x - y) > slack * y),
        _with(lambda x, y, slack: abs(x - y) > slack * min(x, y)),
        _with(lambda x, y, slack: abs(x - y) > slack * (x + y) / 2)],
    "A difference of exactly slack is still allowed: compare with >, not >=.":
        _with(lambda x, y, slack: abs(x - y) >= slack * max(x, y) and x != y),
    "Two amounts of 0 are equal. Compare with >, or test for equality first.":
        _with(lambda x, y, slack: abs(x - y) >= slack * max(x, y)),
    "Both amounts can be 0, and then your division fails. Compare the difference with slack times "
    "the larger amount instead.": _with(lambda x, y, slack: abs(x - y) / max(x, y) > slack),
    "An amount that only one arm reports is never equal, not even if it is 0: nobody can check it. "
    "Go through the names of both arms.": [
        *_over(lambda a, b: a), *_over(lambda a, b: b), *_over(lambda a, b: a.keys() & b.keys()),
        *_over(lambda a, b: a.keys() | b.keys())],
    "The right names, in another order: sort them.": [
        lambda a, b, slack: [n for n in {**a, **b} if n in _unfair(a, b, slack)],
        lambda a, b, slack: [n for n in {**b, **a} if n in _unfair(a, b, slack)]],
    "Return the list of names, not whether there are any.": [
        lambda a, b, slack: bool(_unfair(a, b, slack)),
        lambda a, b, slack: not _unfair(a, b, slack)],
}


@exercise("10.1", "equal cost")
def check_unfair(theirs: Program) -> None:
    """my_unfair(first, second, slack) → names of the amounts in which two arms differ."""
    cases: list[tuple[Any, ...]] = [
        ({"calls": 360, "lessons": 720}, {"calls": 360, "lessons": 588}, 0.1),
        ({"calls": 360, "lessons": 588}, {"calls": 360, "lessons": 720}, 0.2),
        ({"calls": 360, "lessons": 720}, {"calls": 360, "lessons": 588}, 0.2),
        ({"steps": 100}, {"steps": 225}, 0.1),
        ({"steps": 150}, {"steps": 200}, 0.25),
        ({"steps": 225, "calls": 120}, {"steps": 75, "calls": 360}, 0.05),
        ({"calls": 0, "steps": 225}, {"calls": 0, "steps": 225}, 0.1),
        ({"steps": 225, "samples": 1700}, {"steps": 225}, 0.1),
        ({"steps": 225}, {"steps": 225, "calls": 0}, 0.1)]
    judge("10.1", theirs, _unfair, cases, _UNFAIR_ERRORS)


# --- 10.2: what may a table claim?  10.4: what was fixed before the runs?

CLAIMS = {
    "a": "A row of the table says this: the interval lies above 0, and the sentence names student "
         "and world.",
    "b": "The interval reaches down to −2.8 points. Undecided means that harm was not shown, and "
         "not ruled out either.",
    "c": "A row of the table says this: the interval lies below 0, at equal calls and steps.",
    "d": "No row compares these two arms, and one decided plus one undecided row is no comparison. "
         "The claim needs an interval of its own. (The same logs give one: 2.2 to 5.8 points.)",
    "e": "The lessons of one shot were collected by the rounds: without rounds they would not "
         "exist. The row compares two ways to train on the same lessons.",
    "f": "One student with under two million parameters, in one synthetic world: the table cannot "
         "speak of language models in general.",
}
EXPLORATORY = {
    "a": "One of the four questions fixed before the runs.",
    "b": "The split by skill is not among the four questions. It was looked at together with the "
         "results.",
    "c": "One of the four questions fixed before the runs. An undecided answer does not change "
         "that.",
    "d": "The recipe was chosen on five of these ten seeds, and some test results were known.",
    "e": "One of the four questions fixed before the runs. An unwelcome answer does not change "
         "that.",
    "f": "This is an explanation for a result, looked for in other runs. It was not fixed "
         "beforehand.",
}


def _letters(answer: Any) -> Any:
    """A choice as sorted small letters: "A, c" and ("c", "a") are the same."""
    if isinstance(answer, str):
        answer = [c for c in answer if c.isalpha()]
    if isinstance(answer, Sequence | set | frozenset):
        return sorted({str(letter).strip().lower() for letter in answer})
    return answer


def judge_letters(number: str, answer: Any, right: list[str], why: Mapping[str, str]) -> None:
    """Check a choice of letters; the first wrong one, or else the first missing one, is explained.

    Args:
        why: letter → what makes it right or wrong, for all there are.
    """

    def likely(wrong: Any) -> str:
        if not isinstance(wrong, list) or not wrong or not set(wrong) <= why.keys():
            return f"Give a list of letters from {', '.join(why)}, as in [\"a\", \"b\"]."
        for letter in wrong:
            if letter not in right:
                return f"({letter}) does not belong in your list. {why[letter]}"
        missing = [letter for letter in right if letter not in wrong]
        more = f" ({len(missing)} are missing.)" if len(missing) > 1 else ""
        return f"({missing[0]}) is missing. {why[missing[0]]}{more}"

    given = None if answer is None or answer is ... else _letters(answer)
    judge_answer(number, given, right, likely)


@exercise("10.2", "what the table may claim")
def check_claims(answer: Any) -> None:
    """The letters of the sentences that the table of comparisons supports."""
    judge_letters("10.2", answer, ["a", "c"], CLAIMS)


# --- 10.3: an honest verdict

def _verdict(low: float, high: float, matters: float) -> str:
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    if -matters < low and high < matters:
        return "equivalent"
    return "undecided"


def _no_zero(low: float, high: float, otherwise: str) -> str:
    return "better" if low > 0 else "worse" if high < 0 else otherwise


def _by_middle(low: float, high: float, matters: float) -> str:
    middle = (low + high) / 2
    if abs(middle) < matters:
        return "equivalent"
    return "better" if middle > 0 else "worse"


def _inside(rule: Callable[[float, float, float], bool]) -> Program:
    """The right verdict but for when two arms count as equivalent."""
    return lambda low, high, matters: _no_zero(
        low, high, "equivalent" if rule(low, high, matters) else "undecided")


def _small_first(low: float, high: float, matters: float) -> str:
    if -matters < low and high < matters:
        return "equivalent"
    return _no_zero(low, high, "undecided")


_VERDICT_ERRORS: Errors = {
    "An interval that contains 0 does not show that the arms are equal. They are equivalent only "
    "if every difference in the interval is smaller than one that matters.":
        lambda low, high, matters: _no_zero(low, high, "equivalent"),
    "You never say equivalent. If the whole interval lies between −matters and +matters, the runs "
    "do tell something: no difference that matters.":
        lambda low, high, matters: _no_zero(low, high, "undecided"),
    "You judged by the middle of the interval. The verdict depends on its two ends.": [
        _by_middle, lambda low, high, matters: "better" if low + high > 0 else "worse",
        _inside(lambda low, high, matters: abs(low + high) / 2 < matters)],
    "Look at both ends: equivalent needs −matters < low and high < matters.": [
        _inside(lambda low, high, matters: high < matters),
        _inside(lambda low, high, matters: low > -matters),
        _inside(lambda low, high, matters: high < matters or low > -matters)],
    "The width alone does not decide: compare each end with a difference that matters.": [
        _inside(lambda low, high, matters: high - low < matters),
        _inside(lambda low, high, matters: high - low < 2 * matters)],
    "better and worse ask only on which side of 0 the interval lies. Do not compare with matters "
    "there.": [
        _small_first,
        lambda low, high, matters: (
            "better" if low > matters else "worse" if high < -matters
            else "equivalent" if -matters < low and high < matters else "undecided")],
    "An interval that ends exactly at 0 contains 0: use > and <.":
        lambda low, high, matters: (
            "better" if low >= 0 else "worse" if high <= 0 else _verdict(low, high, matters)),
    "better and worse are swapped: above 0, the first arm is better.":
        lambda low, high, matters: (
            {"better": "worse", "worse": "better"}.get(
                _verdict(low, high, matters), _verdict(low, high, matters))),
}


@exercise("10.3", "an honest verdict")
def check_honest_verdict(theirs: Program) -> None:
    """my_verdict(low, high, matters) → "better", "worse", "equivalent" or "undecided"."""
    cases: list[tuple[Any, ...]] = [
        (4.6, 7.5, 2.0), (-6.8, -3.1, 2.0), (-2.8, 0.9, 2.0), (-0.5, 0.8, 1.0), (-0.4, 1.2, 1.0),
        (-1.2, 0.4, 1.0), (0.2, 0.7, 1.0), (-0.9, -0.3, 1.0), (0.0, 3.0, 1.0), (-3.0, 0.0, 1.0),
        (-5.0, 4.0, 2.0), (-0.2, 0.3, 1.0)]
    judge("10.3", theirs, _verdict, cases, _VERDICT_ERRORS)


@exercise("10.4", "fixed beforehand or exploratory")
def check_exploratory(answer: Any) -> None:
    """The letters of the findings that were not fixed before the runs."""
    judge_letters("10.4", answer, ["b", "d", "f"], EXPLORATORY)
