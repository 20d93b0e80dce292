"""NF4, the 4-bit number format of the students, in plain torch: to check bitsandbytes by, and to read.

A weight matrix is cut into blocks of 64. Each block is divided by its largest absolute value (absmax), and each number is
stored as the index of the nearest of sixteen levels, which lie denser near 0, where weights are. Double quantisation
stores the absmax values themselves in 8 bits, in blocks of 256.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from l2r_lite.sources import StudentError

BLOCK = 64  # weights that share a scale
SECOND_BLOCK = 256  # scales that share a scale of their own
LEVELS = torch.tensor(
    [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
     -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
     0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]
)  # fmt: skip
INT4 = torch.arange(-7, 8) / 7  # plain 4-bit integers, to compare with: −7 to 7, equally spaced (−8 would have no +8)


def normal_levels(outermost: float = 1 - (1 / 30 + 1 / 32) / 2) -> Tensor:
    """How LEVELS were made: quantiles of the normal distribution at evenly spaced probabilities, the largest made 1.

    From the probability `outermost` (the one at 1 would be infinite) it is eight even steps down to the middle, and seven
    on the other side; the middle, 0, is there once. So there are sixteen, and 0 is among them.
    """
    above = torch.special.ndtri(torch.linspace(0.5, outermost, 9, dtype=torch.float64))  # 0 and eight positive quantiles
    below = -torch.special.ndtri(torch.linspace(outermost, 0.5, 8, dtype=torch.float64))[:-1]  # seven negative ones
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
        codes (…, block size): indices of the nearest levels; scale (…): each block's absmax, 0 for a block of zeros.
    """
    scale = block.abs().amax(-1)
    # bitsandbytes multiplies by the inverse where one could divide: the last bit of a quotient decides ties.
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
        table: bitsandbytes' CPU code looks the nearest level up in a table of so many entries, and a number within half
            an entry of the middle between two levels may get the farther one. 0 always takes the nearest.
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


def four_bit_bytes(shape: Sequence[int]) -> int:
    """Bytes of a matrix in NF4 with double quantisation, without the two tables of levels, which are the same for all."""
    numbers = prod(shape)
    blocks = ceil(numbers / BLOCK)
    second = ceil(blocks / SECOND_BLOCK)
    return ceil(numbers / 2) + blocks + 4 * second + 4  # codes, scales, their scales, their mean


def round_to_levels(weight: Tensor, levels: Tensor, block: int = BLOCK) -> Tensor:
    """What is left of a weight when each block of it is stored as the nearest levels, with an exact absmax."""
    blocks = weight.reshape(-1, block)
    scale = blocks.abs().amax(1, keepdim=True).clamp_min(1e-12)
    edges = ((levels[1:] + levels[:-1]) / 2).to(weight)
    return (levels.to(weight)[torch.bucketize(blocks / scale, edges)] * scale).view_as(weight)


def round_to_nf4(weight: Tensor) -> Tensor:
    """What is left of a weight after NF4 with exact (not double-quantised) absmax; the size is a multiple of 64."""
    return round_to_levels(weight, LEVELS)


def relative_error(weight: Tensor, stored: Tensor, where: Tensor | None = None) -> float:
    """How far off stored numbers are: ‖stored − weight‖ / ‖weight‖, over all of them or those that a mask picks."""
    kept = torch.ones_like(weight, dtype=torch.bool) if where is None else where
    return ((stored - weight)[kept].norm() / weight[kept].norm()).item()


def import_quickly() -> None:
    """Import bitsandbytes without torch's compiler, which takes 3 of the 6 seconds until the pocket student is there.

    bitsandbytes wraps the kernels that it falls back on in torch.compile, and that loads the compiler although nothing is
    compiled. Where a GPU may want them compiled, this does nothing.
    """
    if "bitsandbytes" in sys.modules or torch.cuda.is_available():
        return
    real = torch.compile
    torch.compile = lambda function=None, **_: function or (lambda f: f)  # type: ignore[assignment]
    try:
        import bitsandbytes  # noqa: F401
    finally:
        torch.compile = real


def four_bit_layers(model: nn.Module) -> dict[str, Any]:
    from bitsandbytes.nn import Linear4bit

    return {name: module for name, module in model.named_modules() if isinstance(module, Linear4bit)}


def keep_plain_layout(model: nn.Module) -> None:
    """Keep bitsandbytes from repacking 4-bit weights. Call it after loading, before the first forward pass.

    On CPUs with AVX512-BF16, bitsandbytes repacks 4-bit weights at the first eval-mode forward, i.e. at the first exam,
    and the repacked layout has no backward: the training step after the exam would learn from noise.
    """
    for layer in four_bit_layers(model).values():
        layer.support_avx512bf16_for_cpu = False


def dequantise(weight: Tensor, state) -> Tensor:
    """A bitsandbytes NF4 weight (packed uint8, two numbers a byte, the high half first) as fp32, in plain torch."""
    packed = weight.view(torch.uint8).reshape(-1).long()
    codes = torch.stack([packed >> 4, packed & 15], 1).reshape(-1)
    absmax = state.absmax
    if state.nested:  # double quantisation
        second = state.state2
        scales = second.absmax.repeat_interleave(second.blocksize)[: absmax.numel()]
        absmax = second.code.to(absmax.device)[absmax.reshape(-1).long()] * scales + state.offset
    values = LEVELS.to(packed.device)[codes].view(-1, state.blocksize) * absmax.float().view(-1, 1)
    return values.view(state.shape)


def full_weight(layer: nn.Linear) -> Tensor:
    """A linear layer's weight (out, in) as numbers, whether bitsandbytes keeps it in 4 bits or not."""
    from bitsandbytes.functional import dequantize_4bit

    state = getattr(layer.weight, "quant_state", None)
    return layer.weight.detach() if state is None else dequantize_4bit(layer.weight.data, state)


@torch.no_grad()
def check_four_bit_layers(model: nn.Module, name: str) -> None:
    """Compare every 4-bit layer, as bitsandbytes reads it, with NF4 in plain torch.

    bitsandbytes 0.50.2 dequantises wrongly on a CPU where a layer's width is a multiple of 32 but not of 64.

    Raises:
        StudentError: a layer differs by more than rounding.
    """
    from bitsandbytes.functional import dequantize_4bit

    for layer_name, layer in four_bit_layers(model).items():
        state = layer.weight.quant_state
        theirs = dequantize_4bit(layer.weight.data, state).float()
        ours = dequantise(layer.weight.data, state)
        error = (theirs - ours).norm() / ours.norm().clamp_min(1e-12)
        if error > 0.01:  # half precision rounds by 0.4 % at most
            raise StudentError(
                f'student "{name}": bitsandbytes reads the 4-bit layer {layer_name} {tuple(state.shape)} wrongly (relative '
                f"error {error:.2f}); sizes must be multiples of 64 on a CPU. Use four_bit=False, a GPU, or another student."
            )
