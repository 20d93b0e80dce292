"""Figures of notebook 10, from logs of many runs: arms by round, and comparisons."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from l2r_course.research.evidence import Run
from l2r_course.research.findings import Comparison, verdict
from l2r_lite.app.figures.base import BETTER, COLOURS, GREY, WORSE, new_figure, style
from l2r_lite.app.figures.readable import describe
from l2r_lite.runs.statistics import mean_interval

MARKERS = "osD^vPX*"


@style()
def arms_by_round(
    runs: Sequence[Run], arms: Sequence[str], groups: dict[str, NDArray[np.bool_]] | None = None
) -> Figure:
    """Test accuracy of each arm by round, mean over seeds with its 95 % interval.

    Args:
        groups: title of a panel → mask of its test questions, (questions,). None: one panel with
            all questions.
    """
    panels = groups or {"Test accuracy by round": np.ones(len(runs[0].test[0]), bool)}
    figure = new_figure(10 if len(panels) == 1 else 6.6 * len(panels), 5.5)
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, shown) in zip(row, panels.items(), strict=True):
        _arms_panel(axes, runs, arms, shown)
        axes.set(xlabel="round (0: untrained); in brackets: seeds", ylabel="test accuracy in %",
                 title=title)
    describe(figure, "; ".join(
        f"{title}, at the end: {_ends_in_words(runs, arms, shown)}"
        for title, shown in panels.items()))
    return figure


def _ends_in_words(runs: Sequence[Run], arms: Sequence[str], shown: NDArray[np.bool_]) -> str:
    ends = {
        arm: np.mean([100 * r.correct(-1)[shown].mean() for r in runs if r.arm == arm])
        for arm in arms}
    return ", ".join(f"{arm} {end:.0f} %" for arm, end in ends.items())


def _arms_panel(
    axes: Axes, runs: Sequence[Run], arms: Sequence[str], shown: NDArray[np.bool_]
) -> None:
    ends = []
    for place, arm in enumerate(arms):
        mine, colour = [r for r in runs if r.arm == arm], COLOURS[place % len(COLOURS)]
        rounds = range(min(len(r.test) for r in mine))
        intervals = [
            mean_interval([100 * r.correct(n)[shown].mean() for r in mine]) for n in rounds]
        means = [mean for mean, _ in intervals]
        # Side by side, so that no bar hides another.
        moved = [n + 0.03 * (place - len(arms) / 2) for n in rounds]
        halves = [0 if math.isnan(half) else half for _, half in intervals]
        axes.errorbar(
            moved, means, halves, fmt=f"{MARKERS[place % 8]}-", color=colour, lw=2, ms=7, capsize=4)
        ends.append((means[-1], moved[-1], f"{arm} ({len(mine)})", colour))
    _spread_labels(axes, ends)
    last = max(x for _, x, _, _ in ends)
    axes.set_xlim(-0.3, last * 1.55 + 0.3)
    axes.set_xticks(range(round(last) + 1))
    axes.grid(axis="y", alpha=0.25)


@style()
def rounds_by_seed(runs: Sequence[Run], arms: Sequence[str]) -> Figure:
    """Test accuracy by round: a thin line per seed, a thick one for the mean of each arm."""
    figure = new_figure(9, 5)
    axes = figure.subplots()
    told = []
    for arm, colour in zip(arms, COLOURS, strict=False):
        by_seed = np.array(
            [[100 * r.correct(n).mean() for n in range(len(r.test))] for r in runs if r.arm == arm])
        rounds, mean = range(by_seed.shape[1]), by_seed.mean(0)
        axes.plot(rounds, by_seed.T, color=colour, lw=1, alpha=0.35)
        axes.plot(rounds, mean, "o-", color=colour, lw=3, ms=8)
        axes.annotate(f"{arm}\n{mean[-1]:.0f} %", (rounds[-1], mean[-1]), (10, 0), color=colour,
                      textcoords="offset points", va="center", weight="bold")
        rising = int((np.diff(by_seed) > 0).all(1).sum())
        told.append(f"{arm}: every round rises in {rising} of {len(by_seed)} seeds")
    axes.set(xlabel="round (0: before any training)", ylabel="test accuracy in %",
             title="\n".join(told), xlim=(-0.1, len(rounds) - 0.3))
    axes.set_xticks(rounds)
    axes.grid(axis="y", alpha=0.25)
    return figure


def _spread_labels(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Names at the ends of the lines, moved apart where they would overlap."""
    low, high = axes.get_ylim()
    gap, free = (high - low) / 18, -math.inf
    right = max(x for _, x, _, _ in ends)
    for y, x, text, colour in sorted(ends):
        free = max(y, free + gap)
        axes.annotate(
            text, (x, y), (right + 0.12, free), color=colour, weight="bold", va="center",
            fontsize=11, arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.6, "alpha": 0.6})


@style()
def comparisons(found: Sequence[Comparison]) -> Figure:
    """The gain of each comparison with its 95 % interval over seeds and questions."""
    figure = new_figure(10, 1.7 + 0.85 * len(found))
    axes = figure.subplots()
    for y, c in enumerate(found):
        colour = BETTER if c.interval.difference > 0 else WORSE
        if c.holds == "undecided":
            colour = GREY
        ends = [100 * c.interval.low, 100 * c.interval.high]
        axes.plot(ends, [y, y], color=colour, lw=6, solid_capstyle="butt", alpha=0.6)
        axes.plot(100 * c.interval.difference, y, "D", color="black", ms=7)
    axes.axvline(0, color="black", lw=1)
    told = [f"{textwrap.fill(c.what, 46)}\n{c.first} − {c.second}, {c.seeds} seeds" for c in found]
    axes.set_yticks(range(len(found)), told, fontsize=11)
    axes.set_ylim(len(found) - 0.5, -0.5)
    decided = sum(c.holds != "undecided" for c in found)
    axes.set(xlabel="gain in points of test accuracy\nbar: 95 % interval; diamond: measured",
             title=f"{decided} of {len(found)} comparisons decided")
    axes.grid(axis="x", alpha=0.25)
    describe(figure, "; ".join(f"{c.first} − {c.second}: {verdict(c.interval)}" for c in found))
    return figure
