"""The joint loss in one pass: prompt | anchor | positive | negative as one packed sequence.

The prompt is computed once for all three texts. A token sees the prompt and the earlier tokens of
its own part, and each part's positions follow the prompt's, so every part is computed as if it
stood alone behind the prompt. The losses are those of loop/losses.py, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad
from torch.nn.utils.rnn import pad_sequence

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.losses import PROMPT_WEIGHT, triplet_loss
from l2r_lite.loop.prompts import completion
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.student import Student
from l2r_lite.students.folding import joined
from l2r_lite.students.prefix import prefix_cache

# Tokens in one forward pass, padding included: on a CPU more is no faster, and memory stays flat.
TOKENS_AT_ONCE = 2048


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
        share: compute these rows only; the sum over all processes is the batch's.
    """
    with_triplets = config.reflection_weight > 0
    rows = rows_by_length(student, items, with_triplets=with_triplets)
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


@dataclass(frozen=True)
class Row:
    """One packed sequence; every list has one entry per token.

    Attributes:
        ids, positions: tokens, and their positions in their own text.
        part: 0 prompt, 1 anchor, 2 positive, 3 negative.
        before: the column that predicts this token: the one before it in its own text.
        weight: how much predicting this token counts in L_lm.
        ends: where anchor, positive and negative have their last token.
        has_triplet: whether positive and negative are there for L_cl.
        mirrored: the row stands for two items that are each other's mirror: the positive is an
            anchor too.
    """

    ids: list[int]
    positions: list[int]
    part: list[int]
    before: list[int]
    weight: list[float]
    ends: list[int]
    has_triplet: bool
    mirrored: bool

    @property
    def items(self) -> int:
        return 1 + self.mirrored


@dataclass(frozen=True)
class Packed:
    """A batch of rows, padded on the right; see `Row` for the fields."""

    ids: Tensor  # (rows, length)
    positions: Tensor  # (rows, length)
    part: Tensor  # (rows, length); −1 is padding
    before: Tensor  # (rows, length)
    weight: Tensor  # (rows, length); 0 on padding
    ends: Tensor  # (rows, 3)
    has_triplet: Tensor  # (rows,) bool
    mirrored: Tensor  # (rows,) bool

    @property
    def triplets(self) -> Tensor:
        """How many of the batch's items have a triplet."""
        return self.has_triplet.sum() + (self.has_triplet & self.mirrored).sum()

    def mask(self, dtype: torch.dtype) -> Tensor:
        """Additive attention mask (rows, 1, length, length): 0 where a token may look."""
        length = self.ids.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=self.ids.device).tril()
        query, key = self.part[:, :, None], self.part[:, None, :]
        sees = causal & ((key == query) | ((key == 0) & (query > 0)))
        open_ = torch.zeros(sees.shape, dtype=dtype, device=sees.device)
        return open_.masked_fill(~sees, torch.finfo(dtype).min)[:, None]


def pack(
    student: Student, items: Sequence[TrainingItem], *, with_triplets: bool = True
) -> Packed:
    """Tokenise and lay out a batch.

    Args:
        with_triplets: False (λ = 0) leaves out negatives, and positives that are no anchor.
    """
    return collate(student, make_rows(student, items, with_triplets=with_triplets))


def make_rows(
    student: Student, items: Sequence[TrainingItem], *, with_triplets: bool = True
) -> list[Row]:
    """Items as rows. Two items that are each other's mirror share one."""
    folded: dict[tuple[str, ...], list[tuple[TrainingItem, bool]]] = {}
    for item in items:
        texts = sorted((item.anchor, item.positive or ""))
        alike = folded.setdefault((item.problem.id, item.negative or "", *texts), [])
        if alike and not alike[-1][1] and alike[-1][0].anchor == item.positive:
            alike[-1] = (alike[-1][0], True)
        else:
            alike.append((item, False))
    return [
        _row(student, item, mirrored, with_triplets and item.has_triplet)
        for alike in folded.values()
        for item, mirrored in alike
    ]


def _row(student: Student, item: TrainingItem, mirrored: bool, triplet: bool) -> Row:
    prompt, anchor = student.encode(student.prompt(item.problem), completion(item.anchor))
    parts = [anchor]
    if mirrored or triplet:
        parts.append(student.encode("", completion(item.positive or ""))[1])
    if triplet:
        parts.append(student.encode("", completion(item.negative or ""))[1])
    ids = list(prompt)
    positions = list(range(len(prompt)))
    part = [0] * len(prompt)
    before = [max(i - 1, 0) for i in range(len(prompt))]
    ends = []
    for number, tokens in enumerate(parts, 1):
        before += [len(prompt) - 1, *range(len(ids), len(ids) + len(tokens) - 1)]
        positions += range(len(prompt), len(prompt) + len(tokens))
        part += [number] * len(tokens)
        ids += tokens
        ends.append(len(ids) - 1)
    anchors = 2 if mirrored else 1  # parts that are learned from, each with the prompt before it
    weight = [PROMPT_WEIGHT * anchors if p == 0 else float(p <= anchors) for p in part]
    weight[0] = 0.0  # nothing predicts the first token
    ends = (ends * 3)[:3]  # a part that is missing points anywhere: it takes no part in L_cl
    return Row(ids, positions, part, before, weight, ends, triplet, mirrored)


def rows_by_length(
    student: Student, items: Sequence[TrainingItem], *, with_triplets: bool = True
) -> list[Row]:
    rows = make_rows(student, items, with_triplets=with_triplets)
    return sorted(rows, key=lambda row: len(row.ids))


def cut(
    rows: Sequence[Row], *, most: int | None = None, tokens: int = TOKENS_AT_ONCE
) -> list[list[Row]]:
    """Rows, shortest first, as pieces of like length: little padding, and flat memory.

    Args:
        most: items per piece.
        tokens: per piece, padding included; a longer row is a piece of its own.
    """
    pieces: list[list[Row]] = []
    for row in rows:
        if pieces:
            piece = [*pieces[-1], row]
            too_long = len(piece) * len(row.ids) > tokens
            too_many = most is not None and sum(r.items for r in piece) > most
            if not too_long and not too_many:
                pieces[-1] = piece
                continue
        pieces.append([row])
    return pieces


def collate(student: Student, rows: Sequence[Row]) -> Packed:
    def column(name: str, filler: float) -> Tensor:
        each = [torch.tensor(getattr(row, name)) for row in rows]
        return pad_sequence(each, True, filler).to(student.device)

    def flags(name: str) -> Tensor:
        return torch.tensor([getattr(row, name) for row in rows], device=student.device)

    return Packed(
        ids=column("ids", student.tokenizer.pad_token_id),
        positions=column("positions", 0),
        part=column("part", -1),
        before=column("before", 0),
        weight=column("weight", 0.0),
        ends=flags("ends"),
        has_triplet=flags("has_triplet"),
        mirrored=flags("mirrored"),
    )


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
    batch, and their gradients are the sum of what all rows give back.
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
    """Checkpointing knows no cache, so the prefix is computed again in every row."""
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
