"""The check of exercise 05.2: a budget is played through orders of questions and replies."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from l2r_course.checks.base import Case, Program, exercise, judge
from l2r_lite.teachers.cost import Budget

Event = tuple[str, float] | tuple[str, int, float | None]
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
        on_their_way: list[tuple[int, int]] = []
        asked = 0
        while len(events) < 24:
            if on_their_way and draw.random() < 0.45:
                number, worst = on_their_way.pop(draw.randrange(len(on_their_way)))
                cost = None if draw.random() < 0.2 else draw.randint(0, worst) / 64
                events.append(("reply", number, cost))
            else:
                worst = draw.randint(4, 24)
                on_their_way.append((asked, worst))
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


class _WithoutReservations(Budget):
    def reserve(self, worst: float) -> bool:
        return self.limit is None or self.spent + worst <= self.limit


class _NothingBack(Budget):
    def settle(self, worst: float, cost: float | None) -> None:
        self.spent += worst if cost is None else cost


class _CostBack(Budget):
    def settle(self, worst: float, cost: float | None) -> None:
        paid = worst if cost is None else cost
        self.in_flight -= paid
        self.spent += paid


class _UnknownIsFree(Budget):
    def settle(self, worst: float, cost: float | None) -> None:
        super().settle(worst, cost or 0.0)


class _ZeroIsUnknown(Budget):
    def settle(self, worst: float, cost: float | None) -> None:
        super().settle(worst, cost or worst)


class _AlwaysWorst(Budget):
    def settle(self, worst: float, cost: float | None) -> None:
        super().settle(worst, None)


class _BelowTheLimit(Budget):
    def reserve(self, worst: float) -> bool:
        used = self.spent + self.in_flight + worst
        return used < (self.limit or 0.0) and super().reserve(worst)


class _LooksBackOnly(Budget):
    def reserve(self, worst: float) -> bool:
        if self.spent + self.in_flight >= (self.limit or 0.0):
            return False
        self.in_flight += worst
        self.open += 1
        return True


class _ReservesTheRefused(Budget):
    def reserve(self, worst: float) -> bool:
        self.in_flight += worst
        self.open += 1
        return self.spent + self.in_flight <= (self.limit or 0.0)


class _NeverSpends(Budget):
    def settle(self, worst: float, cost: float | None) -> None:
        super().settle(worst, 0.0)


@exercise("05.2", "a budget that holds")
def check_budget(my_budget: Any) -> None:
    if not callable(my_budget):  # an object of the class, say
        judge("05.2", my_budget, _player(Budget), ())
        return
    cases: list[Case] = [*_BY_HAND, *_games(40, seed=4)]
    judge("05.2", _player(my_budget), _player(Budget), cases, {
        "reserve looks at what is spent and not at what is reserved: calls on their way are not "
        "paid yet, but will be.": _player(_WithoutReservations),
        "settle never gives the reservation back: after some calls nothing is free although "
        "little was spent.": _player(_NothingBack),
        "settle gives back the cost instead of the reservation: worst was set aside, so worst "
        "must be freed.": _player(_CostBack),
        "You take an unknown cost (None) for 0. The call may well be billed: count it with its "
        "worst.": _player(_UnknownIsFree),
        "`cost or worst` takes a cost of 0 for an unknown one; ask whether cost is None.":
            _player(_ZeroIsUnknown),
        "You book the worst for every call; where the cost is known, that is what was spent.":
            _player(_AlwaysWorst),
        "You refuse a call that reaches the limit exactly; only passing it is forbidden.":
            _player(_BelowTheLimit),
        "You ask whether the limit is reached already, not whether this call's worst still fits "
        "below it.": _player(_LooksBackOnly),
        "You set the worst aside before you know that it fits; a call that is refused must not "
        "stay reserved.": _player(_ReservesTheRefused),
        "settle frees the reservation but never adds the cost to `spent`.": _player(_NeverSpends),
    })
