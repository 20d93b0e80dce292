"""NF4, the students' 4-bit number format, in plain torch: to read, and to compare with.

A weight matrix is cut into blocks of 64. Each block is divided by its largest absolute value
(absmax), and each number is stored as the index of the nearest of sixteen levels, which are denser
near 0, where most weights are. Double quantisation stores the absmax values in 8 bits, too, in
blocks of 256.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from l2r_lite.students.four_bit import BLOCK, LEVELS, SECOND_BLOCK

INT4 = torch.arange(-7, 8) / 7  # plain 4-bit integers, to compare with (−8 would have no +8)


# bitsandbytes' 0.9677083. It must be below 1, where the quantile is infinite. The last of 15 equal
# pieces of [0, 1] has its midpoint at 1 − 1/30, the last of 16 at 1 − 1/32: this is their mean.
OUTERMOST = 1 - (1 / 30 + 1 / 32) / 2


def normal_levels(outermost: float = OUTERMOST) -> Tensor:
    """How LEVELS were made: evenly spaced quantiles of the normal distribution, the largest made 1.

    Args:
        outermost: the probability of the largest level. Eight even steps lead there from ½, and
            seven to its mirror image; with the 0 at ½ these are sixteen levels.
    """
    steps_up = torch.linspace(0.5, outermost, 9, dtype=torch.float64)
    steps_down = torch.linspace(outermost, 0.5, 8, dtype=torch.float64)
    above = torch.special.ndtri(steps_up)  # 0 and eight positive quantiles
    below = -torch.special.ndtri(steps_down)[:-1]  # seven negative quantiles
    return (torch.cat([below, above]) / above[-1]).float()


def eight_bit_levels() -> Tensor:
    """The 256 levels of scales: seven powers of ten, each with twice as many levels as the last."""
    levels = [0.0, 1.0]
    for power in range(7):
        edges = torch.linspace(0.1, 1, 2**power + 1)
        middles = (edges[1:] + edges[:-1]) / 2 * 10.0 ** (power - 6)
        levels += middles.tolist() + (-middles).tolist()
    return torch.tensor(levels).sort().values


def quantise_block(block: Tensor, levels: Tensor = LEVELS) -> tuple[Tensor, Tensor]:
    """Numbers as codes and a scale: block ≈ levels[codes] · scale, along the last dimension.

    Returns:
        codes (…, block size): indices of the nearest levels.
        scale (…): each block's absmax, 0 for a block of zeros.
    """
    scale = block.abs().amax(-1)
    # Multiply by the inverse, as bitsandbytes does: a quotient may differ in its last bit.
    between = block * (1 / scale.clamp_min(1e-38)).unsqueeze(-1)  # in [−1, 1]
    halfway = (levels[1:] + levels[:-1]) / 2
    return torch.bucketize(between, halfway), scale


@dataclass(frozen=True)
class Scales:
    """Double-quantised scales, 8 bits each: scale ≈ eight_bit_levels()[code] · second + offset."""

    codes: Tensor  # (blocks,) uint8
    second: Tensor  # (⌈blocks / 256⌉,) fp32
    offset: Tensor  # one fp32 number, the mean of the scales

    def numbers(self) -> Tensor:
        second = self.second.repeat_interleave(SECOND_BLOCK)[: len(self.codes)]
        return eight_bit_levels()[self.codes.long()] * second + self.offset


def double_quantise(scales: Tensor, *, table: int = 2**16) -> Scales:
    """Quantise scales. They are all positive, so their mean is subtracted to use both signs.

    Args:
        table: size of the table in which bitsandbytes' CPU code looks up the nearest level. Near
            the midpoint of two levels it may find the farther one. 0: always the nearest.
    """
    levels, offset = eight_bit_levels(), scales.mean()
    blocks = pad(scales - offset, (0, -len(scales) % SECOND_BLOCK)).view(-1, SECOND_BLOCK)
    codes, second = quantise_block(blocks, levels)
    if table:
        between = blocks * (1 / second.clamp_min(1e-38)).unsqueeze(-1)
        entry = ((between + 1) * 0.5 * (table - 1) + 0.5).floor()
        codes = torch.bucketize(entry / (table - 1) * 2 - 1, (levels[1:] + levels[:-1]) / 2)
    return Scales(codes.reshape(-1)[: len(scales)].to(torch.uint8), second, offset)


@dataclass(frozen=True)
class FourBit:
    """A matrix as QLoRA stores it: two codes per byte, and double-quantised scales."""

    packed: Tensor  # (numbers / 2,) uint8, the first of two codes in the high half
    scales: Scales
    shape: torch.Size

    def numbers(self) -> Tensor:
        codes = torch.stack([self.packed >> 4, self.packed & 15], 1).long()
        return (LEVELS[codes].view(-1, BLOCK) * self.scales.numbers().view(-1, 1)).view(self.shape)


def quantise(weight: Tensor) -> FourBit:
    """A matrix in NF4 with double quantisation, as in bitsandbytes on a CPU.

    Its number of weights must be a multiple of 64.
    """
    codes, scales = quantise_block(weight.reshape(-1, BLOCK))
    pairs = codes.view(-1, 2).to(torch.uint8)
    return FourBit(pairs[:, 0] << 4 | pairs[:, 1], double_quantise(scales), weight.shape)


def round_to_levels(weight: Tensor, levels: Tensor, block: int = BLOCK) -> Tensor:
    """The weight with each number replaced by the nearest level of its block, exact absmax."""
    blocks = weight.reshape(-1, block)
    scale = blocks.abs().amax(1, keepdim=True).clamp_min(1e-12)
    edges = ((levels[1:] + levels[:-1]) / 2).to(weight)
    codes = torch.bucketize(blocks / scale, edges)
    return (levels.to(weight)[codes] * scale).view_as(weight)


def round_to_nf4(weight: Tensor) -> Tensor:
    """The weight after NF4 with an exact absmax (no double quantisation)."""
    return round_to_levels(weight, LEVELS)
