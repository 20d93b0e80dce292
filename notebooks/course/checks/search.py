"""Checks of the lab on search: a vote, what is worth its price, true equations, wrong answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from l2r_course.checks.base import Program, exercise, judge
from l2r_course.labs.search.choose import answer_name

Answers = Sequence[str | None]
Way = tuple[str, float, float]
Marks = Sequence[tuple[bool, bool]]


def _vote(answers: Answers) -> str | None:
    names = [answer_name(answer, "number") for answer in answers]
    votes = Counter(name for name in names if name is not None)
    return answers[names.index(votes.most_common(1)[0][0])] if votes else None


def _tied(choose: Callable[[list[str]], str]) -> Callable[[Answers], str | None]:
    """A vote that decides ties in another way."""

    def vote(answers: Answers) -> str | None:
        given = [answer for answer in answers if answer is not None]
        votes = Counter(answer_name(answer, "number") for answer in given)
        most = max(votes.values(), default=0)
        best = [a for a in given if votes[answer_name(a, "number")] == most]
        return choose(best) if best else None

    return vote


def _by_text(answers: Answers) -> str | None:
    votes = Counter(answer for answer in answers if answer is not None)
    return votes.most_common(1)[0][0] if votes else None


def _with_none(answers: Answers) -> str | None:
    names = [answer_name(answer, "number") for answer in answers]
    return answers[names.index(Counter(names).most_common(1)[0][0])] if names else None


@exercise("14.1", "a vote")
def check_vote(my_vote: Program) -> None:
    cases: list[tuple[Answers]] = [
        (["7", "9", "7"],), (["9", "7", "8", "7"],), (["12", "8", "12", "8"],),
        (["7", "8.0", "9", "8"],), ([None, None, "5"],), ([None, "4", None],), ([None, None],),
        (["3", "10", "10", "3"],), ([],)]
    judge("14.1", my_vote, _vote, cases, {
        "No answer got the most votes in yours. A sample without an answer does not vote.":
            _with_none,
        "Yours counts texts: \"8\" and \"8.0\" are one answer.": _by_text,
        "In a tie yours takes the answer that was drawn last. The first one wins.":
            _tied(lambda best: best[-1]),
        "In a tie yours takes the largest or smallest answer. The one that was drawn first wins.": [
            _tied(lambda best: max(best, key=float)), _tied(lambda best: min(best, key=float)),
            _tied(max), _tied(min)],
        "Yours takes the first answer, not the most frequent one.":
            lambda answers: next((a for a in answers if a is not None), None),
    })


def _beats(one: Way, other: Way) -> bool:
    better, cheaper = one[1] - other[1], other[2] - one[2]
    return better >= 0 and cheaper >= 0 and better + cheaper > 0


def _front(ways: Sequence[Way]) -> list[str]:
    kept = [way for way in ways if not any(_beats(other, way) for other in ways)]
    return [way[0] for way in sorted(kept, key=lambda way: way[2])]


def _strictly_better(ways: Sequence[Way]) -> list[str]:
    kept = [w for w in ways if not any(o[1] > w[1] and o[2] < w[2] for o in ways)]
    return [way[0] for way in sorted(kept, key=lambda way: way[2])]


def _no_equal(ways: Sequence[Way]) -> list[str]:
    kept = [
        w for w in ways if not any(o is not w and o[1] >= w[1] and o[2] <= w[2] for o in ways)]
    return [way[0] for way in sorted(kept, key=lambda way: way[2])]


@exercise("14.2", "worth its price")
def check_front(my_front: Program) -> None:
    cases: list[tuple[list[Way]]] = [
        ([("greedy", 0.80, 20.0), ("vote", 0.85, 160.0)],),
        ([("vote", 0.78, 160.0), ("greedy", 0.80, 20.0)],),
        ([("greedy", 0.80, 20.0), ("vote", 0.80, 160.0), ("beam", 0.86, 120.0)],),
        ([("beam", 0.86, 160.0), ("vote", 0.84, 160.0), ("greedy", 0.80, 20.0)],),
        ([("likeliest", 0.85, 90.0), ("checked", 0.85, 90.0), ("greedy", 0.80, 20.0)],),
        ([("a", 0.90, 200.0), ("b", 0.70, 50.0), ("c", 0.60, 60.0), ("d", 0.50, 10.0)],), ([],)]
    judge("14.2", my_front, _front, cases, {
        "Yours keeps a way that costs more and is no better: another way with equal accuracy and "
        "fewer tokens beats it. Equal in one of the two is enough.": _strictly_better,
        "In yours two ways that are equal in both remove each other. A way is beaten only by one "
        "that is better in at least one of the two.": _no_equal,
        "Yours keeps only the most accurate way. A cheaper one may be worth it.":
            lambda ways: [w[0] for w in ways if w[1] == max(o[1] for o in ways)],
        "Yours ranks by accuracy per token, which always favours the cheapest way.":
            lambda ways: [max(ways, key=lambda w: w[1] / w[2])[0]] if ways else [],
        "Your names are right, and their order differs: the cheapest first.": [
            lambda ways: [w[0] for w in ways if w[0] in _front(ways)],
            lambda ways: _front(ways)[::-1]],
    })


def _true_but_wrong(samples: Marks) -> float:
    wrong = [hold for is_right, hold in samples if not is_right]
    return sum(wrong) / len(wrong) if wrong else 0.0


@exercise("14.3", "all equations true, so right?")
def check_true_but_wrong(my_share: Program) -> None:
    cases: list[tuple[Marks]] = [
        ([(True, True), (False, True), (False, False), (False, True)],),
        ([(True, True), (True, True), (False, True)],), ([(False, False), (True, False)],),
        ([(True, True)],), ([(False, True), (False, True), (True, False), (True, True)],), ([],)]
    judge("14.3", my_share, _true_but_wrong, cases, {
        "You divided by all samples. The share is of the wrong ones.":
            lambda s: sum(not r and h for r, h in s) / len(s) if s else 0.0,
        "You divided by the samples whose equations hold. That is the share of *these* that is "
        "wrong; asked is the share of the wrong ones whose equations hold.":
            lambda s: sum(not r and h for r, h in s) / max(1, sum(h for _, h in s)),
        "Yours is the share of wrong samples with a false equation.":
            lambda s: 1 - _true_but_wrong(s) if any(not r for r, _ in s) else 0.0,
        "You counted right samples too.":
            lambda s: sum(h for _, h in s) / n if (n := sum(not r for r, _ in s)) else 0.0,
    })
