"""Figures of self-reflection: hidden states in two dimensions, cosines before and after training, the triplet in the plane."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from l2r_lite.plots.base import BLUE, GREY, ORANGE, PURPLE, RED, new_figure, style
from l2r_lite.reflection import principal_axes

RIGHT, WRONG = BLUE, ORANGE


def hidden_map(views: Mapping[str, Tensor], right: Sequence[bool], marks: Sequence[str], *, marks_are: str) -> Figure:
    """Hidden states of the same rationales by one or several students, each panel in its own two principal axes.

    A panel's title says what lies apart in it: where more than half of the spread lies between groups, not within them.

    Args:
        views: name of a student → states (n, hidden).
        right: whether each rationale is right; decides its colour.
        marks: a character drawn in place of each dot, such as the first digit of the answer.
        marks_are: what the characters mean, in a few words.
    """
    with style():
        figure = new_figure(max(6.2 * len(views), 7.5), 5.6)
        for axes, (name, states) in zip(figure.subplots(1, len(views), squeeze=False)[0], views.items(), strict=True):
            spots, share = principal_axes(states)
            for (x, y), good, mark in zip(spots.tolist(), right, marks, strict=True):
                axes.text(x, y, mark, color=RIGHT if good else WRONG, fontsize=12, weight="bold", ha="center", va="center")
            axes.update_datalim(spots.tolist())
            axes.margins(0.06)
            axes.autoscale_view()
            axes.set(xlabel=f"first axis: {share[0]:.0%} of the variance".replace("%", " %"),
                     ylabel=f"second axis: {share[1]:.0%}".replace("%", " %"))  # fmt: skip
            told = "right and wrong apart" if _between(spots, right) > 0.5 else "right and wrong mixed"
            axes.set_title(f"{name}:\n{told}{', equal characters together' * (_between(spots, marks) > 0.5)}", fontsize=12)
        named = ((RIGHT, "right rationale"), (WRONG, "mistake"))
        handles = [Line2D([], [], ls="", marker="s", color=colour, label=text) for colour, text in named]
        figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=11, title=marks_are,
                      title_fontsize=11)  # fmt: skip
        return figure


def _between(spots: Tensor, labels: Sequence[object]) -> float:
    """Share of the points' spread that lies between groups of equal label, in [0, 1]."""
    groups = [spots[[i for i, x in enumerate(labels) if x == label]] for label in set(labels)]
    within = sum(((group - group.mean(0)) ** 2).sum() for group in groups)
    return 1 - float(within / ((spots - spots.mean(0)) ** 2).sum())


def cosine_histograms(views: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Cosines of anchors with their positives and with their negatives, one row a student.

    Args:
        views: name of a student → (cos(h, h⁺), cos(h, h⁻)), each (items,). The title compares the first and the last.
    """
    (first_plus, first_minus), (last_plus, last_minus) = (list(views.values())[i] for i in (0, -1))
    title = (f"{list(views)[-1]}: mistakes from {first_minus.mean():.2f} to {last_minus.mean():.2f}, "
             f"positives from {first_plus.mean():.2f} to {last_plus.mean():.2f}")  # fmt: skip
    with style():
        figure = new_figure(10, 1.9 * len(views) + 1.1)
        panels = figure.subplots(len(views), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        low = min(c.min().item() for pair in views.values() for c in pair)
        bins = np.linspace(math.floor(low * 10) / 10, 1, 26)
        for axes, (name, (positive, negative)) in zip(panels, views.items(), strict=True):
            for values, colour, label in ((positive, RIGHT, "h⁺"), (negative, WRONG, "h⁻")):
                axes.hist(values.numpy(), bins, color=colour, alpha=0.6)
                axes.axvline(values.mean().item(), color=colour, lw=2, label=f"with {label}: mean {values.mean():.2f}")
            axes.set_ylabel("items")
            axes.set_title(name, fontsize=12, fontweight="normal")
            axes.legend(loc="upper left", frameon=False, fontsize=11)
        panels[-1].set_xlabel("cosine with the anchor's hidden state h")
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        return figure


def triplet_plane(
    items: tuple[Tensor, Tensor] | None = None, *, margin: float = 1.0, angle_positive: float = 40.0,
    angle_negative: float = 70.0,
) -> Figure:  # fmt: skip
    """One triplet as unit vectors in the plane, with the push on h, beside the loss over the two cosines.

    Args:
        items: (cos(h, h⁺), cos(h, h⁻)) of real items, drawn as dots over the loss.
        margin: ρ ≥ 0.  angle_positive, angle_negative: of h⁺ and of h⁻ to h, in degrees from 0 to 180.
    """
    near, far = (math.cos(math.radians(a)) for a in (angle_positive, angle_negative))
    loss = max(0.0, margin - near + far)
    with style():
        figure = new_figure(11, 5.4)
        left, right = figure.subplots(1, 2)
        _draw_vectors(left, angle_positive, angle_negative, loss > 0)
        _draw_surface(right, margin)
        if items is not None:
            positive, negative = items
            pushing = (margin - positive + negative > 0).sum().item()
            right.scatter(positive, negative, s=16, color=PURPLE, lw=0, zorder=3,
                          label=f"real items: {pushing} of {len(positive)} push")  # fmt: skip
        right.scatter([near], [far], s=190, marker="*", color=RED, ec="white", zorder=4, label="the vectors on the left")
        right.legend(loc="upper left", fontsize=10, framealpha=0.9)
        said = "it pushes" if loss > 0 else "no push"
        sum_ = f"max(0, {margin:.1f} − ({near:.2f}) + ({far:.2f})) = {loss:.2f}".replace("-", "−")
        figure.suptitle(f"{sum_}: {said}", x=0.01, ha="left", fontweight="bold")
        return figure


def _draw_vectors(axes: Axes, angle_positive: float, angle_negative: float, pushes: bool) -> None:
    up, down = math.radians(angle_positive), -math.radians(angle_negative)
    circle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(circle), np.sin(circle), color=GREY, lw=0.8, alpha=0.5)
    for angle, name, colour in ((0.0, "h", "black"), (up, "h⁺", RIGHT), (down, "h⁻", WRONG)):
        x, y = math.cos(angle), math.sin(angle)
        axes.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2.2, "mutation_scale": 18})
        axes.text(1.13 * x, 1.13 * y, name, color=colour, fontsize=14, ha="center", va="center", weight="bold")
    # Downhill, h turns towards h⁺ by the sine of their angle and away from h⁻ by the sine of theirs: both upwards here.
    push = math.sin(up) - math.sin(down) if pushes else 0.0
    if push > 0.05:
        arrow = {"arrowstyle": "-|>", "color": RED, "lw": 2.2, "mutation_scale": 18}
        axes.annotate("", (1, 0.4 * push), (1, 0), arrowprops=arrow)
    axes.text(0, -1.42, f"red: the way down for h, minus its gradient (length {push:.2f})", color=RED, ha="center", fontsize=11)
    axes.set(xlim=(-1.35, 1.35), ylim=(-1.5, 1.3), aspect="equal")
    axes.axis("off")


def _draw_surface(axes: Axes, margin: float) -> None:
    line = np.linspace(-1, 1, 81)
    near, far = np.meshgrid(line, line)
    levels = np.arange(0, 4.1, 0.5)
    axes.contourf(near, far, np.maximum(0, margin - near + far), levels, cmap="Greys", vmax=7)
    for level in levels:  # along such a line the loss is the same: cos(h, h⁻) = cos(h, h⁺) + level − margin
        shift = level - margin
        axes.plot(line, line + shift, color="black" if level == 0 else GREY, lw=1.8 if level == 0 else 0.7)
        if -1.8 < shift < 1.3:  # named in the middle of its way through the square
            middle = -shift / 2
            axes.text(middle, middle + shift, f"{level:g}", fontsize=10, ha="center", va="center", color="#333333",
                      bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.8})  # fmt: skip
    axes.fill_between(line, -1, np.maximum(line - margin, -1), color="white", zorder=1)
    axes.set(xlim=(-1, 1), ylim=(-1, 1), xlabel="cos(h, h⁺)", ylabel="cos(h, h⁻)", aspect="equal")
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    axes.set_yticks([-1, -0.5, 0, 0.5, 1])
    axes.set_title("loss of one item (grey: higher; white: 0)", fontsize=12, fontweight="normal")
