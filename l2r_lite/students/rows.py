"""Lay out training items for one pass: rows of prompt | anchor | positive | negative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from l2r_lite.loop.losses import PROMPT_WEIGHT
from l2r_lite.loop.prompts import completion
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.student import Student

# Tokens in one forward pass, padding included: more is no faster on a CPU and needs more memory.
TOKENS_AT_ONCE = 2048


@dataclass(frozen=True)
class Row:
    """One packed sequence; every list has one entry per token.

    Attributes:
        ids, positions: tokens, and their positions in their own text.
        part: 0 prompt, 1 anchor, 2 positive, 3 negative.
        before: the column that predicts this token: the one before it in its own text.
        weight: how much predicting this token counts in L_lm.
        ends: the columns of the last tokens of anchor, positive and negative.
        has_triplet: whether the row has positive and negative for L_cl.
        mirrored: the row covers two items, with anchor and positive swapped: its positive is an
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
        """Additive attention mask (rows, 1, length, length): 0 where a token may attend."""
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
        with_triplets: False (λ = 0) leaves out negatives, and positives that are not anchors.
    """
    return collate(student, make_rows(student, items, with_triplets=with_triplets))


def make_rows(
    student: Student, items: Sequence[TrainingItem], *, with_triplets: bool = True
) -> list[Row]:
    """Turn items into rows. Two items with anchor and positive swapped share one."""
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
    anchors = 2 if mirrored else 1  # parts that the student learns, each with the prompt before it
    asked = PROMPT_WEIGHT * anchors if student.learns_prompts else 0.0
    weight = [asked if p == 0 else float(p <= anchors) for p in part]
    weight[0] = 0.0  # nothing predicts the first token
    ends = (ends * 3)[:3]  # a missing part points anywhere: L_cl ignores it
    return Row(ids, positions, part, before, weight, ends, triplet, mirrored)


def cut(
    rows: Sequence[Row], *, most: int | None = None, tokens: int = TOKENS_AT_ONCE
) -> list[list[Row]]:
    """Cut rows, shortest first, into pieces of similar length: little padding, bounded memory.

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
