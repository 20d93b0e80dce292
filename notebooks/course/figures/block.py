"""One block of weights in four bits: the level each weight gets, and what an outlier costs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from l2r_course.figures.common import headline, percent
from l2r_course.nf4 import INT4, quantise_block, round_to_levels
from l2r_lite.app.figures.base import BLUE, GREY, ORANGE, RED, new_figure, style
from l2r_lite.runs.show import Table
from l2r_lite.students.four_bit import BLOCK, LEVELS, relative_error

FORMATS = (("NF4", LEVELS, BLUE), ("int4", INT4, RED))
REACH = 4  # standard deviations that the picture shows


@dataclass(frozen=True)
class Block:
    """Neighbouring weights that share a scale, in standard deviations of their matrix.

    Attributes:
        weights: (block size,).
        ordinary: (block size,) bool; False for the weight that was made an outlier.
    """

    weights: Tensor
    ordinary: Tensor

    @classmethod
    def of(cls, weight: Tensor, number: int = 0, size: int = BLOCK, outlier: float = 0.0) -> Block:
        """Block `number` of a matrix; blocks are counted from the first weight.

        Args:
            outlier: set the first weight of the block to this many standard deviations; 0 leaves
                it unchanged.

        Raises:
            ValueError: the matrix has no such block.
        """
        if not 0 <= number < weight.numel() // size:
            raise ValueError(
                f"block {number}: the matrix has {weight.numel() // size} whole blocks of {size} "
                "weights")
        block = weight.detach().reshape(-1)[
            number * size : (number + 1) * size].float() / weight.std()
        ordinary = torch.ones(size, dtype=torch.bool)
        if outlier:
            block[0], ordinary[0] = outlier, False
        return cls(block, ordinary)

    def error(self, levels: Tensor) -> float:
        """Relative error of the ordinary weights when each is stored as its nearest level."""
        stored = round_to_levels(self.weights, levels, len(self.weights))
        return relative_error(self.weights, stored, self.ordinary)

    def used(self) -> list[tuple[float, int]]:
        """The block's NF4 levels, each with the number of ordinary weights stored there."""
        codes, scale = quantise_block(self.weights)
        counts = torch.bincount(codes[self.ordinary], minlength=len(LEVELS))
        return list(zip((LEVELS * scale).tolist(), counts.tolist(), strict=True))


@style()
def one_block(block: Block) -> Figure:
    """The levels that the weights of a block can use, and the error that remains."""
    figure = new_figure(10, 4.6)
    top, bottom = figure.subplots(2, 1, height_ratios=[2.4, 1])
    _draw_block(top, block)
    for row, (_, levels, colour) in enumerate(FORMATS):
        error = 100 * block.error(levels)
        bottom.barh(row, error, color=colour, alpha=0.8)
        bottom.text(error + 0.8, row, f"{error:.0f} %", va="center", fontsize=12)
    bottom.set_yticks(range(len(FORMATS)), [name for name, *_ in FORMATS])
    bottom.invert_yaxis()
    bottom.set(xlim=(0, 110), xlabel="relative error in %")
    size = len(block.weights)
    whom = f"all {size}" if block.ordinary.all() else f"the other {size - 1}"
    headline(figure, f"NF4: {percent(block.error(LEVELS))} error for {whom} weights of the block")
    return figure


def block_table(block: Block) -> Table:
    """The figure's numbers: each level, the weights stored there, the error in both formats."""
    rows = [
        (number, f"{LEVELS[number]:+.4f}", f"{level:+.3f}", count)
        for number, (level, count) in enumerate(block.used())]
    errors = [
        (f"error, {name}", f"{100 * block.error(levels):.1f} %", "", "")
        for name, levels, _ in FORMATS]
    head = ["code", "NF4 level", "level in this block, in standard deviations",
            "weights stored there"]
    return Table(head, [*rows, *errors])


def _draw_block(axes: Axes, block: Block) -> None:
    """Weights above, the levels they are stored as below, within ±4 standard deviations."""
    stored = round_to_levels(block.weights, LEVELS, len(block.weights))[block.ordinary]
    weights = block.weights[block.ordinary]
    levels = torch.tensor([level for level, _ in block.used()])
    axes.vlines(levels, -0.35, 0, color=BLUE, lw=1.5)
    pairs = zip(weights.tolist(), stored.tolist(), strict=True)
    ways = [[(here, 1), (there, 0)] for here, there in pairs]
    axes.add_collection(LineCollection(ways, colors=GREY, linewidths=0.7, alpha=0.6))
    axes.plot(weights, torch.ones_like(weights), "o", color=GREY, ms=5)
    axes.plot(stored, torch.zeros_like(stored), "o", color=BLUE, ms=5)
    near = int((levels.abs() <= REACH).sum())
    axes.text(-4.4, 1.22, f"{near} of {len(LEVELS)} levels within ±{REACH}", fontsize=12,
              color=BLUE, ha="left")
    if not block.ordinary.all():
        outlier = block.weights[~block.ordinary].item()
        at = min(outlier, 4.3)
        axes.plot([at], [1], "o" if at < 4.3 else ">", color=ORANGE, ms=9)
        axes.text(at - 0.1, 1.22, f"outlier at {outlier:g}", ha="right", color="#9C6A00",
                  fontsize=12)
    axes.set(xlim=(-4.5, 4.5), ylim=(-0.45, 1.45),
             xlabel="weight in standard deviations of the matrix")
    axes.set_yticks([0, 1], ["stored", "weight"])
