"""The joint loss in one pass: prompt | anchor | positive | negative as one packed sequence.

The prompt is computed once for all three texts. A token attends to the prompt and to the earlier
tokens of its own part, and each part's positions continue the prompt's, so every part is computed
as if it alone followed the prompt. The losses are those of loop/losses.py, up to rounding; a batch
with a text longer than the model's attention window (trial.py) is left to loop/losses.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.losses import PROMPT_WEIGHT, tailored_loss, triplet_loss
from l2r_lite.loop.prompts import completion
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.student import Student
from l2r_lite.students.folding import joined
from l2r_lite.students.prefix import prefix_cache
from l2r_lite.students.rows import Packed, collate, cut, make_rows


@dataclass(frozen=True)
class Share:
    """One process's share of a batch's rows.

    Attributes:
        rank, size: this process's number and how many there are.
        add_up: sums a tensor over all processes.
    """

    rank: int
    size: int
    add_up: Callable[[Tensor], Tensor]


def packed_loss(
    student: Student, items: Sequence[TrainingItem], config: LoopConfig, *,
    share: Share | None = None,
) -> Iterator[dict[str, Tensor]]:
    """The objective of a run: `tailored_loss`, in one pass per piece of the batch.

    Args:
        share: compute these rows only; the sum over all processes is the loss of the batch.
    """
    with_triplets = config.reflection_weight > 0
    if _longest_text(student, items) > student.fast_up_to:
        yield from _plain_loss(student, items, config, share)
        return
    rows = make_rows(student, items, with_triplets=with_triplets)
    rows.sort(key=lambda row: len(row.ids))
    if share:
        rows = rows[share.rank :: share.size]
    pieces = [collate(student, piece) for piece in cut(rows, most=config.micro_batch)]
    labels = sum(piece.weight.sum() for piece in pieces)
    triplets = sum(piece.triplets for piece in pieces)
    if share:
        counts = torch.tensor([float(labels), float(triplets)], device=student.device)
        labels, triplets = share.add_up(counts)
    # The joined layers stay in place while the caller runs backward, which may recompute them.
    with joined(student.model, student.dtype):
        for piece in pieces:
            lm, cl = losses(student, piece, margin=config.margin)
            lm = lm * (piece.weight.sum() / labels)
            cl = cl * (piece.triplets / max(triplets, 1))
            yield {
                "loss": lm + config.reflection_weight * cl,
                "lm": lm.detach(),
                "cl": cl.detach(),
                "triplets": piece.triplets.double() / len(items),
            }


def _longest_text(student: Student, items: Sequence[TrainingItem]) -> int:
    """Tokens of the longest prompt plus rationale, demonstrations included."""
    texts = [
        (student.prompt(item.problem), completion(text))
        for item in items for text in (item.anchor, item.positive, item.negative) if text]
    return len(student.prefix) + max(sum(map(len, student.encode(*text))) for text in texts)


def _plain_loss(
    student: Student, items: Sequence[TrainingItem], config: LoopConfig, share: Share | None
) -> Iterator[dict[str, Tensor]]:
    """The same losses from `tailored_loss`, piece by piece."""
    mine = list(items[share.rank :: share.size] if share else items)
    size = config.micro_batch or len(mine)
    pieces = [mine[i : i + size] for i in range(0, len(mine), size)]
    labels = [sum(_labels(student, item) for item in piece) for piece in pieces]
    reflected = config.reflection_weight > 0
    triplets = [sum(item.has_triplet for item in piece) * reflected for piece in pieces]
    sums = torch.tensor([sum(labels), sum(triplets)], device=student.device)
    if share:
        sums = share.add_up(sums)
    for piece, weight, count in zip(pieces, labels, triplets, strict=True):
        for part in tailored_loss(student, piece, config):
            lm = part["lm"] * (weight / sums[0])
            cl = part["cl"] * (count / sums[1].clamp_min(1))
            yield {
                "loss": lm + config.reflection_weight * cl, "lm": lm.detach(), "cl": cl.detach(),
                "triplets": torch.tensor(count / len(items), dtype=torch.float64)}


def _labels(student: Student, item: TrainingItem) -> float:
    """Total weight of an item's tokens in L_lm."""
    prompt, rationale = student.encode(student.prompt(item.problem), completion(item.anchor))
    return PROMPT_WEIGHT * student.learns_prompts * (len(prompt) - 1) + len(rationale)


def losses(student: Student, batch: Packed, *, margin: float = 1.0) -> tuple[Tensor, Tensor]:
    """L_lm and L_cl of a batch: two scalars that carry gradients to the adapter."""
    hidden = hidden_states(student, batch)  # (rows, length, hidden)
    token_loss, weight = token_losses(student, batch, hidden)
    lm = (token_loss * weight).sum() / weight.sum()
    rows = torch.arange(len(hidden))
    h, h_plus, h_minus = (hidden[rows, batch.ends[:, i]] for i in range(3))  # each (rows, hidden)
    both = batch.mirrored
    cl = triplet_loss(
        torch.cat([h, h_plus[both]]),
        torch.cat([h_plus, h[both]]),
        torch.cat([h_minus, h_minus[both]]),
        margin=margin,
        has_triplet=torch.cat([batch.has_triplet, batch.has_triplet[both]]))
    return lm, cl


def hidden_states(student: Student, batch: Packed) -> Tensor:
    """The last layer's state of every token, (rows, length, hidden).

    Demonstrations (student.prefix) are the same for every row: they are computed once for the
    batch, and their gradients are summed over all rows.
    """
    start = len(student.prefix)
    mask = pad(batch.mask(student.dtype), (start, 0))  # (rows, 1, length, start + length)
    if start and student.checkpointing:
        return _with_prefix_in_every_row(student, batch, mask)
    cache = prefix_cache(student, len(batch.ids)) if start else None
    return student.decoder(
        input_ids=batch.ids, attention_mask=mask, position_ids=batch.positions + start,
        past_key_values=cache, use_cache=bool(start)).last_hidden_state


def _with_prefix_in_every_row(student: Student, batch: Packed, mask: Tensor) -> Tensor:
    """Checkpointing works without a cache, so the prefix is computed again in every row."""
    start, lowest = len(student.prefix), torch.finfo(mask.dtype).min
    prefix = torch.tensor(student.prefix, device=student.device).expand(len(batch.ids), -1)
    among = torch.full((start, start), lowest, dtype=mask.dtype, device=mask.device).triu(1)
    above = pad(among, (0, batch.ids.shape[1]), value=lowest).expand(len(mask), 1, -1, -1)
    first = torch.arange(start, device=student.device).expand_as(prefix)
    return student.decoder(
        input_ids=torch.cat([prefix, batch.ids], 1),
        attention_mask=torch.cat([above, mask], 2),
        position_ids=torch.cat([first, batch.positions + start], 1),
        use_cache=False).last_hidden_state[:, start:]


def token_losses(student: Student, batch: Packed, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy in nats, and weight, of each token that counts in L_lm: both (targets,)."""
    # Only tokens that count are projected onto the vocabulary.
    row, column = torch.nonzero(batch.weight, as_tuple=True)
    logits = student.head(hidden[row, batch.before[row, column]])  # (targets, vocabulary)
    if logits.dtype != torch.float64:
        logits = logits.float()
    token_loss = cross_entropy(logits, batch.ids[row, column], reduction="none")
    return token_loss, batch.weight[row, column].to(token_loss.dtype)
