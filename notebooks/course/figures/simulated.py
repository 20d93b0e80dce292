"""Figures of notebook 09 from simulated runs, whose truth is known."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from l2r_course.figures.common import headline, label, percent
from l2r_course.research.statistics import holm, sign_flip_test, simulate
from l2r_lite.app.figures.base import BLUE, GREEN, GREY, ORANGE, RED, new_figure, style
from l2r_lite.runs.statistics import mean_interval


@style()
def one_seed_misleads(deviation: float, questions: int, mark: float = 2.0) -> Figure:
    """How often the truly worse arm comes out ahead, for 1, 3 and 10 seeds (simulated).

    Args:
        deviation: standard deviation of the true difference over seeds, in points.
        mark: the true difference named in the title, in points.
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
        f"Truly {mark:g} points better, yet behind in {percent(share)} of one-seed experiments")
    axes.set(xlabel="true difference between two arms, points of accuracy",
             ylabel="worse arm is ahead, % of experiments", ylim=(0, 55))
    axes.grid(alpha=0.25)
    return figure


def _worse_ahead(difference: float, deviation: float, seeds: int, questions: int) -> float:
    found = _differences(difference, deviation, seeds, questions, 1000).mean(1)
    return float((found < 0).mean() + (found == 0).mean() / 2)  # a tie is half a wrong call


def _differences(
    difference: float, deviation: float, seeds: int, questions: int, experiments: int
) -> NDArray[np.float64]:
    """Simulated experiments: difference of two arms per seed, shape (experiments, seeds)."""
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
    right.text(0.5, 7, "aim: 5 %", ha="center", fontsize=11)
    right.set_xticks(range(2), ["no correction", "Holm"])
    right.set(ylabel="% of 300 experiments", ylim=(0, 100),
              title="How often at least one\nhas p < 0.05")
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
        title=f"One experiment, {len(gains)} equal arms:\nthe best seems {best:.1f} points better")
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
        f"The best of {most} equals, chosen on the test, seems {gain:.1f} points better than it is")
    axes.set(xlabel="number of candidates (rounds, settings, seeds), all equally good",
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
    """Simulated experiments of one size: their intervals, and the share that finds the truth.

    Args:
        true_difference: between the two arms, in points.
        spread_over_seeds: standard deviation of the true difference over seeds, in points.
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
    what = f"With {seeds} seeds and {questions} questions"
    if true_difference > 0:
        told = f"{percent(shares[0])} of experiments find the difference"
    else:
        told = f"{percent(shares[1])} of experiments rightly stay undecided"
    headline(figure, f"{what}, {told}")
    return figure
