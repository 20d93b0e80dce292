"""Figures of notebook 08: several real runs, and made-up runs whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from l2r_course.figures.common import headline, label, percent
from l2r_course.research.evidence import Run, paired
from l2r_course.research.statistics import Bootstrap, Spread, holm, sign_flip_test, simulate
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from l2r_lite.app.figures.base import BLUE, COLOURS, GREEN, GREY, ORANGE, RED, new_figure, style
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


_HOW_TO_READ = "grey: one line a seed; diamond: mean over seeds with its 95 % interval"


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
def bootstrap_differences(found: Mapping[str, Bootstrap]) -> Figure:
    """The resampled differences of comparisons, each with its interval and its verdict."""
    figure = new_figure(10, 1.3 + 2.1 * len(found))
    rows = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, result) in zip(rows, found.items(), strict=True):
        colour = BLUE if result.decided else GREY
        axes.hist(100 * result.draws, bins=40, color=colour, alpha=0.45)
        top = axes.get_ylim()[1]
        axes.plot([100 * result.low, 100 * result.high], [-0.07 * top] * 2, color=colour, lw=5,
                  solid_capstyle="butt")
        axes.plot(100 * result.difference, -0.07 * top, "D", color="black", ms=7)
        axes.axvline(0, color="black", lw=1)
        axes.set_title(f"{name}: {verdict(result)}", fontsize=12, weight="normal")
        axes.set(yticks=[], ylim=(-0.18 * top, 1.05 * top))
        axes.spines["left"].set_visible(False)
    rows[-1].set_xlabel(
        "difference of the two arms in points of accuracy (bar: 95 % interval; diamond: measured)")
    decided = sum(result.decided for result in found.values())
    told = f"{decided} of {len(found)} comparisons {'is' if decided == 1 else 'are'} decided"
    headline(figure, told)
    return figure


def verdict(result: Bootstrap) -> str:
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
    axes.set(xscale="log", yscale="log", xlim=(2, 32), xlabel="seeds an arm",
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


@style()
def one_seed_misleads(deviation: float, questions: int, mark: float = 2.0) -> Figure:
    """How often the truly worse arm comes out ahead, for 1, 3 and 10 seeds (simulated).

    Args:
        deviation: over seeds, of the true difference, in points.
        mark: the true difference that the title speaks of, in points.
    """
    true = range(9)
    figure = new_figure(9, 4.8)
    axes = figure.subplots()
    for seeds, colour in ((1, RED), (3, ORANGE), (10, BLUE)):
        wrong = [100 * _worse_ahead(t / 100, deviation / 100, seeds, questions) for t in true]
        axes.plot(true, wrong, "o-", color=colour, lw=2.2, ms=5)
        name = "1 seed" if seeds == 1 else f"{seeds} seeds"
        label(axes, name, (true[3], wrong[3]), colour, (4, 13), weight="bold")
    share = _worse_ahead(mark / 100, deviation / 100, 1, questions)
    axes.set_title(
        f"{mark:g} points better, and yet behind in {100 * share:.0f} % of one-seed experiments")
    axes.set(xlabel="true difference of two arms in points of accuracy",
             ylabel="worse arm is ahead, % of cases", ylim=(0, 55))
    axes.grid(alpha=0.25)
    return figure


def _worse_ahead(difference: float, deviation: float, seeds: int, questions: int) -> float:
    found = _differences(difference, deviation, seeds, questions, 1000).mean(1)
    return float((found < 0).mean() + (found == 0).mean() / 2)  # a tie is half a wrong call


def _differences(
    difference: float, deviation: float, seeds: int, questions: int, experiments: int
) -> NDArray[np.float64]:
    """Made-up experiments: each seed's difference of two arms, shape (experiments, seeds)."""
    arms = [0.7 + difference / 2, 0.7 - difference / 2]
    found = simulate(arms, deviation, seeds=seeds, questions=questions, experiments=experiments)
    accuracies = found.mean(3)
    return accuracies[:, 0] - accuracies[:, 1]


@style()
def best_of_equal_arms(
    arms: int = 12, seeds: int = 10, questions: int = 200, deviation: float = 4.0
) -> Figure:
    """Equal arms, each compared with a baseline: how often is any called different?"""
    found = simulate([0.7] * (arms + 1), deviation / 100, seeds=seeds, questions=questions,
                     experiments=300, seed=1)
    accuracies = found.mean(3)  # (experiments, arms, seeds)
    gains = 100 * (accuracies[:, 1:] - accuracies[:, :1])
    p = sign_flip_test(gains)  # (experiments, arms)
    uncorrected = (p.min(1) < 0.05).mean()
    corrected = np.mean([min(holm(list(row))) < 0.05 for row in p])
    figure = new_figure(11, 4.8)
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    _one_experiment(left, gains[0])
    shares = [uncorrected, corrected]
    bars = right.bar(range(2), [100 * s for s in shares], color=[RED, BLUE], width=0.55)
    right.bar_label(bars, list(map(percent, shares)), fontsize=13, padding=3)
    right.axhline(5, color="black", lw=1, ls="--")
    right.text(0.5, 7, "promised:\n5 %", ha="center", fontsize=11)
    right.set_xticks(range(2), ["no correction", "Holm"])
    right.set(ylabel="% of 300 experiments", ylim=(0, 100),
              title="… and how often one of them\nis called different")
    return figure


def _one_experiment(axes: Axes, gains: NDArray[np.float64]) -> None:
    order = np.argsort(gains.mean(1))
    for y, i in enumerate(order):
        mean, half = mean_interval(list(gains[i]))
        colour = RED if abs(mean) > half else GREY
        axes.errorbar(mean, y, xerr=half, fmt="o", color=colour, lw=2, capsize=4)
    axes.axvline(0, color="black", lw=1)
    best = gains[order[-1]].mean()
    axes.set(
        xlabel="gain over the baseline in points (95 % interval)", yticks=[], ylabel="arms, sorted",
        title=f"{len(gains)} equal arms: the best\nseems {best:.1f} points better …")
    axes.spines["left"].set_visible(False)


@style()
def choosing_on_the_test(questions: int = 200, accuracy: float = 0.8, most: int = 20) -> Figure:
    """Equal candidates: the accuracy reported for the best, chosen on the test or validation."""
    test, validation = (
        100 * simulate([accuracy] * most, 0.0, seeds=1, questions=questions, experiments=2000,
                       seed=seed)[:, :, 0].mean(2)
        for seed in (1, 2))  # each (experiments, candidates)
    counts = range(1, most + 1)
    figure = new_figure(9, 4.6)
    axes = figure.subplots()
    on_test = [test[:, :k].max(1).mean() for k in counts]
    chosen = [validation[:, :k].argmax(1) for k in counts]
    on_validation = [test[np.arange(len(test)), best].mean() for best in chosen]
    axes.plot(counts, on_test, "o-", color=RED, lw=2.2, ms=5)
    label(axes, "chosen on the test, reported on the same test", (8, on_test[7]), RED, (0, -24),
          weight="bold")
    axes.plot(counts, on_validation, "o-", color=BLUE, lw=2.2, ms=5)
    label(axes, "chosen on validation, reported on the test", (8, on_validation[7]), BLUE,
          (0, -20), weight="bold")
    axes.axhline(100 * accuracy, color="black", lw=1)
    gain = on_test[-1] - 100 * accuracy
    axes.set_title(
        f"The best of {most} equals, chosen on the test, gains {gain:.1f} points that do not exist")
    axes.set(xlabel="candidates (rounds, settings, seeds), all equally good",
             ylabel="reported accuracy in %")
    axes.set_ylim(100 * accuracy - 1.2, None)
    axes.set_xticks([1, 5, 10, 15, 20])
    axes.grid(alpha=0.25)
    return figure


@style()
def what_an_experiment_shows(
    true_difference: float = 2.0, spread_over_seeds: float = 3.0, seeds: int = 3,
    questions: int = 200,
) -> Figure:
    """Made-up experiments of one size: their intervals, and the share that finds the truth.

    Args:
        true_difference: of two arms, in points.
        spread_over_seeds: standard deviation of the true difference, in points.
    """
    by_seed = 100 * _differences(
        true_difference / 100, spread_over_seeds / 100, seeds, questions, 400)
    intervals = np.array([mean_interval(list(row)) for row in by_seed])  # (experiments, 2)
    mean, half = intervals.T
    ahead, behind = mean - half > 0, mean + half < 0
    wrong = behind if true_difference > 0 else ahead | behind
    found = ahead if true_difference > 0 else np.zeros_like(ahead)
    colours = np.where(wrong, RED, np.where(found, BLUE, GREY))
    figure = new_figure(11, 5)
    left, right = figure.subplots(1, 2, width_ratios=[2.4, 1])
    for y, i in enumerate(np.argsort(mean[:40])):
        left.plot([mean[i] - half[i], mean[i] + half[i]], [y, y], color=colours[i], lw=2.4)
        left.plot(mean[i], y, "o", color=colours[i], ms=4)
    left.axvline(0, color="black", lw=1)
    left.axvline(true_difference, color=GREEN, lw=2, ls="--")
    left.text(true_difference, 41.2, " the truth", color=GREEN, weight="bold")
    left.set(xlabel="difference in points, 95 % interval over seeds",
             ylabel="40 experiments, sorted", ylim=(-1, 44))
    left.set_yticks([])
    limit = max(6.0, float(np.quantile(np.abs(mean) + half, 0.9)))
    left.set_xlim(-limit, limit)
    shares = [found.mean(), 1 - found.mean() - wrong.mean(), wrong.mean()]
    bars = right.barh(range(3), [100 * s for s in shares], color=[BLUE, GREY, RED])
    right.bar_label(bars, list(map(percent, shares)), padding=4, fontsize=13)
    right.set_yticks(range(3), ["finds it", "undecided", "wrong"])
    right.invert_yaxis()
    right.set(xlim=(0, 118), xlabel="% of 400 experiments")
    called = shares[0] if true_difference > 0 else shares[1]
    what = f"With {seeds} seeds and {questions} questions"
    headline(figure, f"{what}, {percent(called)} of experiments call it right")
    return figure
