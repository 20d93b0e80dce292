"""LoRA in plain torch: what an adapter adds to a layer, and how many numbers it trains.

    y = W x + (α/r) · B A x    W is frozen (4 bits); A (r × in), B (out × r) learn; B = 0 at first
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor
from torch.nn.functional import linear


def lora_forward(x: Tensor, weight: Tensor, a: Tensor, b: Tensor, *, alpha: float) -> Tensor:
    """A linear layer with a low-rank adapter.

    Args:
        x: (…, in).
        weight: W (out, in), as numbers; it does not learn.
        a, b: A (r, in) and B (out, r). With B = 0 the adapter adds nothing.
        alpha: the adapter is scaled by α/r, meant to let one learning rate serve several ranks r.
    """
    frozen = linear(x, weight)  # (…, out)
    update = linear(linear(x, a), b)  # (…, in) → (…, r) → (…, out); the matrix B A is never formed
    return frozen + alpha / len(a) * update


def adapter_parameters(shapes: Iterable[tuple[int, int]], rank: int) -> int:
    """How many numbers train if each matrix of shape (out, in) gets an A and a B of this rank."""
    return sum(rank * (n_in + n_out) for n_out, n_in in shapes)
