"""NF4, the 4-bit number format of the students, in plain torch: to check bitsandbytes by, and to read.

A weight matrix is cut into blocks of 64. Each block is divided by its largest absolute value (absmax), and each number is
stored as the index of the nearest of sixteen levels, which lie denser near 0, where weights are. Double quantisation
stores the absmax values themselves in 8 bits, in blocks of 256.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from l2r_lite.sources import StudentError

BLOCK = 64
LEVELS = torch.tensor(
    [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
     -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
     0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]
)  # fmt: skip


def round_to_nf4(weight: Tensor) -> Tensor:
    """What is left of a weight after NF4 with exact (not double-quantised) absmax; the size is a multiple of 64."""
    blocks = weight.reshape(-1, BLOCK)  # (blocks, 64)
    scale = blocks.abs().amax(1, keepdim=True).clamp_min(1e-12)
    edges = ((LEVELS[1:] + LEVELS[:-1]) / 2).to(weight)
    return (LEVELS.to(weight)[torch.bucketize(blocks / scale, edges)] * scale).view_as(weight)


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
