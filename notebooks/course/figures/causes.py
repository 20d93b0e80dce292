"""Figure of notebook 10: what the two loss terms do inside a round, over several seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from l2r_lite.app.figures.base import BLUE, GREY, ORANGE, RED, new_figure, style
from l2r_lite.runs.statistics import mean_interval

if TYPE_CHECKING:
    from l2r_course.research.causes import Look, Watched


@style()
def inside_a_round(watched: Sequence[Watched]) -> Figure:
    """Gradients of both terms, L_lm with and without L_cl, and hidden states, step by step.

    Means over seeds, with their 95 % intervals (t) as bands.

    Args:
        watched: the same seeds of two arms, one of them with λ = 0.
    """
    weights = sorted({w.reflection_weight for w in watched})
    if len(weights) != 2 or weights[0]:
        raise ValueError(f"two arms are compared, one with λ = 0; these have λ = {weights}")
    without, with_it = ([w for w in watched if w.reflection_weight == weight] for weight in weights)
    weight = weights[1]
    figure = new_figure(12, 8.4)
    (pulls, words), (cosines, directions) = figure.subplots(2, 2)
    _line(pulls, with_it, lambda s: s.lm_pull, BLUE, "o-", "L_lm")
    _line(pulls, with_it, lambda s: weight * s.cl_pull, ORANGE, "^-", f"{weight:g} · L_cl")
    pulls.set(ylabel="norm of the gradient", title=f"Gradient of each term (λ = {weight:g})")
    lm = {w.seed: [s.lm for s in w.looks] for w in with_it}
    lm_without = {w.seed: [s.lm for s in w.looks] for w in without}
    cost = np.array([np.subtract(lm[seed], lm_without[seed]) for seed in lm])  # (seeds, looks)
    _band(words, [seen.step for seen in with_it[0].looks], cost, BLUE, "o-", "")
    words.axhline(0, color="black", lw=1)
    words.set(ylabel=f"nats, λ = {weight:g} minus λ = 0, same seed",
              title="Difference in L_lm on held-out lessons")
    _line(directions, without, lambda s: s.directions, GREY, "s-", "λ = 0")
    _line(directions, with_it, lambda s: s.directions, BLUE, "o-", f"λ = {weight:g}")
    _line(cosines, with_it, lambda s: s.positive, BLUE, "o-", f"right rationale, λ = {weight:g}")
    _line(cosines, without, lambda s: s.positive, BLUE, "o--", "right rationale, λ = 0")
    _line(cosines, with_it, lambda s: s.negative, RED, "^-", f"mistake, λ = {weight:g}")
    _line(cosines, without, lambda s: s.negative, RED, "^--", "mistake, λ = 0")
    cosines.set(ylabel="cosine", title="Cosine with the lesson's hidden state", ylim=(-0.3, 1.05))
    directions.set(
        ylabel="effective rank", title="Directions in which hidden states differ")
    directions.set_ylim(bottom=0)
    for axes in (pulls, words, cosines, directions):
        axes.set_xlabel("training step of round 1")
        axes.grid(alpha=0.25)
        if axes is not words:
            axes.legend(frameon=False, ncols=2 if axes is cosines else 1, fontsize=11)
    return figure


def _line(
    axes: Axes, runs: Sequence[Watched], value: Callable[[Look], float], colour: str, mark: str,
    label: str,
) -> None:
    table = np.array([[value(seen) for seen in run.looks] for run in runs])  # (seeds, looks)
    _band(axes, [seen.step for seen in runs[0].looks], table, colour, mark, label)


def _band(
    axes: Axes, steps: Sequence[int], table: NDArray[np.float64], colour: str, mark: str,
    label: str,
) -> None:
    means, halves = zip(*(mean_interval(list(column)) for column in table.T), strict=True)
    axes.plot(steps, means, mark, color=colour, lw=2, ms=6, label=label)
    axes.fill_between(steps, np.subtract(means, halves), np.add(means, halves), color=colour,
                      alpha=0.15, lw=0)
