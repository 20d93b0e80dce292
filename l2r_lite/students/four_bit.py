"""4-bit students: read what bitsandbytes stores in plain torch, and check each layer once."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod
from typing import Any

import torch
from torch import Tensor, nn

from l2r_lite.loop.errors import StudentError

BLOCK = 64  # weights that share a scale
SECOND_BLOCK = 256  # scales that share a scale of their own
# NF4's sixteen levels: quantiles of the normal distribution, scaled to at most 1.
LEVELS = torch.tensor([
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
])  # fmt: skip
TOLERANCE = 0.01  # relative error of a layer; rounding to half precision adds at most 0.004


def four_bit_layers(model: nn.Module) -> dict[str, Any]:
    """The layers that bitsandbytes keeps in 4 bits, by name."""
    from bitsandbytes.nn import Linear4bit

    return {name: m for name, m in model.named_modules() if isinstance(m, Linear4bit)}


def four_bit_bytes(shape: Sequence[int]) -> int:
    """Bytes of a matrix in NF4 with double quantisation, without the tables of levels."""
    numbers = prod(shape)
    blocks = ceil(numbers / BLOCK)
    second = ceil(blocks / SECOND_BLOCK)
    return ceil(numbers / 2) + blocks + 4 * second + 4  # codes, scales, their scales, their mean


def dequantise(weight: Tensor, state: Any) -> Tensor:
    """A bitsandbytes NF4 weight as fp32, in plain torch.

    Args:
        weight: packed uint8, two numbers per byte, the high half first.
        state: the weight's quant_state.
    """
    packed = weight.view(torch.uint8).reshape(-1).long()
    codes = torch.stack([packed >> 4, packed & 15], 1).reshape(-1)
    absmax = state.absmax
    if state.nested:  # double quantisation
        second = state.state2
        scales = second.absmax.repeat_interleave(second.blocksize)[: absmax.numel()]
        levels = second.code.to(absmax.device)
        absmax = levels[absmax.reshape(-1).long()] * scales + state.offset
    values = LEVELS.to(packed.device)[codes].view(-1, state.blocksize) * absmax.float().view(-1, 1)
    return values.view(state.shape)


def full_weight(layer: nn.Linear) -> Tensor:
    """A linear layer's weight (out, in), dequantised if it is kept in 4 bits."""
    from bitsandbytes.functional import dequantize_4bit

    state = getattr(layer.weight, "quant_state", None)
    return layer.weight.detach() if state is None else dequantize_4bit(layer.weight.data, state)


def relative_error(weight: Tensor, stored: Tensor, where: Tensor | None = None) -> float:
    """‖stored − weight‖ / ‖weight‖, over all numbers or those that the mask `where` selects."""
    kept = torch.ones_like(weight, dtype=torch.bool) if where is None else where
    return ((stored - weight)[kept].norm() / weight[kept].norm()).item()


@torch.no_grad()
def check_four_bit_layers(model: nn.Module, name: str) -> None:
    """Compare every 4-bit layer, as bitsandbytes reads it, with NF4 in plain torch.

    On a CPU, bitsandbytes 0.50.2 misreads layers whose width is a multiple of 32 but not of 64.

    Raises:
        StudentError: a layer differs by more than rounding.
    """
    from bitsandbytes.functional import dequantize_4bit

    for layer_name, layer in four_bit_layers(model).items():
        state = layer.weight.quant_state
        theirs = dequantize_4bit(layer.weight.data, state).float()
        ours = dequantise(layer.weight.data, state)
        error = (theirs - ours).norm() / ours.norm().clamp_min(1e-12)
        if error > TOLERANCE:
            raise StudentError(
                f'student "{name}": bitsandbytes reads the 4-bit layer {layer_name} '
                f"{tuple(state.shape)} wrongly (relative error {error:.2f}); sizes must be "
                "multiples of 64 on a CPU. Use four_bit=False, a GPU, or another student.")
