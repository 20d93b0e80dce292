"""What labs ask of a student that the loop does not: new adapters, scores, begun rationales."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from l2r_lite.loop.prompts import completion
from l2r_lite.loop.records import Problem
from l2r_lite.loop.student import Student
from l2r_lite.students.loading import quiet
from l2r_lite.students.prefix import prefix_cache


def fresh_adapter(student: Student, seed: int = 0) -> None:
    """Give the student a new, untrained adapter; the base model stays in memory.

    The adapter is the one that `load_student(seed=seed)` makes, so each arm of a comparison can
    start alike without loading the base again.
    """
    model = student.model
    name = model.active_adapter
    config = model.peft_config[name]
    torch.manual_seed(seed)
    with quiet():
        model.delete_adapter(name)
        model.add_adapter(name, config)
        model.set_adapter(name)


@torch.inference_mode()
def log_probabilities(
    student: Student, problems: Sequence[Problem], texts: Sequence[str], *, ended: bool = True,
    rows: int = 64,
) -> Tensor:
    """log P(text | prompt) in nats, summed over the text's tokens and its end token.

    Sums favour short texts; divide by `count_tokens` to compare texts of different lengths.

    Args:
        problems, texts: each text and the problem that it answers.
        ended: whether the end token counts; False scores the beginning of a rationale.
        rows: sequences in memory at once.

    Returns:
        (texts,), at most 0, in fp32 on the CPU.

    Raises:
        ValueError: the numbers of problems and texts differ.
    """
    student.model.eval()
    pairs = [
        student.encode(student.prompt(problem), completion(text))
        for problem, text in zip(problems, texts, strict=True)]
    if not ended:
        pairs = [(prompt, text[:-1]) for prompt, text in pairs]
    found = torch.zeros(len(pairs))
    for start in range(0, len(pairs), rows):
        batch = pairs[start : start + rows]
        ids = [torch.tensor(prompt + text) for prompt, text in batch]
        # No mask: padding is on the right, where no token of a causal model attends to it.
        padded = pad_sequence(ids, True, student.tokenizer.pad_token_id).to(student.device)
        cache = prefix_cache(student, len(batch))
        hidden = student.decoder(input_ids=padded, past_key_values=cache).last_hidden_state
        for i, (prompt, text) in enumerate(batch):
            before = hidden[i, len(prompt) - 1 : len(prompt) + len(text) - 1]  # (tokens, hidden)
            scores = student.head(before).float().log_softmax(-1)  # (tokens, vocabulary)
            targets = torch.tensor(text, device=scores.device)
            found[start + i] = scores.gather(1, targets[:, None]).sum().cpu()
    return found


def count_tokens(student: Student, texts: Sequence[str]) -> list[int]:
    """Tokens that the student writes for each rationale, the end token included."""
    return [len(student.encode("", completion(text))[1]) for text in texts]


def continue_rationales(
    student: Student, problems: Sequence[Problem], beginnings: Sequence[str], *,
    temperature: float = 0.0, seed: int = 0, max_new_tokens: int = 56,
) -> list[str]:
    """Let the student finish rationales that are begun; "" begins with its own first word.

    Returns:
        Whole rationales, beginnings included.

    Raises:
        ValueError: the numbers of problems and beginnings differ.
    """
    prompts = [
        student.prompt(problem) + (completion(begun) if begun.strip() else "")
        for problem, begun in zip(problems, beginnings, strict=True)]
    written = student.generate(
        prompts, temperature=temperature, seed=seed, max_new_tokens=max_new_tokens)
    return [
        f"{begun.strip()} {texts[0]}".strip()
        for begun, texts in zip(beginnings, written, strict=True)]
