"""Self-reflection: a triplet loss that sets a student's own mistakes apart from right rationales, and what it works on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torch.nn.utils.rnn import pad_sequence

from l2r_lite.loop.prompts import completion, student_prompt
from l2r_lite.loop.records import Problem, TrainingItem

if TYPE_CHECKING:
    from l2r_lite.loop.student import Student


@torch.no_grad()
def rationale_states(student: Student, problems: Sequence[Problem], rationales: Sequence[str], *, rows: int = 64) -> Tensor:
    """What self-reflection compares: one vector for each rationale, as the student has it in mind after its last token.

    The last layer's hidden state at the end-of-text token that follows the rationale, which has seen the question and every
    word of the rationale. For looking at; in training, `losses` computes the same vectors with their gradients.

    Args:
        problems, rationales: the question that each rationale answers, and the rationale; of equal length.
        rows: sequences in memory at once.

    Returns:
        (len(rationales), hidden), in fp32 on the CPU.

    Raises:
        ValueError: not as many problems as rationales.
    """
    student.model.eval()
    texts = [student.encode(student_prompt(p), completion(r)) for p, r in zip(problems, rationales, strict=True)]
    ids = [torch.tensor(prompt + answer) for prompt, answer in texts]
    found = [torch.empty(0, student.decoder.config.hidden_size)]
    for start in range(0, len(ids), rows):
        batch = ids[start : start + rows]
        # Padding lies on the right, where no real token can look: the student is causal, so that no mask is needed.
        padded = pad_sequence(batch, True, student.tokenizer.pad_token_id).to(student.device)
        cache = student.prefix_cache(len(batch))
        hidden = student.decoder(input_ids=padded, past_key_values=cache).last_hidden_state
        ends = torch.tensor([len(i) - 1 for i in batch], device=student.device)
        found.append(hidden[torch.arange(len(batch), device=student.device), ends].float().cpu())
    return torch.cat(found)


def triplet_cosines(student: Student, items: Sequence[TrainingItem]) -> tuple[Tensor, Tensor]:
    """cos(h, h⁺) and cos(h, h⁻) of each item as the student sees it now: all that the triplet loss depends on.

    Returns:
        Two tensors (items,), with values in [−1, 1].

    Raises:
        ValueError: an item has no triplet.
    """
    if not all(item.has_triplet for item in items):
        raise ValueError("an item has no triplet; keep those with item.has_triplet")
    three = [(i.problem, text or "") for i in items for text in (i.anchor, i.positive, i.negative)]
    place = {pair: number for number, pair in enumerate(dict.fromkeys(three))}  # many items share texts
    states = rationale_states(student, [p for p, _ in place], [t for _, t in place])
    rows = torch.tensor([place[pair] for pair in three], dtype=torch.long)
    h, h_plus, h_minus = states[rows].view(len(items), 3, -1).unbind(1)  # each (items, hidden)
    return cosine_similarity(h, h_plus, -1), cosine_similarity(h, h_minus, -1)


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


def principal_axes(states: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden states in the two directions in which they differ most (PCA): the most that a flat picture can show of them.

    Args:
        states: (n, hidden), n ≥ 2.

    Returns:
        Coordinates (n, 2), signs fixed so that the same states give the same picture; and the share of the variance that
        each of the two axes holds, (2,).
    """
    centred = states - states.mean(0)
    _, strength, directions = torch.linalg.svd(centred, full_matrices=False)
    axes = directions[:2]  # (2, hidden)
    axes = axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    return centred @ axes.T, strength[:2] ** 2 / (strength**2).sum()


def neighbours_agree(states: Tensor, questions: Sequence[str], labels: Sequence[object]) -> tuple[float, float]:
    """What hidden states are sorted by: how often the nearest state of *another* question has the same label.

    Other questions only, because two rationales of one question share all its words.

    Args:
        states: (n, hidden), compared by cosine.
        questions, labels: for each state, which question it belongs to, and what it may be sorted by.

    Returns:
        That share, and the share that a state of another question drawn by chance would give.

    Raises:
        ValueError: all states are of one question.
    """
    if len(set(questions)) < 2:
        raise ValueError("all states are of one question: there is no neighbour of another one")
    unit = torch.nn.functional.normalize(states, dim=1)
    other = torch.tensor([[a != b for b in questions] for a in questions])
    alike = torch.tensor([[a == b for b in labels] for a in labels])
    nearest = (unit @ unit.T).masked_fill(~other, -2).argmax(1, keepdim=True)
    by_chance = (alike & other).sum(1) / other.sum(1)
    return alike.gather(1, nearest).double().mean().item(), by_chance.double().mean().item()
