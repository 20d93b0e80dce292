"""Self-reflection: a triplet loss that sets a student's own mistakes apart from right rationales."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity


def triplet_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 1.0, has_triplet: Tensor | None = None
) -> Tensor:
    """Self-reflection loss: pull a right rationale towards another right one, push it from the student's own mistake.

    The paper's self-reflection loss:  L_cl = mean max(0, ρ − cos(h, h⁺) + cos(h, h⁻)).

    Args:
        anchor, positive, negative: hidden states of three rationales of the same question, each (batch, hidden).
        margin: ρ ≥ 0. Cosines lie in [−1, 1], so ρ = 1 asks for h⁺ to be closer than h⁻ by one unit of cosine.
        has_triplet: (batch,) bool; items without a mistake or a second rationale take no part.

    Returns:
        Scalar. 0 when no item has a triplet (training.py reports the share, so that this is never silent).

    Raises:
        ValueError: shapes differ, or margin < 0.
    """
    if not anchor.shape == positive.shape == negative.shape:
        raise ValueError(
            f"anchor {tuple(anchor.shape)}, positive {tuple(positive.shape)} and negative {tuple(negative.shape)} must have "
            "one shape (batch, hidden)"
        )
    if margin < 0:
        raise ValueError(f"margin = {margin}: must be at least 0")
    loss = (margin - cosine_similarity(anchor, positive, -1) + cosine_similarity(anchor, negative, -1)).clamp_min(0)
    if has_triplet is None:
        has_triplet = torch.ones_like(loss, dtype=torch.bool)
    # where, not a product: an item without a triplet may hold anything, and 0 · nan is nan
    kept = torch.where(has_triplet, loss, torch.zeros_like(loss))
    return kept.sum() / has_triplet.sum().clamp_min(1)
