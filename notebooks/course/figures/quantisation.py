"""Figures of notebook 02: codes in use, the cost of blocks and outliers, where memory goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from l2r_course.figures.block import FORMATS
from l2r_course.figures.common import headline, label
from l2r_course.nf4 import quantise_block, round_to_levels
from l2r_lite.app.figures.base import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, new_figure, style
from l2r_lite.app.figures.readable import text_on
from l2r_lite.students.four_bit import BLOCK, relative_error

if TYPE_CHECKING:
    from l2r_lite.app.planner import MemoryPlan


@style()
def codes_in_use(weight: Tensor, block: int = BLOCK) -> Figure:
    """The levels of NF4 and int4, and the share of a matrix's weights stored as each of them."""
    figure = new_figure(10, 5.6)
    rows = figure.subplots(2, 1, sharex=True)
    fullest = {}
    for axes, (name, levels, colour) in zip(rows, FORMATS, strict=True):
        codes, _ = quantise_block(weight.reshape(-1, block), levels)
        share = 100 * torch.bincount(codes.reshape(-1), minlength=len(levels)) / weight.numel()
        fullest[name] = share.max().item()
        halfway = (levels[1:] + levels[:-1]) / 2
        edges = torch.cat([torch.tensor([-1.06]), halfway, torch.tensor([1.06])])
        axes.bar(edges[:-1], share, edges.diff(), align="edge", color=colour, alpha=0.35,
                 ec=colour, lw=1)
        axes.plot(levels, torch.zeros_like(levels), "^", color=colour, ms=8, clip_on=False,
                  zorder=3)
        for level, value in zip(levels.tolist(), share.tolist(), strict=True):
            axes.text(level, value + 0.2, f"{value:.1f}", ha="center", va="bottom", fontsize=10)
        axes.set(ylabel="share in %", xlim=(-1.08, 1.08))
        axes.set_title(f"{name}: {len(levels)} levels (triangles)", fontsize=12, color=colour,
                       fontweight="bold")
    for axes in rows:
        axes.set_ylim(0, 1.15 * max(fullest.values()))
    rows[1].set_xlabel("weight divided by the largest absolute value of its block")
    (first, most), (second, other) = fullest.items()
    told = f"{most:.0f} % of the weights, {second}'s {other:.0f} %"
    headline(figure, f"{first}'s fullest level holds {told}")
    return figure


def add_outliers(
    weight: Tensor, share: float = 1 / 1000, size: float = 20.0
) -> tuple[Tensor, Tensor]:
    """A copy with a few weights (seed 0) made `size` times larger, and a mask of the others."""
    chosen = torch.rand(weight.shape, generator=torch.Generator().manual_seed(0)) < share
    return torch.where(chosen, weight * size, weight), ~chosen


@style()
def error_by_block(weight: Tensor, share: float = 1 / 1000, size: float = 20.0) -> Figure:
    """Relative error by block size in NF4 and int4, for the matrix without and with outliers."""
    sizes = [2**k for k in range(4, 11)]
    spiked, ordinary = add_outliers(weight, share, size)
    everything = torch.ones_like(ordinary)
    made = f"1 weight in {1 / share:.0f} made {size:g} times larger"
    panels = ((weight, everything, "without outliers"), (spiked, ordinary, made))
    by_size: dict[str, list[float]] = {}  # the last panel's
    figure = new_figure(11, 4.8)
    row = figure.subplots(1, 2, sharey=True)
    for axes, (matrix, where, title) in zip(row, panels, strict=True):
        for name, levels, colour in FORMATS:
            errors = [
                100 * relative_error(matrix, round_to_levels(matrix, levels, block), where)
                for block in sizes]
            by_size[name] = errors
            axes.plot(sizes, errors, "o-", color=colour, lw=2.2)
            label(axes, name, (sizes[-1], errors[-1]), colour, (6, 0))
        axes.axvline(BLOCK, color=GREY, lw=1, ls=":")
        axes.set_xscale("log", base=2)
        # Second line: 4 bits per code, and each weight's part of 8-bit and 32-bit scales.
        axes.set_xticks(sizes, [f"{n}\n{4 + 8 / n + 32 / n / 256:.2f}" for n in sizes], fontsize=11)
        axes.set(xlabel="weights per block; below: bits per weight", xlim=(13, 2100))
        axes.set_title(title, fontsize=12)
        axes.grid(axis="y", alpha=0.25)
    figure.axes[0].set_ylim(0, None)
    figure.axes[0].set_ylabel("relative error in %")
    figure.axes[1].set_ylabel("the same, of the other weights")
    first, last = by_size["NF4"][0], by_size["NF4"][-1]
    headline(figure, f"With outliers, NF4's error is {first:.0f} % in blocks of {sizes[0]} and "
                     f"{last:.0f} % in blocks of {sizes[-1]}")
    return figure


PARTS = {
    "weights": ("weights", BLUE), "constants": ("scales", ORANGE), "adapter": ("adapter", GREEN),
    "gradients": ("gradients", PURPLE), "optimizer": ("Adam's moments", RED)}
WAYS = (("LoRA, 4 bits", BLUE), ("LoRA, 16 bits", ORANGE), ("all weights, 12 bytes each", GREY))
# Bytes per weight if all train: 2 for itself, 2 for its gradient, 8 for Adam's two moments in fp32.
# Mixed precision often keeps an fp32 copy of the weights as well, which makes it 16.
FULL = 12


@style()
def memory_to_train(plans: Mapping[str, MemoryPlan]) -> Figure:
    """Memory to train in three ways, without activations, and the parts of the 4-bit way."""
    figure = new_figure(12.5, 4.9)
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    for row, plan in enumerate(plans.values()):
        _draw_ways(left, row, plan)
        _draw_shares(right, row, plan)
    for gigabytes in (16, 24):
        left.axvline(gigabytes * 1e9, 0, 0.87, color=GREY, lw=1, ls=":")
    left.text(13e9, len(plans) - 0.58, "cards of 16 and 24 GB", color=GREY, fontsize=10,
              va="center", ha="right")
    left.set_xscale("log")
    left.set_xticks([10**k for k in range(6, 12)],
                    ["1 MB", "10 MB", "100 MB", "1 GB", "10 GB", "100 GB"], fontsize=11)
    left.set(
        xlim=(1e6, 4e11), ylim=(len(plans) - 0.4, -1.0), xlabel="memory (logarithmic)")
    names = [f"{name}\n{_count(plan.parameters)}" for name, plan in plans.items()]
    left.set_yticks(range(len(plans)), names)
    left.set_title("memory to train, without activations", fontsize=12)
    right.set(xlim=(0, 100), ylim=(len(plans) - 0.4, -1.0), xlabel="share in %")
    right.set_yticks(range(len(plans)), [_size(_kept(plan)) for plan in plans.values()])
    right.set_title("the parts of LoRA with 4-bit weights", fontsize=12, color=BLUE)
    _key_line(left, WAYS)
    _key_line(right, PARTS.values())
    biggest = max(plans.values(), key=lambda plan: plan.parameters)
    full, small = _size(FULL * biggest.parameters), _size(_kept(biggest))
    count = _count(biggest.parameters)
    headline(figure, f"{count} weights: {full} to train them all, {small} with LoRA and 4 bits")
    return figure


def _key_line(axes: Axes, entries: Iterable[tuple[str, str]]) -> None:
    """The legend, in one line above the first row."""
    at = 0.01
    for name, colour in entries:
        axes.plot(at + 0.01, 0.955, "s", color=colour, ms=8, transform=axes.transAxes)
        axes.text(at + 0.03, 0.955, name, color="#333333", fontsize=10, va="center",
                  transform=axes.transAxes)
        at += 0.05 + 0.0205 * len(name)


def _draw_ways(axes: Axes, row: int, plan: MemoryPlan) -> None:
    trained = plan.adapter + plan.gradients + plan.optimizer
    sizes = (_kept(plan), 2 * plan.parameters + trained, FULL * plan.parameters)
    axes.plot(sizes, [row] * 3, color=GREY, lw=1, alpha=0.5, zorder=1)
    for size, (_, colour) in zip(sizes, WAYS, strict=True):
        axes.plot(size, row, "o", color=colour, ms=10)


def _draw_shares(axes: Axes, row: int, plan: MemoryPlan) -> None:
    start = 0.0
    for name, (_, colour) in PARTS.items():
        share = 100 * plan.parts[name] / _kept(plan)
        axes.barh(row, share, 0.62, left=start, color=colour)
        if share >= 6:
            axes.text(start + share / 2, row, f"{share:.0f}", ha="center", va="center",
                      color=text_on(colour), weight="bold")
        start += share


def _kept(plan: MemoryPlan) -> int:
    return sum(plan.parts[name] for name in PARTS)


def _size(count: float) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            digits = 0 if count >= 10 * unit else 1
            return f"{count / unit:.{digits}f} {name}"
    return f"{count / 1e3:.0f} kB"


def _count(parameters: int) -> str:
    if parameters >= 1e9:
        return f"{parameters / 1e9:.1f} billion"
    digits = 0 if parameters >= 1e8 else 1
    return f"{parameters / 1e6:.{digits}f} million"
