"""Figures of a round's training watched from inside: what the two terms do, step by step, over several seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2r_lite.causes import Look, Watched
from l2r_lite.plots.base import BLUE, GREY, ORANGE, RED, new_figure, style
from l2r_lite.report import mean_interval


def inside_a_round(watched: Sequence[Watched]) -> Figure:
    """Both terms' gradients, the held-out L_lm and the hidden states while a round is trained, without and with λ.

    Means over seeds, with their 95 % intervals (t) as bands.

    Args:
        watched: several seeds of two arms, one of them with λ = 0.
    """
    weights = sorted({w.reflection_weight for w in watched})
    if len(weights) != 2 or weights[0]:
        raise ValueError(f"two arms are compared, one with λ = 0; these have λ = {weights}")
    without, with_it = ([w for w in watched if w.reflection_weight == weight] for weight in weights)
    weight = weights[1]
    names = (("λ = 0", without, GREY, "s-"), (f"λ = {weight:g}", with_it, BLUE, "o-"))
    with style():
        figure = new_figure(12, 8.4)
        (pulls, words), (cosines, directions) = figure.subplots(2, 2)
        _line(pulls, with_it, lambda s: s.lm_pull, BLUE, "o-", "L_lm")
        _line(pulls, with_it, lambda s: weight * s.cl_pull, ORANGE, "^-", f"{weight:g} · L_cl")
        pulls.set(ylabel="norm of the gradient", title=f"How hard each term pulls (λ = {weight:g})")
        for name, runs, colour, mark in names:
            _line(words, runs, lambda s: s.lm, colour, mark, name)
            _line(directions, runs, lambda s: s.directions, colour, mark, name)
        words.set(ylabel="L_lm on held-out lessons, in nats", title="How well lessons are read", yscale="log")
        words.set_yticks(ticks := [0.25, 0.5, 1, 2], [f"{t:g}" for t in ticks])
        words.minorticks_off()
        _line(cosines, with_it, lambda s: s.positive, BLUE, "o-", f"right one, λ = {weight:g}")
        _line(cosines, without, lambda s: s.positive, BLUE, "o--", "right one, λ = 0")
        _line(cosines, with_it, lambda s: s.negative, RED, "^-", f"mistake, λ = {weight:g}")
        _line(cosines, without, lambda s: s.negative, RED, "^--", "mistake, λ = 0")
        cosines.set(ylabel="cosine with the lesson's state", title="How states lie", ylim=(-0.3, 1.05))
        directions.set(ylabel="effective rank of the states", title="In how many directions states differ")
        directions.set_ylim(bottom=0)
        for axes in (pulls, words, cosines, directions):
            axes.set_xlabel("training step of round 1")
            axes.grid(alpha=0.25)
            axes.legend(frameon=False, ncols=2 if axes is cosines else 1, fontsize=11)
        return figure


def _line(axes: Axes, runs: Sequence[Watched], value: Callable[[Look], float], colour: str, mark: str, label: str) -> None:
    steps = [seen.step for seen in runs[0].looks]
    table = np.array([[value(seen) for seen in run.looks] for run in runs])  # (seeds, looks)
    means, halves = zip(*(mean_interval(list(column)) for column in table.T), strict=True)
    axes.plot(steps, means, mark, color=colour, lw=2, ms=6, label=label)
    axes.fill_between(steps, np.subtract(means, halves), np.add(means, halves), color=colour, alpha=0.15, lw=0)
