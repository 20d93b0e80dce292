"""Figures of notebook 13: V as seen against V on fresh questions, and errors by skill."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2r_course.figures.common import headline, label, percent
from l2r_course.labs.explanations.sentences import Sentence
from l2r_course.labs.explanations.validity import Drawn, Pools
from l2r_lite.app.figures.base import BLUE, GREY, ORANGE, RED, new_figure, style
from l2r_lite.app.figures.readable import describe

SHOWN = 80  # cases drawn as thin lines


@style()
def seen_and_verified(*drawn: Drawn) -> Figure:
    """V of the sentence that is best as seen, followed to verification and to future questions.

    Args:
        drawn: a panel each: cases with real labels, or with shuffled ones.
    """
    figure = new_figure(6.5 * max(len(drawn), 1.25), 5.2)
    row = figure.subplots(1, len(drawn), squeeze=False, sharey=True)[0]
    headline(figure, "An explanation is worth less on questions it was not chosen on")
    for axes, one in zip(row, drawn, strict=True):
        _panel(axes, one)
    row[0].set_ylabel("V(h) = P(h | wrong) − P(h | right)")
    describe(figure, "; ".join(map(_in_words, drawn)))
    return figure


def _panel(axes: Axes, drawn: Drawn) -> None:
    columns = np.stack([drawn.seen, drawn.verified, drawn.future])  # (3, cases)
    axes.plot(range(3), columns[:, :SHOWN], color=GREY, lw=1, alpha=0.18)
    means = columns.mean(1)
    axes.plot(range(3), means, "o-", color=BLUE, lw=3.5, ms=9)
    label(axes, f"best as seen: {_value(means[0])}", (0, means[0]), BLUE, (10, 16), weight="bold")
    better = float(drawn.reranked.mean())
    axes.plot(2, better, "D", color=ORANGE, ms=10)
    apart = max(0.0, 0.2 - (better - means[2])) / 2  # so that the two names do not overlap
    ends = ((f"re-ranked by\nverification: {_value(better)}", better, apart, ORANGE),
            (f"best as seen:\n{_value(means[2])}", means[2], -apart, BLUE))
    for text, y, moved, colour in ends:
        axes.text(2.1, y + moved, text, color=colour, va="center", weight="bold")
    axes.axhline(0, color="black", lw=1)
    axes.set_xticks(range(3), [f"as seen\n{drawn.n} wrong, {drawn.n} right", "verified",
                               "on future\nquestions"])
    labels = "Shuffled labels" if drawn.shuffled else "Real labels"
    axes.set_title(f"{labels}: verification accepts a sentence\nin {percent(drawn.any_accepted)} "
                   "of cases", fontsize=12)
    axes.set(xlim=(-0.25, 3.0), ylim=(-0.35, 1.1))
    axes.grid(axis="y", alpha=0.25)


def _value(v: float) -> str:
    """V with two digits; no minus before 0.00."""
    return f"{round(v, 2) + 0:.2f}".replace("-", "−")


def _in_words(drawn: Drawn) -> str:
    labels = "shuffled" if drawn.shuffled else "real"
    values = (drawn.seen, drawn.verified, drawn.future, drawn.reranked)
    seen, verified, future, reranked = (_value(float(v.mean())) for v in values)
    return (
        f"{labels} labels, n = {drawn.n}: V {seen} as seen, {verified} verified, {future} on "
        f"future questions, {reranked} re-ranked; accepted in {percent(drawn.any_accepted)}")


@style()
def errors_and_sentence(pools: Pools, h: Sentence) -> Figure:
    """Errors per skill on future questions, and of which skills the sentence is true.

    Args:
        h: one explanation.
    """
    rates: dict[str, list[bool]] = {}
    true: dict[str, list[bool]] = {}
    for answered in pools.future:
        rates.setdefault(answered.problem.skill, []).append(answered.wrong)
        true.setdefault(answered.problem.skill, []).append(h.holds(answered))
    skills = sorted(rates, key=lambda skill: float(np.mean(rates[skill])))
    figure = new_figure(10, 1.4 + 0.29 * len(skills))
    axes = figure.subplots()
    _bars(axes, skills, rates, true)
    axes.set_title(f"Errors by skill; red where {textwrap.shorten(h.text, 60)}", fontsize=13)
    axes.set(xlabel="wrong answers on future questions in %", xlim=(0, 100))
    axes.grid(axis="x", alpha=0.25)
    worst = [f"{skill} {percent(float(np.mean(rates[skill])))}" for skill in skills[::-1][:4]]
    describe(figure, f"most errors: {', '.join(worst)}")
    return figure


def _bars(
    axes: Axes, skills: Sequence[str], rates: dict[str, list[bool]], true: dict[str, list[bool]]
) -> None:
    for y, skill in enumerate(skills):
        share = 100 * float(np.mean(rates[skill]))
        holds = float(np.mean(true[skill]))
        colour = RED if holds > 0.5 else GREY
        axes.barh(y, share, color=colour, alpha=1.0 if holds > 0.5 else 0.55)
        label(axes, f"{share:.0f}", (share, y), colour, (5, 0))
    axes.set_yticks(range(len(skills)), skills, fontsize=11)
    axes.set_ylim(-0.6, len(skills) - 0.4)
