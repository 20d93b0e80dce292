"""NF4, the students' 4-bit number format, by hand in plain torch: to read, and to compare with.

A weight matrix is cut into blocks of 64. Each block is divided by its largest absolute value
(absmax), and each number is stored as the index of the nearest of sixteen levels, which lie denser
near 0, where weights are. Double quantisation stores the absmax values themselves in 8 bits, in
blocks of 256.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from l2r_lite.students.four_bit import BLOCK, LEVELS, SECOND_BLOCK

# plain 4-bit integers, to compare with: −7 to 7, equally spaced (−8 would have no +8)
INT4 = torch.arange(-7, 8) / 7


def normal_levels(outermost: float = 1 - (1 / 30 + 1 / 32) / 2) -> Tensor:
    """How LEVELS were made: quantiles of the normal distribution at evenly spaced probabilities, the largest made 1.

    From the probability `outermost` (the one at 1 would be infinite) it is eight even steps down to
    the middle, and seven on the other side; the middle, 0, is there once. So there are sixteen, and
    0 is among them.
    """
    # 0 and eight positive quantiles
    above = torch.special.ndtri(torch.linspace(0.5, outermost, 9, dtype=torch.float64))
    # seven negative ones
    below = -torch.special.ndtri(torch.linspace(outermost, 0.5, 8, dtype=torch.float64))[:-1]
    return (torch.cat([below, above]) / above[-1]).float()


def eight_bit_levels() -> Tensor:
    """The 256 levels that scales are stored in: seven powers of ten, each with twice as many levels as the one below it."""
    levels = [0.0, 1.0]
    for power in range(7):
        edges = torch.linspace(0.1, 1, 2**power + 1)
        middles = (edges[1:] + edges[:-1]) / 2 * 10.0 ** (power - 6)
        levels += middles.tolist() + (-middles).tolist()
    return torch.tensor(levels).sort().values


def quantise_block(block: Tensor, levels: Tensor = LEVELS) -> tuple[Tensor, Tensor]:
    """Numbers as codes and a scale: block ≈ levels[codes] · scale. Takes one block or many, each along the last dimension.

    Returns:
        codes (…, block size): indices of the nearest levels; scale (…): each block's absmax, 0 for
        a block of zeros.
    """
    scale = block.abs().amax(-1)
    # bitsandbytes multiplies by the inverse where one could divide: the last bit of a quotient
    # decides ties.
    between = block * (1 / scale.clamp_min(1e-38)).unsqueeze(-1)  # in [−1, 1]
    halfway = (levels[1:] + levels[:-1]) / 2
    return torch.bucketize(between, halfway), scale


@dataclass(frozen=True)
class Scales:
    """Double-quantised scales, one byte each: scale ≈ eight_bit_levels()[code] · second + offset."""

    codes: Tensor  # (blocks,) uint8
    second: Tensor  # (⌈blocks / 256⌉,) fp32
    offset: Tensor  # one fp32 number, the mean of the scales

    def numbers(self) -> Tensor:
        second = self.second.repeat_interleave(SECOND_BLOCK)[: len(self.codes)]
        return eight_bit_levels()[self.codes.long()] * second + self.offset


def double_quantise(scales: Tensor, *, table: int = 2**16) -> Scales:
    """Scales are all positive: take off their mean, so that both signs of the levels are used, and quantise what is left.

    Args:
        table: bitsandbytes' CPU code looks the nearest level up in a table of so many entries, and
            a number within half an entry of the middle between two levels may get the farther one.
            0 always takes the nearest.
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
    """A matrix as QLoRA stores it: two codes a byte, and double-quantised scales."""

    packed: Tensor  # (numbers / 2,) uint8, the first of two codes in the high half
    scales: Scales
    shape: torch.Size

    def numbers(self) -> Tensor:
        codes = torch.stack([self.packed >> 4, self.packed & 15], 1).long()
        return (LEVELS[codes].view(-1, BLOCK) * self.scales.numbers().view(-1, 1)).view(self.shape)


def quantise(weight: Tensor) -> FourBit:
    """A matrix in NF4 with double quantisation, as bitsandbytes makes it on a CPU; its size is a multiple of 64."""
    codes, scales = quantise_block(weight.reshape(-1, BLOCK))
    pairs = codes.view(-1, 2).to(torch.uint8)
    return FourBit(pairs[:, 0] << 4 | pairs[:, 1], double_quantise(scales), weight.shape)


def round_to_levels(weight: Tensor, levels: Tensor, block: int = BLOCK) -> Tensor:
    """What is left of a weight when each block of it is stored as the nearest levels, with an exact absmax."""
    blocks = weight.reshape(-1, block)
    scale = blocks.abs().amax(1, keepdim=True).clamp_min(1e-12)
    edges = ((levels[1:] + levels[:-1]) / 2).to(weight)
    return (levels.to(weight)[torch.bucketize(blocks / scale, edges)] * scale).view_as(weight)


def round_to_nf4(weight: Tensor) -> Tensor:
    """What is left of a weight after NF4 with exact (not double-quantised) absmax; the size is a multiple of 64."""
    return round_to_levels(weight, LEVELS)
