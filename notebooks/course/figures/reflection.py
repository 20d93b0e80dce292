"""Figures of self-reflection: a map of hidden states, cosines before and after training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from l2r_course.figures.common import headline, percent
from l2r_course.states import principal_axes
from l2r_lite.app.figures.base import BLUE, ORANGE, new_figure, style
from l2r_lite.app.figures.readable import describe

RIGHT, WRONG = BLUE, ORANGE


@style()
def hidden_map(
    views: Mapping[str, Tensor], right: Sequence[bool], marks: Sequence[str], *, marks_are: str
) -> Figure:
    """Hidden states of the same rationales in several students, on their two principal axes.

    A panel's title says which groups are apart in it: those with more than half of the spread
    between groups, not within them.

    Args:
        views: name of a student → states (n, hidden).
        right: whether each rationale is right; sets its colour.
        marks: a character drawn in place of each dot, such as the first digit of the answer.
        marks_are: what the characters mean, in a few words.
    """
    figure = new_figure(max(6.2 * len(views), 7.5), 5.6)
    row = figure.subplots(1, len(views), squeeze=False)[0]
    for axes, (name, states) in zip(row, views.items(), strict=True):
        spots, share = principal_axes(states)
        for (x, y), good, mark in zip(spots.tolist(), right, marks, strict=True):
            axes.text(x, y, mark, color=RIGHT if good else WRONG, fontsize=12, weight="bold",
                      ha="center", va="center")
        axes.update_datalim(spots.tolist())
        axes.margins(0.06)
        axes.autoscale_view()
        axes.set(xlabel=f"first axis: {percent(share[0].item())} of the variance",
                 ylabel=f"second axis: {percent(share[1].item())}")
        axes.set_title(f"{name}:\n{_groups(spots, right, marks)}", fontsize=12)
    handles = [
        Line2D([], [], ls="", marker="s", color=RIGHT, label="right rationale"),
        Line2D([], [], ls="", marker="s", color=WRONG, label="mistake")]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=11,
                  title=marks_are, title_fontsize=11)
    describe(figure, f"{len(right)} rationales in a plane. {marks_are}")
    return figure


def _groups(spots: Tensor, right: Sequence[bool], marks: Sequence[str]) -> str:
    told = "right and wrong apart" if _between(spots, right) > 0.5 else "right and wrong mixed"
    return f"{told}, equal characters together" if _between(spots, marks) > 0.5 else told


def _between(spots: Tensor, labels: Sequence[object]) -> float:
    """Share of the points' variance that is between groups of equal label, in [0, 1]."""
    groups = [spots[[i for i, x in enumerate(labels) if x == label]] for label in set(labels)]
    within = sum(((group - group.mean(0)) ** 2).sum() for group in groups)
    return 1 - float(within / ((spots - spots.mean(0)) ** 2).sum())


@style()
def cosine_histograms(views: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Histograms of cos(h, h⁺) and cos(h, h⁻), one row per student.

    Args:
        views: name of a student → (cos(h, h⁺), cos(h, h⁻)), each (items,). The title compares the
            first student with the last.
    """
    means = [(plus.mean(), minus.mean()) for plus, minus in views.values()]
    (plus, minus), (last_plus, last_minus) = means[0], means[-1]
    figure = new_figure(10, 1.9 * len(views) + 1.1)
    panels = figure.subplots(len(views), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    low = min(c.min().item() for pair in views.values() for c in pair)
    bins = np.linspace(math.floor(low * 10) / 10, 1, 26)
    for axes, (name, (positive, negative)) in zip(panels, views.items(), strict=True):
        for values, colour, which in ((positive, RIGHT, "h⁺"), (negative, WRONG, "h⁻")):
            mean = values.mean().item()
            axes.hist(values.numpy(), bins, color=colour, alpha=0.6)
            axes.axvline(mean, color=colour, lw=2, label=f"with {which}: mean {mean:.2f}")
        axes.set_ylabel("items")
        axes.set_title(name, fontsize=12, fontweight="normal")
        axes.legend(loc="upper left", frameon=False, fontsize=11)
    panels[-1].set_xlabel("cosine with the anchor's hidden state h")
    headline(figure, f"{list(views)[-1]}: mean cosine with h⁻ {minus:.2f} → {last_minus:.2f}, "
                     f"with h⁺ {plus:.2f} → {last_plus:.2f}")
    return figure
