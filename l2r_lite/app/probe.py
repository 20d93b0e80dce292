"""Test how exactly bitsandbytes computes a 4-bit layer, in an exam and in training after it."""

import math
import warnings
from typing import Any


def worst_error(width: int, device: Any, dtype: Any, *, plain_layout: bool = True) -> float:
    """The larger of a layer's errors; infinite where bitsandbytes cannot compute it at all.

    Repacking a width that is not a multiple of 64 raises, which is not the machine's fault.
    """
    try:
        return max(four_bit_errors(width, device, dtype, plain_layout=plain_layout))
    except (RuntimeError, ValueError, AssertionError):
        return math.inf


def four_bit_errors(
    width: int, device: Any, dtype: Any, *, plain_layout: bool = True
) -> tuple[float, float]:
    """A 4-bit layer's relative errors, of its output in an exam and of its gradient after it.

    Both are measured against NF4 in plain torch.

    Args:
        width: of the square layer; bitsandbytes 0.50.2 reads 160 wrongly on a CPU.
        plain_layout: as for students; False lets bitsandbytes repack the weights at the
            first exam, which CPUs with AVX512-BF16 do.
    """
    import torch
    from bitsandbytes.nn import Linear4bit

    from l2r_lite.students.bitsandbytes_layout import keep_plain_layout
    from l2r_lite.students.four_bit import dequantise, relative_error

    numbers = torch.Generator().manual_seed(0)
    layer = Linear4bit(
        width, width, bias=False, compute_dtype=dtype, quant_type="nf4", compress_statistics=True)
    layer.weight.data = torch.randn(width, width, generator=numbers)
    layer = layer.to(device)  # quantises
    if plain_layout:
        keep_plain_layout(torch.nn.ModuleList([layer]))
    weight = dequantise(layer.weight.data, layer.weight.quant_state).to(device)
    x, pull = torch.randn(2, 32, width, generator=numbers).to(device, dtype)
    with torch.no_grad():
        written = layer.eval()(x)
    inputs = x.clone().requires_grad_()
    with warnings.catch_warnings():
        # The repacked kernel has no backward, and torch warns so: exactly that is measured here.
        warnings.filterwarnings("ignore", message=".*an autograd kernel was not registered")
        outputs = layer.train()(inputs)
        (gradient,) = torch.autograd.grad(outputs, inputs, pull, allow_unused=True)
    if gradient is None:
        gradient = torch.zeros_like(inputs)
    return (
        relative_error(x.float() @ weight.T, written.float()),
        relative_error(pull.float() @ weight, gradient.float()))
