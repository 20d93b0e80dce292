"""Checks of notebook 05: a plan from prompts and prices, a budget that holds, the cache's key."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

from l2r_course.checks.base import Case, Program, exercise, judge, judge_answer
from l2r_lite.teachers.cost import Budget, Price, likely_tokens

Prices = tuple[float, float]
Event = tuple[str, float] | tuple[str, int, float | None]


def _plan(prompts: Sequence[str], reply: int, price: Prices) -> float:
    read = sum(likely_tokens(prompt) for prompt in prompts)
    return Price(*price).of(read, len(prompts) * reply)


def _counted(count: Callable[[Sequence[str]], float]) -> Program:
    """A plan with another count of input tokens."""
    return lambda prompts, reply, price: (
        (count(prompts) * price[0] + len(prompts) * reply * price[1]) / 1e6)


@exercise("05.1", "a plan before the first call")
def check_plan(theirs: Program) -> None:
    """The likely cost of one call per prompt, in US dollars."""
    add, subtract = "2 + 3 = ?", "What is 7 - 4?"
    cases: list[Case] = [
        ([add, subtract], 10, (1.0, 2.0)), ([add] * 1000, 150, (0.15, 0.6)),
        ([subtract] * 300, 200, (2.5, 10.0)), (["abcd"] * 40, 20, (2.0, 8.0)),
        ([], 100, (1.0, 2.0))]
    judge("05.1", theirs, _plan, cases, {
        "The prices are per million tokens: divide by 10⁶.":
            lambda prompts, reply, price: 1e6 * _plan(prompts, reply, price),
        "You divided by a thousand. The prices are per million tokens.":
            lambda prompts, reply, price: 1e3 * _plan(prompts, reply, price),
        "You exchanged the prices: the first is for input (the prompts), the second for output "
        "(the replies).": lambda prompts, reply, price: _plan(prompts, reply, price[::-1]),
        "You used one price for all tokens. Input and output have different prices.":
            [lambda p, r, price: _plan(p, r, (price[0],) * 2),
             lambda p, r, price: _plan(p, r, (price[1],) * 2)],
        "You counted characters as tokens. A token is about four characters.":
            _counted(lambda prompts: sum(map(len, prompts))),
        "You counted words. A token is about four characters.":
            _counted(lambda prompts: sum(len(prompt.split()) for prompt in prompts)),
        "You counted prompts instead of their tokens.": _counted(len),
        "Every call brings a reply: multiply its tokens by the number of prompts.":
            lambda p, reply, price: Price(*price).of(sum(map(likely_tokens, p)), reply),
        "Round up each prompt's tokens, not their sum.":
            [_counted(lambda prompts: math.ceil(sum(map(len, prompts)) / 4)),
             _counted(lambda prompts: likely_tokens("".join(prompts))),
             _counted(lambda prompts: likely_tokens(" ".join(prompts)))],
        "Round up: // and int() round down.":
            _counted(lambda prompts: sum(len(prompt) // 4 for prompt in prompts)),
        "Round each prompt's tokens up to a whole number.":
            [_counted(lambda prompts: sum(len(prompt) / 4 for prompt in prompts)),
             _counted(lambda prompts: sum(round(len(prompt) / 4) for prompt in prompts))],
        "You left out the input. The prompts are billed too.": _counted(lambda prompts: 0),
        "You left out the output. The replies are billed too.":
            lambda prompts, reply, price: _plan(prompts, 0, price),
    }, tolerance=1e-9)


_BY_HAND: list[tuple[float, list[Event]]] = [
    (1.0, [("ask", 0.75), ("reply", 0, 0.25), ("ask", 0.5)]),
    (1.0, [("ask", 0.5), ("ask", 0.5), ("ask", 0.25)]),
    (1.0, [("ask", 0.5), ("reply", 0, None), ("ask", 0.75)]),
    (1.0, [("ask", 0.5), ("ask", 0.5), ("reply", 1, 0.0), ("ask", 0.5), ("reply", 0, 0.5),
           ("ask", 0.25)]),
    (1.0, [("ask", 2.0), ("ask", 0.5)]),
    (0.0, [("ask", 0.0), ("reply", 0, 0.0), ("ask", 0.25)])]


def _games(count: int, seed: int) -> list[tuple[float, list[Event]]]:
    """Random orders of questions and replies, in 64ths: their sums are exact in any order."""
    draw = random.Random(seed)
    games = []
    for _ in range(count):
        events: list[Event] = []
        in_flight: list[tuple[int, int]] = []
        asked = 0
        while len(events) < 24:
            if in_flight and draw.random() < 0.45:
                number, worst = in_flight.pop(draw.randrange(len(in_flight)))
                cost = None if draw.random() < 0.2 else draw.randint(0, worst) / 64
                events.append(("reply", number, cost))
            else:
                worst = draw.randint(4, 24)
                in_flight.append((asked, worst))
                events.append(("ask", worst / 64))
                asked += 1
        games.append((1.0, events))
    return games


def _player(kind: Program) -> Program:
    """Play events on a new budget: what it sends, what it says is spent, what may be billed."""

    def play(limit: float, events: Sequence[Event]) -> dict[str, Any] | None:
        budget = kind(limit)
        worsts: list[float] = []
        sent: list[bool] = []
        billed = 0.0
        for event in events:
            if event[0] == "ask":
                worsts.append(float(event[1]))
                may = budget.reserve(event[1])
                if may is None:
                    return None
                sent.append(bool(may))
                continue
            worst, cost = worsts[int(event[1])], event[2]  # type: ignore[misc]
            if sent[int(event[1])]:
                budget.settle(worst, cost)
                billed += worst if cost is None else cost
        answers = " ".join("yes" if s else "no" for s in sent)
        return {"sent": answers, "spent": budget.spent, "billed": billed}

    play.__name__ = getattr(kind, "__name__", "MyBudget")
    return play


class _Almost:
    """A budget with one part wrong; the arguments are those of _almost."""

    def __init__(
        self, limit: float, fits: Callable[[_Almost, float], bool], aside: float, booked: float,
        freed: Callable[[float, float], float], paid: Callable[[float, float | None], float],
        always_aside: bool,
    ) -> None:
        self.limit, self.spent, self.reserved = limit, 0.0, 0.0
        self.fits, self.aside, self.booked = fits, aside, booked
        self.freed, self.paid, self.always_aside = freed, paid, always_aside

    def reserve(self, worst: float) -> bool:
        may = self.fits(self, worst)
        if may or self.always_aside:
            self.reserved += self.aside * worst
            self.spent += self.booked * worst
        return may

    def settle(self, worst: float, cost: float | None) -> None:
        paid = self.paid(worst, cost)
        self.reserved -= self.freed(worst, paid)
        self.spent += paid


def _fits(budget: _Almost, worst: float) -> bool:
    return budget.spent + budget.reserved + worst <= budget.limit


def _frees_all(worst: float, paid: float) -> float:
    return worst


def _frees_nothing(worst: float, paid: float) -> float:
    return 0.0


def _corrects(worst: float, cost: float | None) -> float:
    """Added to a `spent` that already contains the reservation."""
    return 0.0 if cost is None else cost - worst


def _is_paid(worst: float, cost: float | None) -> float:
    return worst if cost is None else cost


def _no_none(worst: float, cost: float | None) -> float:
    if cost is None:
        raise TypeError
    return cost


# A wrong budget may treat an unknown cost wrongly, too: it gets the message on the other error.
_UNKNOWN: tuple[Callable[[float, float | None], float], ...] = (
    _is_paid, lambda worst, cost: cost or 0.0, lambda worst, cost: cost or worst, _no_none,
    lambda worst, cost: worst)


def _almost(
    fits: Callable[[_Almost, float], bool] = _fits, *, aside: float = 1.0, booked: float = 0.0,
    freed: Callable[[float, float], float] = _frees_all, always_aside: bool = False,
    unknown: Sequence[Callable[[float, float | None], float]] = _UNKNOWN,
) -> list[Program]:
    """Players of budgets that differ from the right one in what is given.

    Args:
        fits: whether a call may be sent.
        aside: the share of worst that reserve adds to what is reserved.
        booked: the share of worst that reserve adds to `spent`.
        freed: what settle takes from what is reserved.
        always_aside: set the worst aside for refused calls, too.
        unknown: ways to find what was paid.
    """
    def player(paid: Callable[[float, float | None], float]) -> Program:
        return _player(
            lambda limit: _Almost(limit, fits, aside, booked, freed, paid, always_aside))

    return [player(paid) for paid in unknown]


@exercise("05.2", "a budget that holds")
def check_budget(my_budget: Any) -> None:
    if not callable(my_budget):  # an object of the class, say
        judge("05.2", my_budget, _player(Budget), ())
        return
    cases: list[Case] = [*_BY_HAND, *_games(40, seed=4)]
    judge("05.2", _player(my_budget), _player(Budget), cases, {
        "You reserve nothing. Calls in flight are not paid yet, but will be: reserve must set "
        "their worst aside and count it.": [
            *_almost(aside=0, freed=_frees_nothing),
            *_almost(lambda b, worst: b.spent + worst < b.limit, aside=0, freed=_frees_nothing),
            # Sets the worst aside, but does not look at it.
            *_almost(lambda b, worst: b.spent + worst <= b.limit)],
        "reserve refuses nothing. It must return False if this call could pass the limit.":
            _almost(lambda b, worst: True),
        "settle never frees the reservation. After some calls nothing is free, although little was "
        "spent.": _almost(freed=_frees_nothing),
        "settle frees the cost instead of the reservation. reserve set worst aside, so settle must "
        "free worst.": _almost(freed=lambda worst, paid: paid, unknown=_UNKNOWN[:-1]),
        "You count reservations as spent. Keep them apart: `spent` is what was billed.": _almost(
            aside=0, booked=1, freed=_frees_nothing, unknown=[_corrects, *_UNKNOWN]),
        "You count an unknown cost (None) as 0. The call may still be billed: count its worst.":
            _almost(unknown=[lambda worst, cost: cost or 0.0]),
        "cost may be None, where nobody knows what was billed. Count the worst then.":
            _almost(unknown=[_no_none]),
        "`cost or worst` takes a cost of 0 for an unknown one. Ask whether cost is None.":
            _almost(unknown=[lambda worst, cost: cost or worst]),
        "You book the worst for every call. Where the cost is known, the cost was spent.":
            _almost(unknown=[lambda worst, cost: worst]),
        "You refuse a call that reaches the limit exactly. Only passing it is forbidden.":
            _almost(lambda b, worst: b.spent + b.reserved + worst < b.limit),
        "You ask whether the limit is reached already. Ask whether this call's worst still fits.": [
            *_almost(lambda b, worst: b.spent + b.reserved < b.limit),
            *_almost(lambda b, worst: b.spent < b.limit),
            *_almost(lambda b, worst: b.spent < b.limit, aside=0, freed=_frees_nothing)],
        "You set the worst aside before you know that it fits. A refused call must not stay "
        "reserved.": _almost(always_aside=True),
        "settle frees the reservation but never adds the cost to `spent`.":
            _almost(unknown=[lambda worst, cost: 0.0]),
    })


_IN_THE_KEY = {  # letter → whether it needs a new call, and why
    "a": (False, "Concurrency decides when a call is made. The messages stay the same, so it is "
                 "not in the key."),
    "b": (False, "The API key gives access. It is no part of the messages, and is never in the "
                 "cache."),
    "c": (True, "The longest rationale sets the number of words in the rules and the token limit: "
                "other messages and parameters."),
    "d": (True, "An annotator's messages do not contain the mistake: other messages."),
    "e": (False, "The budget decides whether a call is made. It is not in the key."),
    "f": (True, "The address is in the key: behind another address the same name may be another "
                "model."),
    "g": (True, "The mistake is in the messages: other words, other messages."),
}


def _are_letters(answer: Any) -> bool:
    return isinstance(answer, str) and set(answer) <= {*_IN_THE_KEY, " ", ","}


def _first_wrong_letter(answer: Any) -> str | None:
    if not _are_letters(answer):
        return 'Give the letters as one string, such as "ab".'
    for letter, (needs_a_call, why) in _IN_THE_KEY.items():
        if (letter in answer) != needs_a_call:
            return f"({letter}) {why}"
    return None


@exercise("05.3", "what needs a new call")
def check_new_calls(my_answer: Any) -> None:
    right = "".join(letter for letter, (needs_a_call, _) in _IN_THE_KEY.items() if needs_a_call)
    given = my_answer
    if _are_letters(my_answer) and _first_wrong_letter(my_answer) is None:
        given = right  # in any order, with any separators
    judge_answer("05.3", given, right, _first_wrong_letter)
