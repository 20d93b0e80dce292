"""The hidden states that self-reflection compares: one per rationale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torch.nn.utils.rnn import pad_sequence

from l2r_lite.loop.prompts import completion
from l2r_lite.loop.records import Problem, TrainingItem
from l2r_lite.loop.student import Student
from l2r_lite.students.prefix import prefix_cache


@torch.no_grad()
def rationale_states(
    student: Student, problems: Sequence[Problem], rationales: Sequence[str], *, rows: int = 64
) -> Tensor:
    """The vectors that self-reflection compares: one per rationale, after its last token.

    Each is the last layer's hidden state at the end-of-text token, when the student has read the
    question and the whole rationale. In training, `losses` computes the same vectors with their
    gradients.

    Args:
        problems, rationales: each rationale and the problem that it answers.
        rows: sequences in memory at once.

    Returns:
        (len(rationales), hidden), in fp32 on the CPU.

    Raises:
        ValueError: the numbers of problems and rationales differ.
    """
    student.model.eval()
    texts = [
        student.encode(student.prompt(p), completion(r))
        for p, r in zip(problems, rationales, strict=True)]
    ids = [torch.tensor(prompt + answer) for prompt, answer in texts]
    found = [torch.empty(0, student.decoder.config.hidden_size)]
    for start in range(0, len(ids), rows):
        batch = ids[start : start + rows]
        # No mask: rows are padded on the right and attention is causal, so no token sees padding.
        padded = pad_sequence(batch, True, student.tokenizer.pad_token_id).to(student.device)
        cache = prefix_cache(student, len(batch))
        hidden = student.decoder(input_ids=padded, past_key_values=cache).last_hidden_state
        ends = torch.tensor([len(i) - 1 for i in batch], device=student.device)
        found.append(hidden[torch.arange(len(batch), device=student.device), ends].float().cpu())
    return torch.cat(found)


def triplet_cosines(student: Student, items: Sequence[TrainingItem]) -> tuple[Tensor, Tensor]:
    """cos(h, h⁺) and cos(h, h⁻) of each item in this student. L_cl depends on nothing else.

    Returns:
        Two tensors (items,), with values in [−1, 1].

    Raises:
        ValueError: an item has no triplet.
    """
    if not all(item.has_triplet for item in items):
        raise ValueError("an item has no triplet; keep those with item.has_triplet")
    three = [(i.problem, text or "") for i in items for text in (i.anchor, i.positive, i.negative)]
    # Many items share texts: compute each pair of problem and text once.
    place = {pair: number for number, pair in enumerate(dict.fromkeys(three))}
    states = rationale_states(student, [p for p, _ in place], [t for _, t in place])
    rows = torch.tensor([place[pair] for pair in three], dtype=torch.long)
    h, h_plus, h_minus = states[rows].view(len(items), 3, -1).unbind(1)  # each (items, hidden)
    return cosine_similarity(h, h_plus, -1), cosine_similarity(h, h_minus, -1)


def principal_axes(states: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates of hidden states in the two directions in which they differ most (PCA).

    Args:
        states: (n, hidden), n ≥ 2.

    Returns:
        Coordinates (n, 2), with fixed signs: the same states give the same picture. And each axis's
        share of the variance, (2,).
    """
    centred = states - states.mean(0)
    _, strength, directions = torch.linalg.svd(centred, full_matrices=False)
    axes = directions[:2]  # (2, hidden)
    axes = axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    return centred @ axes.T, strength[:2] ** 2 / (strength**2).sum()


def neighbours_agree(
    states: Tensor, questions: Sequence[str], labels: Sequence[object]
) -> tuple[float, float]:
    """How often the nearest state of *another* question has the same label.

    Only other questions count, because two rationales of one question share all its words.

    Args:
        states: (n, hidden), compared by cosine.
        questions, labels: the question and the label of each state.

    Returns:
        That share, and the share for a random state of another question.

    Raises:
        ValueError: all states belong to one question.
    """
    if len(set(questions)) < 2:
        raise ValueError("all states belong to one question: none has a neighbour on another")
    unit = torch.nn.functional.normalize(states, dim=1)
    other = torch.tensor([[a != b for b in questions] for a in questions])
    alike = torch.tensor([[a == b for b in labels] for a in labels])
    nearest = (unit @ unit.T).masked_fill(~other, -2).argmax(1, keepdim=True)
    by_chance = (alike & other).sum(1) / other.sum(1)
    return alike.gather(1, nearest).double().mean().item(), by_chance.double().mean().item()
