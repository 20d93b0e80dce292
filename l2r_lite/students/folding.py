"""Monkeypatch: a layer and its adapter as one matrix, W + (α/r)·BA, instead of peft's two paths.

Replaces the forward of peft's LoRA layers; known to work with peft 0.18 to 0.21, checked by
tests/test_patches.py. peft computes W x and (α/r)·B A x separately. That is right for any student,
but in a small one on a CPU the two thin multiplications, the scaling and the sum take as long as
W x itself. Used only where the compute type is fp32: half precision would round the update away.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from l2r_lite.students.four_bit import full_weight

FOLD_AT_MOST = 2e9  # bytes; the matrices of larger students are not kept, not even in an exam


@contextmanager
def folded(model: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """In this context each layer uses one matrix, computed once. For exams: no gradients.

    An exam runs each layer hundreds of times, and would otherwise dequantise its weight and run
    the adapter's path every time. The texts are the same up to rounding.
    """
    layers = _adapted_layers(model, dtype)
    numbers = sum(layer.in_features * layer.out_features for layer in layers)
    if numbers * dtype.itemsize > FOLD_AT_MOST:
        layers = []
    with torch.no_grad(), _forwards(layers, _Kept):
        yield


@contextmanager
def joined(model: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """In this context each layer computes its one matrix whenever it needs it. For training.

    The adapter gets its gradients. One matrix exists at a time, as with any 4-bit weight.
    """
    with _forwards(_adapted_layers(model, dtype), _Made):
        yield


def _adapted_layers(model: nn.Module, dtype: torch.dtype) -> list[Any]:
    from peft.tuners.lora import LoraLayer

    if dtype != torch.float32:
        return []
    adapted = [module for module in model.modules() if isinstance(module, LoraLayer)]
    return [layer for layer in adapted if isinstance(layer.get_base_layer(), nn.Linear)]


@contextmanager
def _forwards(layers: list[Any], make: Callable[[Any], Callable[..., Tensor]]) -> Iterator[None]:
    """Replace the layers' forward functions, and restore them at the end."""
    try:
        for layer in layers:
            layer.forward = make(layer)
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


class _Kept:
    def __init__(self, layer: Any) -> None:
        base = layer.get_base_layer()
        update = sum(layer.get_delta_weight(name) for name in layer.active_adapters)  # (out, in)
        self.weight = full_weight(base).float() + update
        self.bias = None if base.bias is None else base.bias.to(self.weight)

    def __call__(self, x: Tensor, *_: Any, **__: Any) -> Tensor:
        return linear(x, self.weight, self.bias)


class _Made:
    def __init__(self, layer: Any) -> None:
        (name,) = layer.active_adapters
        self.base, self.scale = layer.get_base_layer(), layer.scaling[name]
        self.a, self.b = layer.lora_A[name].weight, layer.lora_B[name].weight

    def __call__(self, x: Tensor, *_: Any, **__: Any) -> Tensor:
        return _JoinedLinear.apply(x, self.a, self.b, self.base, self.scale)


class _JoinedLinear(torch.autograd.Function):
    """y = (W + s·BA) x + bias, with gradients for x, A and B.

    The backward pass dequantises W again instead of keeping it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor, base: nn.Linear, scale: float) -> Tensor:
        ctx.save_for_backward(x, a, b)
        ctx.base, ctx.scale = base, scale
        return linear(x, _matrix(base, a, b, scale), base.bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, a, b = ctx.saved_tensors
        flat, seen = grad.flatten(0, -2), x.flatten(0, -2)  # (tokens, out), (tokens, in)
        to_x = grad @ _matrix(ctx.base, a, b, ctx.scale) if ctx.needs_input_grad[0] else None
        to_a = (ctx.scale * (flat @ b)).T @ seen  # (r, in)
        to_b = flat.T @ (ctx.scale * (seen @ a.T))  # (out, r)
        return to_x, to_a, to_b, None, None


def _matrix(base: nn.Linear, a: Tensor, b: Tensor, scale: float) -> Tensor:
    return torch.addmm(full_weight(base).float(), b, a, alpha=scale)  # (out, in)
