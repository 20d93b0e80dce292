"""Tailored training's joint loss, L = L_lm + λ·L_cl, in the plain form: three passes.

L_lm, learning from customized feedback: token cross-entropy on question + rationale + answer.
L_cl, learning from self-reflection: a triplet loss on the hidden states of whole rationales.
A run computes the same loss in one pass (students/packing.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy
from torch.nn.utils.rnn import pad_sequence

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.prompts import completion
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.student import Student

PROMPT_WEIGHT = 0.1  # weight of prompt tokens in L_lm, from the reference code; rationale tokens: 1


def tailored_loss(
    student: Student, items: Sequence[TrainingItem], config: LoopConfig
) -> Iterator[dict[str, Tensor]]:
    """The loop's objective. Yields {"loss", "lm", "cl", "triplets": share of items with one}."""
    triplets = [item for item in items if item.has_triplet] if config.reflection_weight else []
    anchors = read_texts(student, items, [item.anchor for item in items])
    lm = language_loss(student, anchors)
    cl = torch.zeros_like(lm)
    if triplets:
        has_triplet = torch.tensor([item in triplets for item in items], device=lm.device)
        h = anchors.last[has_triplet]
        h_plus = read_texts(student, triplets, [item.positive or "" for item in triplets]).last
        h_minus = read_texts(student, triplets, [item.negative or "" for item in triplets]).last
        cl = triplet_loss(h, h_plus, h_minus, margin=config.margin)
    share = torch.tensor(len(triplets) / len(items))
    yield {"loss": lm + config.reflection_weight * cl, "lm": lm, "cl": cl, "triplets": share}


@dataclass(frozen=True)
class Texts:
    """A batch of prompts with rationales as the student reads them, padded on the right."""

    ids: Tensor  # (batch, length)
    weight: Tensor  # (batch, length): how much predicting this token counts in L_lm
    hidden: Tensor  # (batch, length, hidden): the last layer's states
    last: Tensor  # (batch, hidden): the state at each text's last token, end-of-text


def read_texts(student: Student, items: Sequence[TrainingItem], texts: Sequence[str]) -> Texts:
    """One forward pass over each item's prompt followed by its text."""
    rows, weights, weight = [], [], PROMPT_WEIGHT * student.learns_prompts
    for item, text in zip(items, texts, strict=True):
        prompt, rationale = student.encode(student.prompt(item.problem), completion(text))
        rows.append(torch.tensor([*student.prefix, *prompt, *rationale]))
        # The first token of a prompt follows nothing, or a demonstration: it is not predicted.
        shown = [0.0] * (len(student.prefix) + 1) + [weight] * (len(prompt) - 1)
        weights.append(torch.tensor(shown + [1.0] * len(rationale)))
    ids = pad_sequence(rows, True, student.tokenizer.pad_token_id).to(student.device)
    counts = pad_sequence(weights, True).to(student.device)
    # The student is causal, so no real token attends to the padding: no mask is needed.
    hidden = student.decoder(input_ids=ids, use_cache=False).last_hidden_state
    ends = torch.tensor([len(row) - 1 for row in rows], device=student.device)
    return Texts(ids, counts, hidden, hidden[torch.arange(len(rows)), ends])


def language_loss(student: Student, texts: Texts) -> Tensor:
    """L_lm: weighted mean of the token cross-entropies, in nats."""
    logits = student.head(texts.hidden[:, :-1]).float()  # (batch, length − 1, vocabulary)
    targets = texts.ids[:, 1:]
    each = cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    weight = texts.weight[:, 1:].flatten()
    return (each * weight).sum() / weight.sum()


def triplet_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 1.0,
    has_triplet: Tensor | None = None,
) -> Tensor:
    """Pull a right rationale towards another right one, and push it from the student's mistake.

    The paper's self-reflection loss:  L_cl = mean max(0, ρ − cos(h, h⁺) + cos(h, h⁻)).

    Args:
        anchor, positive, negative: hidden states of rationales of one question, (batch, hidden).
        margin: ρ ≥ 0; 1 asks for h⁺ to be closer than h⁻ by one unit of cosine.
        has_triplet: (batch,) bool; items without a mistake or a second rationale are left out.

    Returns 0 if no item has a triplet (their share is logged, so this is never silent), and raises
    ValueError if shapes differ or margin < 0.
    """
    if not anchor.shape == positive.shape == negative.shape:
        raise ValueError(
            f"anchor {tuple(anchor.shape)}, positive {tuple(positive.shape)} and negative "
            f"{tuple(negative.shape)} must have the same shape (batch, hidden)")
    if margin < 0:
        raise ValueError(f"margin = {margin}: must be at least 0")
    if anchor.dtype.itemsize < 4:  # squares of hidden states overflow in fp16
        anchor, positive, negative = anchor.float(), positive.float(), negative.float()
    closer = cosine_similarity(anchor, positive, -1)
    farther = cosine_similarity(anchor, negative, -1)
    loss = (margin - closer + farther).clamp_min(0)
    if has_triplet is None:
        has_triplet = torch.ones_like(loss, dtype=torch.bool)
    # where, not a product: an item without a triplet may hold nan, and 0 · nan is nan.
    kept = torch.where(has_triplet, loss, torch.zeros_like(loss))
    return kept.sum() / has_triplet.sum().clamp_min(1)
