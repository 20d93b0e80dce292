"""Figures of the teacher: the verdicts on its replies, and a budget with many calls in flight."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from l2r_course.figures.common import headline
from l2r_lite.app.figures.base import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, new_figure, style
from l2r_lite.app.figures.readable import text_on
from l2r_lite.data.steps import ELSEWHERE, FALSE, NO_STEP, NOWHERE
from l2r_lite.loop.lessons import Feedback
from l2r_lite.teachers.cost import Budget

_BROKEN = (NO_STEP, NOWHERE, FALSE, ELSEWHERE)  # steps that do not lead to the answer
_FATES = {
    "lesson": GREEN, "wrong answer": RED, "wrong arithmetic": ORANGE, "no answer": PURPLE,
    "duplicate": BLUE, "copy of the mistake": "#56B4E9", "reply without rationales": GREY,
    "cut off at the token limit": "#333333", **dict.fromkeys(_BROKEN, "#F0E442"),
    "too long": "#AAAAAA",
}


@style()
def fates(feedbacks: Mapping[str, Feedback]) -> Figure:
    """Verdicts on each teacher's replies: one bar per teacher, lessons first, then refusals.

    Each rationale counts once, and so does each reply without a rationale.
    """
    counts = {
        name: Counter({"lesson": len(f.lessons)}) + Counter(r.reason for r in f.rejections)
        for name, f in feedbacks.items()}
    figure = new_figure(10, 1.6 + 0.85 * len(counts))
    axes = figure.subplots()
    for y, count in enumerate(counts.values()):
        total, left = sum(count.values()), 0.0
        for fate in sorted(count, key=lambda f: (list(_FATES).index(f) if f in _FATES else 99, f)):
            share = 100 * count[fate] / total
            colour = _FATES.get(fate, "#AAAAAA")
            axes.barh(y, share, left=left, color=colour, height=0.62, ec="white")
            text = f"{fate}\n{count[fate]}" if _fits(fate, share) else str(count[fate])
            axes.text(left + share / 2, y, text, ha="center", va="center", color=text_on(colour),
                      fontsize=11)
            left += share
    names = [f"{name}\n({sum(count.values())})" for name, count in counts.items()]
    axes.set_yticks(range(len(counts)), names)
    axes.invert_yaxis()
    lessons = [f"{count['lesson']} of {sum(count.values())}" for count in counts.values()]
    axes.set(xlim=(0, 100), xlabel="share of the teacher's rationales in % (numbers: counts)",
             title=f"Rationales that become lessons: {', '.join(lessons)}")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    small = []
    for fate in _FATES:
        shares = [100 * count[fate] / sum(count.values()) for count in counts.values()]
        if any(share > 0 and not _fits(fate, share) for share in shares):
            small.append(fate)
    for fate in small:
        axes.barh(0, 0, color=_FATES[fate], label=fate)
    if small:
        figure.legend(loc="outside lower right", ncols=len(small), frameon=False, fontsize=11)
    return figure


def _fits(fate: str, share: float) -> bool:
    """Whether a verdict's name fits into a bar of `share` per cent."""
    return share > 1.05 * len(fate) + 3


@dataclass(frozen=True)
class Spending:
    """What a simulated budget did: its state after each event, and how the questions ended.

    Attributes:
        seconds, spent, reserved: after each event; dollars.
        returned: dollars reserved and then freed again, over all calls.
        answered, lost, refused: questions with a reply, with a call of unknown cost, and never
            sent.
    """

    seconds: tuple[float, ...]
    spent: tuple[float, ...]
    reserved: tuple[float, ...]
    returned: float
    answered: int
    lost: int
    refused: int


def spend(
    questions: int, limit: float, worst: float, typical: float, concurrency: int,
    timeouts: float = 0.0, *, seed: int = 0,
) -> Spending:
    """Simulate calls within a budget, as PaidEndpoint makes them; replies come in any order.

    Args:
        limit, worst, typical: US dollars: the budget, the reservation per call, the average cost
            of a reply.
        concurrency: calls at once.
        timeouts: share of calls that never get a reply; each counts with its worst.
    """
    draw = random.Random(seed)
    # Cost and delay are drawn per question, so that two settings differ by the setting alone.
    fate = [
        (draw.random() < timeouts, draw.uniform(0.5, 1.5), draw.uniform(1, 4))
        for _ in range(questions)]
    budget, now = Budget(limit), 0.0
    flying: list[tuple[float, int]] = []
    states = [(0.0, 0.0, 0.0)]
    number = answered = lost = refused = 0
    returned = 0.0
    while number < questions or flying:
        while number < questions and len(flying) < concurrency:
            if budget.reserve(worst):
                late, _, delay = fate[number]
                heapq.heappush(flying, (now + (12 if late else delay), number))
            elif flying:
                break  # wait for a reply to free part of the budget
            else:
                refused += 1
            number += 1
        states.append((now, budget.spent, budget.in_flight))
        if flying:
            now, done = heapq.heappop(flying)
            late, cost, _ = fate[done]
            paid = worst if late else min(worst, cost * typical)
            budget.settle(worst, None if late else paid)
            returned += worst - paid
            answered += not late
            lost += late
            states.append((now, budget.spent, budget.in_flight))
    seconds, spent, reserved = zip(*states, strict=True)
    return Spending(seconds, spent, reserved, returned, answered, lost, refused)


@style()
def budget_at_work(
    limit_cents: float = 20, worst_cents: float = 2, typical_cents: float = 0.2,
    calls_at_once: int = 8, percent_lost: int = 0, questions: int = 100,
) -> Figure:
    """Money spent and reserved over time, and how many questions were answered; see `spend`.

    Args:
        limit_cents, worst_cents, typical_cents: the budget; the reservation per call; the average
            cost of a reply.
        percent_lost: share of calls that never get a reply but may be billed.
    """
    told = spend(questions, limit_cents / 100, worst_cents / 100, typical_cents / 100,
                 calls_at_once, percent_lost / 100)
    end = max(1.0, told.seconds[-1])
    seconds = [*told.seconds, 1.04 * end]  # room for the last reply's cost
    spent = [100 * s for s in (*told.spent, told.spent[-1])]
    reserved = [100 * r for r in (*told.reserved, told.reserved[-1])]
    figure = new_figure(10, 4.6)
    left, right = figure.subplots(1, 2, width_ratios=[2.5, 1])
    bottom = left.stackplot(seconds, spent, reserved, colors=[BLUE, ORANGE], step="post", lw=0)
    left.axhline(limit_cents, color=RED, lw=2)
    left.text(0, limit_cents * 1.02, "limit", color=RED, va="bottom")
    note = f"reserved and freed again, all calls together: {100 * told.returned:.0f} cents"
    left.legend(bottom[::-1], ["reserved for calls in flight", "spent"], loc="upper right",
                frameon=False, ncols=2, fontsize=11)
    left.set(xlabel=f"seconds (simulated)\n{note}", ylabel="US cents", xlim=(0, seconds[-1]),
             ylim=(0, 1.25 * limit_cents))
    ends = {"answered": (told.answered, GREEN), "no reply": (told.lost, RED),
            "not sent": (told.refused, GREY)}
    for x, (count, colour) in enumerate(ends.values()):
        right.bar(x, count, color=colour, width=0.7)
        right.text(x, count, str(count), ha="center", va="bottom")
    right.set_xticks(range(len(ends)), list(ends), fontsize=11)
    right.set(ylabel="questions", ylim=(0, questions * 1.1))
    cost = f"{spent[-1]:.1f} of {limit_cents:g} cents"
    done = f"{told.answered} of {questions} questions answered for {cost}, in {end:.0f} seconds"
    headline(figure, done, fontsize=14)
    return figure
