"""Tailored training: one joint loss on lessons and mistakes, L = L_lm + λ·L_cl, and one round of it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad
from torch.nn.utils.rnn import pad_sequence
from tqdm.auto import tqdm

from l2r_lite.folding import joined
from l2r_lite.prompts import completion, student_prompt
from l2r_lite.records import Lesson, Mistake, Problem, TrainingItem
from l2r_lite.reflection import triplet_loss

if TYPE_CHECKING:
    from l2r_lite.config import LoopConfig
    from l2r_lite.student import Student

TOKENS_AT_ONCE = 2048  # in a training step's forward pass, padding included: on a CPU no more is faster, and memory stays flat
PROMPT_WEIGHT = 0.1  # the reference code's: a prompt's tokens count a tenth of a rationale's


class Stopped(Exception):  # noqa: N818 - an event, not an error
    """The user asked to stop; what was finished is on disk."""


def make_items(
    problems: Sequence[Problem], lessons: Sequence[Lesson], mistakes: Sequence[Mistake], correct: dict[str, list[str]],
    *, earlier: Sequence[Lesson] = (), replay: float = 0.0, seed: int = 0,
) -> list[TrainingItem]:  # fmt: skip
    """Turn a round's lessons and mistakes into training items.

    The anchor is a lesson. The positive is a *different* correct rationale of the same question: another lesson, else the
    student's own correct sample; with neither there is no triplet. The negative is one of the student's own mistakes on
    the question, ending in the student's own wrong answer.

    Args:
        correct: problem id → the student's own correct rationales in this round's exam.
        earlier: lessons of earlier rounds.
        replay: how many replayed items a lesson to add (0 is the paper): half from `earlier`, half from `correct`, on
            questions that have no lesson in this round, as far as there are any.
    """
    problem = {p.id: p for p in problems}
    rng = random.Random(f"{seed}/items")  # noqa: S311
    taught: dict[str, list[str]] = {}
    for lesson in lessons:
        taught.setdefault(lesson.problem_id, []).append(lesson.rationale)
    wrong: dict[str, list[str]] = {}
    for mistake in mistakes:
        wrong.setdefault(mistake.problem.id, []).append(mistake.rationale)
    items = []
    for key, repeated in taught.items():
        texts = list(dict.fromkeys(repeated))
        for number, anchor in enumerate(texts):
            others = [t for t in texts if t != anchor] or [t for t in correct.get(key, []) if t != anchor]
            positive = texts[number ^ 1] if (number ^ 1) < len(texts) else others[0] if others else None
            # Items in pairs get the same mistake: each is the other's mirror, and training computes both at once.
            negative = wrong[key][number // 2 % len(wrong[key])] if wrong.get(key) else None
            items.append(TrainingItem(problem[key], anchor, positive, negative))
    old = [TrainingItem(problem[x.problem_id], x.rationale, source="replay") for x in earlier if x.problem_id not in taught]
    own = [TrainingItem(problem[k], t, source="own") for k, ts in correct.items() if k not in taught for t in ts[:1]]
    wanted = round(replay * len(items))
    half = min(len(old), wanted // 2)
    items += rng.sample(old, half) + rng.sample(own, min(len(own), wanted - half))
    return items


def own_items(problems: Sequence[Problem], correct: dict[str, list[str]]) -> list[TrainingItem]:
    """Self-training, without a teacher (as in STaR): all that the student itself got right, each rationale once."""
    return [TrainingItem(p, text, source="own") for p in problems for text in correct.get(p.id, ())]


@dataclass(frozen=True)
class Packed:
    """A batch in which each row is one sequence: prompt | anchor | positive | negative.

    The prompt is computed once for all three. A token sees the prompt and the earlier tokens of its own part, and each
    part's positions go on from the prompt, so that every part is computed as if it stood alone behind the prompt.

    Two items that are each other's mirror (the one's anchor is the other's positive, same negative) share a row: its
    positive is an anchor too. The losses are those of the two items.
    """

    ids: Tensor  # (rows, length)
    positions: Tensor  # (rows, length)
    part: Tensor  # (rows, length): 0 prompt, 1 anchor, 2 positive, 3 negative, -1 padding
    before: Tensor  # (rows, length): the column that predicts this token: the one before it in its own sequence
    weight: Tensor  # (rows, length): how much predicting this token counts in L_lm; 0 where it does not
    ends: Tensor  # (rows, 3): where anchor, positive and negative have their last token
    has_triplet: Tensor  # (rows,) bool
    mirrored: Tensor  # (rows,) bool: the row stands for two items

    @property
    def triplets(self) -> Tensor:
        """How many of the batch's items have a triplet."""
        return self.has_triplet.sum() + (self.has_triplet & self.mirrored).sum()

    def mask(self, dtype: torch.dtype) -> Tensor:
        """Additive attention mask (rows, 1, length, length): 0 where a token may look, the lowest number elsewhere."""
        length = self.ids.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=self.ids.device).tril()
        query, key = self.part[:, :, None], self.part[:, None, :]
        sees = causal & ((key == query) | ((key == 0) & (query > 0)))
        blocked = torch.zeros(sees.shape, dtype=dtype, device=sees.device).masked_fill(~sees, torch.finfo(dtype).min)
        return blocked[:, None]


def pack(student: Student, items: Sequence[TrainingItem], *, with_triplets: bool = True) -> Packed:
    """Tokenise and lay out a batch. Without triplets (λ = 0) negatives are left out, and positives that are no anchor."""
    return _collate(student, [_row(student, i, m, with_triplets and i.has_triplet) for i, m in _fold(items)])


def _collate(student: Student, rows: Sequence[tuple[Any, ...]]) -> Packed:
    def column(index: int, filler: float) -> Tensor:
        return pad_sequence([torch.tensor(r[index]) for r in rows], True, filler).to(student.device)

    def flags(index: int) -> Tensor:
        return torch.tensor([r[index] for r in rows], device=student.device)

    return Packed(column(0, student.tokenizer.pad_token_id), column(1, 0), column(2, -1), column(3, 0), column(4, 0.0),
                  flags(5), flags(6), flags(7))  # fmt: skip


def _fold(items: Sequence[TrainingItem]) -> list[tuple[TrainingItem, bool]]:
    """Items, with mirrored ones taken together: (item, whether it stands for its mirror too)."""
    rows: dict[tuple[str, ...], list[tuple[TrainingItem, bool]]] = {}
    for item in items:
        seen = rows.setdefault((item.problem.id, item.negative or "", *sorted((item.anchor, item.positive or ""))), [])
        if seen and not seen[-1][1] and seen[-1][0].anchor == item.positive:
            seen[-1] = (seen[-1][0], True)
        else:
            seen.append((item, False))
    return [row for group in rows.values() for row in group]


def _row(student: Student, item: TrainingItem, mirrored: bool, triplet: bool) -> tuple[Any, ...]:
    prompt, anchor = student.encode(student_prompt(item.problem), completion(item.anchor))
    texts = [item.positive] * (mirrored or triplet) + [item.negative] * triplet
    parts = [anchor, *(student.encode("", completion(t or ""))[1] for t in texts)]
    ids, positions, part = list(prompt), list(range(len(prompt))), [0] * len(prompt)
    before, ends = [max(i - 1, 0) for i in range(len(prompt))], []
    for number, tokens in enumerate(parts, 1):
        before += [len(prompt) - 1, *range(len(ids), len(ids) + len(tokens) - 1)]
        positions += range(len(prompt), len(prompt) + len(tokens))
        part += [number] * len(tokens)
        ids += tokens
        ends.append(len(ids) - 1)
    anchors = 1 + mirrored  # parts 1 to `anchors` are learned from, each with the prompt before it
    weight = [PROMPT_WEIGHT * anchors if p == 0 else float(p <= anchors) for p in part]
    weight[0] = 0.0  # nothing predicts the first token
    return ids, positions, part, before, weight, (ends * 3)[:3], triplet, mirrored


def hidden_states(student: Student, batch: Packed) -> Tensor:
    """The last layer's hidden state of every token, (rows, length, hidden), each part as if alone behind the prompt.

    Demonstrations before the prompts (student.prefix) are the same in every row: they are computed once for the batch, and
    their gradients are the sum of what all rows give back.
    """
    start = len(student.prefix)
    mask = pad(batch.mask(student.dtype), (start, 0))  # (rows, 1, length, start + length): all look at the prefix
    if start and student.checkpointing:  # which knows no cache: the prefix stands in every row
        first = torch.tensor(student.prefix, device=student.device).expand(len(batch.ids), -1)
        among = torch.full((start, start), torch.finfo(mask.dtype).min, dtype=mask.dtype, device=mask.device).triu(1)
        above = pad(among, (0, batch.ids.shape[1]), value=torch.finfo(mask.dtype).min).expand(len(mask), 1, -1, -1)
        positions = torch.cat([torch.arange(start, device=student.device).expand_as(first), batch.positions + start], 1)
        return student.decoder(input_ids=torch.cat([first, batch.ids], 1), attention_mask=torch.cat([above, mask], 2),
                               position_ids=positions, use_cache=False).last_hidden_state[:, start:]  # fmt: skip
    cache = student.prefix_cache(len(batch.ids)) if start else None
    return student.decoder(
        input_ids=batch.ids, attention_mask=mask, position_ids=batch.positions + start, past_key_values=cache,
        use_cache=bool(start),
    ).last_hidden_state  # fmt: skip


def token_losses(student: Student, batch: Packed, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy in nats, and weight, of each token that counts in L_lm: both (targets,), row after row."""
    row, column = torch.nonzero(batch.weight, as_tuple=True)  # only tokens that count are projected onto the vocabulary
    logits = student.head(hidden[row, batch.before[row, column]])  # (targets, vocabulary)
    token_loss = cross_entropy(logits.float() if logits.dtype != torch.float64 else logits, batch.ids[row, column],
                               reduction="none")  # fmt: skip
    return token_loss, batch.weight[row, column].to(token_loss.dtype)


def losses(student: Student, batch: Packed, *, margin: float = 1.0) -> tuple[Tensor, Tensor]:
    """L_lm and L_cl of a batch: two scalars that carry gradients to the adapter.

    L_lm is the weighted mean of the token cross-entropies on question + rationale + answer (prompt tokens weigh 0.1), L_cl
    the triplet loss on the last layer's hidden state at each rationale's last token (the end-of-text token).
    """
    hidden = hidden_states(student, batch)  # (rows, length, hidden)
    token_loss, weight = token_losses(student, batch, hidden)
    lm = (token_loss * weight).sum() / weight.sum()
    h, h_plus, h_minus = (hidden[torch.arange(len(hidden)), batch.ends[:, i]] for i in range(3))
    both = batch.mirrored
    cl = triplet_loss(torch.cat([h, h_plus[both]]), torch.cat([h_plus, h[both]]), torch.cat([h_minus, h_minus[both]]),
                      margin=margin, has_triplet=torch.cat([batch.has_triplet, batch.has_triplet[both]]))  # fmt: skip
    return lm, cl


def epoch_batches(items: Sequence[TrainingItem], size: int, rng: random.Random) -> list[list[TrainingItem]]:
    """One pass in random order, cut into batches of items of similar length (less padding), the batches shuffled."""
    together: dict[str, list[TrainingItem]] = {}  # a question's items stay together: mirrored ones can share a row
    for item in items:
        together.setdefault(item.problem.id, []).append(item)
    order = list(together.values())
    rng.shuffle(order)
    batches = []
    for start in range(0, len(order), size * 4):
        pool = [item for group in sorted(order[start : start + size * 4], key=lambda g: _length(g[0])) for item in group]
        batches += [pool[i : i + size] for i in range(0, len(pool), size)]
    rng.shuffle(batches)
    return batches


def round_batches(items: Sequence[TrainingItem], config: LoopConfig, rng: random.Random) -> list[list[TrainingItem]]:
    """The batches of a round's training: `config.epochs` passes, or passes until there are `config.steps` of them."""
    batches: list[list[TrainingItem]] = []
    for number in itertools.count(1):
        batches += epoch_batches(items, config.batch_size, rng)
        if not items or (len(batches) >= config.steps if config.steps else number == config.epochs):
            break
    return batches[: config.steps or None]


def _length(item: TrainingItem) -> int:
    return len(item.problem.question) + len(item.anchor) + len(item.positive or "") + len(item.negative or "")


def pack_by_length(student: Student, items: Sequence[TrainingItem], *, most: int | None = None,
                   with_triplets: bool = True, tokens: int = TOKENS_AT_ONCE) -> list[Packed]:  # fmt: skip
    """A batch as pieces of rows of like length, so that little is padding and memory does not grow with the batch.

    Args:
        most: items in a piece.  tokens: of a piece, padding included; a longer row is a piece of its own.
    """
    rows = sorted((_row(student, i, m, with_triplets and i.has_triplet) for i, m in _fold(items)), key=lambda r: len(r[0]))
    pieces: list[list[tuple[Any, ...]]] = []
    for row in rows:
        count = len(pieces[-1]) + 1 if pieces else 0
        if not count or count * len(row[0]) > tokens or (most and sum(1 + r[7] for r in [*pieces[-1], row]) > most):
            pieces.append([])
        pieces[-1].append(row)
    return [_collate(student, piece) for piece in pieces]


def train_step(
    student: Student, items: Sequence[TrainingItem], config: LoopConfig, scaler: torch.amp.GradScaler | None = None
) -> dict[str, float]:
    """Add the gradients of L = L_lm + λ·L_cl over `items` to the adapter, in micro-batches if the config asks for them.

    Each piece of the batch is weighed by its share of label weight and of triplets, so that the result is the whole batch's.
    `scaler` scales the loss for fp16 students, whose small gradients would vanish.
    """
    packed = pack_by_length(student, items, most=config.micro_batch, with_triplets=config.reflection_weight > 0)
    labels = sum(p.weight.sum() for p in packed)
    triplets = sum(p.triplets for p in packed)
    total_lm = total_cl = 0.0
    for batch in packed:
        lm, cl = losses(student, batch, margin=config.margin)
        lm = lm * (batch.weight.sum() / labels)
        cl = cl * (batch.triplets / max(triplets, 1))
        loss = lm + config.reflection_weight * cl
        (scaler.scale(loss) if scaler else loss).backward()
        total_lm, total_cl = total_lm + lm.item(), total_cl + cl.item()
    return {"lm": total_lm, "cl": total_cl, "triplets": float(triplets) / len(items)}


def train_round(
    student: Student, items: Sequence[TrainingItem], config: LoopConfig, *, seed: int,
    stop: Callable[[], bool] = lambda: False, on_step: Callable[[dict[str, float]], object] | None = None,
    progress: bool = True,
) -> list[dict[str, float]]:  # fmt: skip
    """One round of tailored training: `round_batches` of the items with a fresh AdamW.

    Returns:
        For each step: L_lm, L_cl, the share of items with a triplet, and the gradient's norm before clipping.

    Raises:
        Stopped: `stop()` said so between two steps.
    """
    rng = random.Random(f"{seed}/training")  # noqa: S311
    batches = round_batches(items, config, rng)
    weights = list(student.trainable.values())
    optimizer = torch.optim.AdamW(weights, lr=config.learning_rate, weight_decay=0.0, fused=True)
    warmup = max(1, len(batches) // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, 1.0) * max(0.1, 1 - step / max(len(batches), 1))
    )
    scaler = torch.amp.GradScaler(student.device.type, enabled=student.dtype == torch.float16)
    log = []
    student.model.train()
    one_matrix = joined(student.model, student.dtype)
    with one_matrix, tqdm(batches, desc="training", unit="step", disable=not progress, leave=False) as bar:
        for batch in bar:
            if stop():
                raise Stopped
            entry = train_step(student, batch, config, scaler)
            scaler.unscale_(optimizer)
            entry["gradient"] = torch.nn.utils.clip_grad_norm_(weights, 1.0).item()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            log.append(entry)
            bar.set_postfix(loss=f"{entry['lm']:.3f}", reflection=f"{entry['cl']:.2f}")
            if on_step:
                on_step(entry)
    student.model.eval()
    return log
