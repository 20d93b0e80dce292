"""Figures of notebook 09: what several runs show, and how surely."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2r_course.figures.common import headline, label
from l2r_course.research.evidence import Run
from l2r_course.research.findings import verdict
from l2r_course.research.statistics import Difference, Spread
from l2r_lite.app.figures.base import (
    BETTER,
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    ORANGE,
    WORSE,
    new_figure,
    style,
)
from l2r_lite.app.figures.readable import describe
from l2r_lite.runs.statistics import mean_interval


@style()
def arms_by_seed(runs: Sequence[Run], arms: Sequence[str], after: int | None = None) -> Figure:
    """Each arm's accuracy per seed, a line per seed, and each arm's mean with its interval."""
    figure = new_figure(9, 5)
    colours = dict(zip(arms, COLOURS * len(arms), strict=False))
    _by_seed(figure.subplots(), runs, colours, after, _how_far_apart(runs, arms, after))
    describe(figure, _means_in_words(runs, arms, after))
    figure.supxlabel(_HOW_TO_READ, fontsize=11, color=GREY)
    return figure


@style()
def arms_in_logs(
    logs: Mapping[str, Sequence[Run]], arms: Sequence[str], after: int | None = None
) -> Figure:
    """The same for several logs: one panel per log, with those of the arms that it has."""
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
    said = [f"{name}, {_means_in_words(runs, arms, after)}" for name, runs in logs.items()]
    describe(figure, ". ".join(said))
    figure.supxlabel(_HOW_TO_READ, fontsize=11, color=GREY)
    return figure


_HOW_TO_READ = "grey line: one seed; diamond: mean over seeds, with its 95 % interval"

_ON_WHITE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}


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
        label(axes, told, (x + 0.13, mean), colour, weight="bold", bbox=_ON_WHITE)
    before = 100 * np.mean([r.correct(0).mean() for r in runs])
    axes.axhline(before, color="black", lw=1, ls="--")
    axes.text(len(arms) - 0.07, before, f"untrained: {before:.0f} %", va="bottom", ha="right",
              fontsize=11)
    axes.set_xticks(range(len(arms)), [f"{arm}\n{len(table[arm])} seeds" for arm in arms])
    axes.set(xlim=(-0.3, len(arms) - 0.05), ylabel="test accuracy in %", title=title)
    axes.grid(axis="y", alpha=0.25)


def _means_in_words(runs: Sequence[Run], arms: Sequence[str], after: int | None) -> str:
    found = {arm: [100 * r.correct(after).mean() for r in runs if r.arm == arm] for arm in arms}
    means = {arm: np.mean(each) for arm, each in found.items() if each}
    return f"mean over seeds: {', '.join(f'{arm} {mean:.0f} %' for arm, mean in means.items())}"


def _how_far_apart(runs: Sequence[Run], arms: Sequence[str], after: int | None) -> str:
    """A title that describes: how far seeds of one arm differ, and how far the arms' means do."""
    found = [[100 * r.correct(after).mean() for r in runs if r.arm == arm] for arm in arms]
    if min(map(len, found)) < 2:
        return "Test accuracy by arm and seed"
    seeds = max(np.ptp(one) for one in found)
    means = np.ptp([np.mean(one) for one in found])
    return f"Seeds of one arm differ by up to {seeds:.0f} points, the arms' means by {means:.0f}"


@style()
def intervals(found: Mapping[str, Difference]) -> Figure:
    """A row per comparison: its 95 % interval as a bar, the measured difference, the verdict."""
    figure = new_figure(10, 1.5 + 0.85 * len(found))
    axes = figure.subplots()
    for y, result in enumerate(found.values()):
        colour = BETTER if result.difference > 0 else WORSE
        if not result.decided:
            colour = GREY
        axes.plot([100 * result.low, 100 * result.high], [y, y], color=colour, lw=6,
                  solid_capstyle="butt", alpha=0.6)
        axes.plot(100 * result.difference, y, "D", color="black", ms=7)
    axes.axvline(0, color="black", lw=1)
    told = [f"{name}:\n{verdict(result)}" for name, result in found.items()]
    axes.set_yticks(range(len(found)), told)
    axes.set(ylim=(len(found) - 0.5, -0.5), xlabel=(
        "difference between the two arms, points of accuracy\n"
        "bar: 95 % interval; diamond: measured"))
    axes.grid(axis="x", alpha=0.25)
    decided = sum(result.decided for result in found.values())
    verb = "is" if decided == 1 else "are"
    headline(figure, f"{decided} of {len(found)} comparisons {verb} decided")
    describe(figure, "; ".join(" ".join(row.split()) for row in told))
    return figure


@style()
def what_narrows_an_interval(parts: Spread, seeds: int, questions: int) -> Figure:
    """Half-width of a difference's interval by number of seeds, for several numbers of questions.

    Args:
        parts: variance of the difference, split into seeds, questions and the rest.
        seeds, questions: size of the experiment from which the parts were estimated.
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
             title=f"Expected with twice the seeds: ± {more_seeds:.1f} points; "
                   f"with twice the questions: ± {more_questions:.1f}")
    axes.set_xticks([2, 4, 8, 16, 32], ["2", "4", "8", "16", "32"])
    low, high = half(32, 8 * questions) / 1.3, 1.5 * half(2, questions // 2)
    ticks = [t for t in (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64) if low < t < high]
    axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.25)
    return figure
