"""Figures of notebook 10: what several runs show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2r_course.figures.common import headline, label
from l2r_course.research.evidence import Run, paired
from l2r_course.research.statistics import Difference, Spread
from l2r_lite.app.figures.base import BLUE, COLOURS, GREEN, GREY, ORANGE, new_figure, style
from l2r_lite.runs.statistics import mean_interval


@style()
def arms_by_seed(runs: Sequence[Run], arms: Sequence[str], after: int | None = None) -> Figure:
    """Each arm's accuracy per seed, dots of one seed joined, and the mean with its interval."""
    figure = new_figure(9, 5)
    colours = dict(zip(arms, COLOURS * len(arms), strict=False))
    _by_seed(figure.subplots(), runs, colours, after, _who_wins(runs, arms, after))
    figure.supxlabel(_HOW_TO_READ, fontsize=11, color=GREY)
    return figure


@style()
def arms_in_logs(
    logs: Mapping[str, Sequence[Run]], arms: Sequence[str], after: int | None = None
) -> Figure:
    """The same for several logs, a panel each, with what they have of these arms."""
    rows = math.ceil(len(logs) / 2)
    figure = new_figure(12.5, 4.3 * rows + 0.4)
    grid = figure.subplots(rows, 2, squeeze=False)
    for axes in grid.flat[len(logs) :]:
        axes.remove()
    for axes, (name, runs) in zip(grid.flat, logs.items(), strict=False):
        have = {r.arm for r in runs}
        there = {arm: c for arm, c in zip(arms, COLOURS, strict=False) if arm in have}
        _by_seed(axes, runs, there, after, name)
        axes.set_ylim(bottom=0)
    figure.supxlabel(_HOW_TO_READ, fontsize=11, color=GREY)
    return figure


_HOW_TO_READ = "grey: one line per seed; diamond: mean over seeds with its 95 % interval"


def _by_seed(
    axes: Axes, runs: Sequence[Run], arms: Mapping[str, str], after: int | None, title: str
) -> None:
    """One panel; `arms` has each arm's colour."""
    table: dict[str, dict[int, float]] = {arm: {} for arm in arms}
    for r in runs:
        if r.arm in table:
            table[r.arm][r.seed] = 100 * r.correct(after).mean()
    for seed in sorted({seed for found in table.values() for seed in found}):
        places = [(x, table[arm][seed]) for x, arm in enumerate(arms) if seed in table[arm]]
        axes.plot(*zip(*places, strict=True), "o-", color=GREY, lw=1.2, ms=6, alpha=0.7, zorder=1)
    for x, (arm, colour) in enumerate(arms.items()):
        mean, half = mean_interval(list(table[arm].values()))
        told = f"{mean:.0f} ± {half:.0f} %" if math.isfinite(half) else f"{mean:.0f} %"
        shown = half if math.isfinite(half) else 0
        axes.errorbar(x + 0.13, mean, shown, fmt="D", color=colour, ms=9, lw=2.5, capsize=6,
                      zorder=3)
        label(axes, told, (x + 0.13, mean), colour, weight="bold")
    before = 100 * np.mean([r.correct(0).mean() for r in runs])
    axes.axhline(before, color="black", lw=1, ls="--")
    axes.text(len(arms) - 0.42, before, f"untrained: {before:.0f} %", va="bottom", ha="right",
              fontsize=11)
    axes.set_xticks(range(len(arms)), [f"{arm}\n{len(table[arm])} seeds" for arm in arms])
    axes.set(xlim=(-0.3, len(arms) - 0.4), ylabel="test accuracy in %", title=title)
    axes.grid(axis="y", alpha=0.25)


def _who_wins(runs: Sequence[Run], arms: Sequence[str], after: int | None) -> str:
    if len(arms) > 3:
        return "Where grey lines cross, seeds disagree"
    told = []
    for one, other in pairwise(arms):
        seeds, a, b = paired(runs, one, other, after)
        wins = int((b.mean(1) > a.mean(1)).sum())
        told.append(f"{other} beats {one} in {wins} of {len(seeds)} seeds")
    return ",\n".join(told)


@style()
def intervals(found: Mapping[str, Difference]) -> Figure:
    """A row per comparison: its 95 % interval as a bar, a diamond in it, the verdict in words."""
    figure = new_figure(10, 1.5 + 0.85 * len(found))
    axes = figure.subplots()
    for y, result in enumerate(found.values()):
        colour = BLUE if result.difference > 0 else ORANGE
        if not result.decided:
            colour = GREY
        axes.plot([100 * result.low, 100 * result.high], [y, y], color=colour, lw=6,
                  solid_capstyle="butt", alpha=0.6)
        axes.plot(100 * result.difference, y, "D", color="black", ms=7)
    axes.axvline(0, color="black", lw=1)
    told = [f"{name}:\n{verdict(result)}" for name, result in found.items()]
    axes.set_yticks(range(len(found)), told)
    axes.set(ylim=(len(found) - 0.5, -0.5), xlabel=(
        "difference of the two arms in points of accuracy\nbar: 95 % interval; diamond: measured"))
    axes.grid(axis="x", alpha=0.25)
    decided = sum(result.decided for result in found.values())
    verb = "is" if decided == 1 else "are"
    headline(figure, f"{decided} of {len(found)} comparisons {verb} decided")
    return figure


def verdict(result: Difference) -> str:
    """What an interval allows to say, in words."""
    low, high = 100 * result.low, 100 * result.high
    if result.decided:
        better, least, most = ("better", low, high) if low > 0 else ("worse", -high, -low)
        return f"{better}, by {least:.1f} to {most:.1f} points"
    return f"undecided, between {low:+.1f} and {high:+.1f} points".replace("-", "−")


@style()
def what_narrows_an_interval(parts: Spread, seeds: int, questions: int) -> Figure:
    """Half the width of a difference's interval by number of seeds, for several question counts.

    Args:
        parts: what the difference varied by.
        seeds, questions: size of the experiment that this was estimated from.
    """

    def half(n: int, q: int) -> float:
        return 196 * parts.standard_error(n, q)

    now = half(seeds, questions)
    more_seeds, more_questions = half(2 * seeds, questions), half(seeds, 2 * questions)
    figure = new_figure(9.5, 5)
    axes = figure.subplots()
    counts = range(2, 33)
    for factor, colour in zip((0.5, 1, 2, 8), (GREY, BLUE, GREEN, ORANGE), strict=True):
        asked = round(questions * factor)
        axes.plot(counts, [half(n, asked) for n in counts], color=colour, lw=2.2)
        label(axes, f"{asked} questions", (32, half(32, asked)), colour, (6, 0), weight="bold")
    axes.plot(seeds, now, "o", color=BLUE, ms=10)
    axes.annotate(f"here: {seeds} seeds, {questions} questions, ± {now:.1f} points", (seeds, now),
                  (0.06, 0.12), color=BLUE, textcoords="axes fraction", weight="bold",
                  arrowprops={"arrowstyle": "-", "color": BLUE})
    axes.set(xscale="log", yscale="log", xlim=(2, 32), xlabel="seeds per arm",
             ylabel="95 % interval: ± points",
             title=f"Twice the seeds: ± {more_seeds:.1f}; "
                   f"twice the questions: ± {more_questions:.1f} points")
    axes.set_xticks([2, 4, 8, 16, 32], ["2", "4", "8", "16", "32"])
    low, high = half(32, 8 * questions) / 1.3, 1.5 * half(2, questions // 2)
    ticks = [t for t in (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64) if low < t < high]
    axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.25)
    return figure
