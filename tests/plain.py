"""The textbook's way, written plainly: one pass for the LM loss and one each for anchor, positive and negative.

What the package computes in one pass must come out the same here; `make bench` says how much longer this takes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from l2r_lite.loop.exam import _grade
from l2r_lite.loop.losses import PROMPT_WEIGHT, triplet_loss
from l2r_lite.loop.prompts import completion, cut_after_answer, student_prompt
from l2r_lite.loop.records import Problem, Sample, TrainingItem
from l2r_lite.loop.student import Student


def plain_losses(student: Student, items: Sequence[TrainingItem], *, margin: float = 1.0) -> tuple[Tensor, Tensor]:
    """L_lm and L_cl, each text in full: demonstrations, prompt and rationale, with all logits and all hidden states."""
    ids, mask, weight = _batch(student, items, [item.anchor for item in items])
    logits = student.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    each = cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none")
    lm = (each * weight[:, 1:].flatten()).sum() / weight[:, 1:].sum()
    three = [i for i in items if i.has_triplet]
    if not three:
        return lm, lm * 0
    h, h_plus, h_minus = (_states(student, three, [str(getattr(i, name)) for i in three])
                          for name in ("anchor", "positive", "negative"))  # fmt: skip
    return lm, triplet_loss(h, h_plus, h_minus, margin=margin)


def plain_step(
    student: Student, items: Sequence[TrainingItem], *, margin: float, reflection_weight: float, at_once: int | None = None
) -> float:
    """Add the gradients of L_lm + λ·L_cl to the adapter; returns the loss.

    Args:
        at_once: items in memory at once; each part counts by its share of label weight and of triplets.
    """
    size, total = at_once or len(items), 0.0
    parts = [items[i : i + size] for i in range(0, len(items), size)]
    labels = [_batch(student, part, [i.anchor for i in part])[2].sum().item() for part in parts]
    triplets = [sum(i.has_triplet for i in part) for part in parts]
    for part, weight, count in zip(parts, labels, triplets, strict=True):
        lm, cl = plain_losses(student, part, margin=margin)
        loss = lm * weight / sum(labels) + reflection_weight * cl * count / max(sum(triplets), 1)
        loss.backward()
        total += loss.item()
    return total


def _states(student: Student, items: Sequence[TrainingItem], texts: Sequence[str]) -> Tensor:
    """The last layer's hidden state at each text's last token: (items, hidden)."""
    ids, mask, _ = _batch(student, items, texts)
    hidden = student.model(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False).hidden_states[-1]
    return hidden[torch.arange(len(ids)), mask.sum(1) - 1]


def _batch(student: Student, items: Sequence[TrainingItem], texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask and label weights, padded on the right: (items, longest) each."""
    rows, weights = [], []
    for item, text in zip(items, texts, strict=True):
        prompt, answer = student.encode(student_prompt(item.problem), completion(text))
        rows.append(torch.tensor([*student.prefix, *prompt, *answer], device=student.device))
        # A prompt's first token is predicted by nothing: before it stands no word, or another question.
        weight = [0.0] * (len(student.prefix) + 1) + [PROMPT_WEIGHT] * (len(prompt) - 1) + [1.0] * len(answer)
        weights.append(torch.tensor(weight, device=student.device))
    mask = pad_sequence([torch.ones_like(row) for row in rows], True)
    return pad_sequence(rows, True, student.tokenizer.pad_token_id), mask, pad_sequence(weights, True)


@torch.inference_mode()
def plain_exam(
    student: Student, problems: Sequence[Problem], *, samples: int = 1, batch: int = 4, temperature: float = 0.0,
    max_new_tokens: int = 96, by_length: bool = False,
) -> list[Sample]:  # fmt: skip
    """transformers' generate in batches of so many questions, in the order of the file or of their lengths."""
    student.model.eval()
    tokenizer, prompts = student.tokenizer, {p.id: student_prompt(p) for p in problems}
    order = sorted(problems, key=lambda p: len(prompts[p.id])) if by_length else list(problems)
    found = {}
    drawn = {"do_sample": True, "temperature": temperature, "top_k": 0, "num_return_sequences": samples}
    for start in range(0, len(order), batch):
        some = order[start : start + batch]
        rows = [[*student.prefix, *student.encode(prompts[p.id])[0]] for p in some]
        width = max(map(len, rows))
        ids = torch.tensor([[tokenizer.pad_token_id] * (width - len(r)) + r for r in rows], device=student.device)
        mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows], device=student.device)
        out = student.model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=max_new_tokens, use_cache=True,
            pad_token_id=tokenizer.pad_token_id, **(drawn if temperature > 0 else {"do_sample": False}),
        )  # fmt: skip
        texts = [cut_after_answer(t) for t in tokenizer.batch_decode(out[:, width:], skip_special_tokens=True)]
        for i, problem in enumerate(some):
            found[problem.id] = [_grade(problem, k, t) for k, t in enumerate(texts[i * samples : (i + 1) * samples])]
    return [sample for p in problems for sample in found[p.id]]
