"""How a student writes, in the plain form: transformers' `generate`, batch by batch.

A run uses students/fast_writer.py, which writes the same texts faster.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LogitsProcessor, StoppingCriteria

from l2r_lite.loop.prompts import has_answer_line
from l2r_lite.loop.student import Student

TAIL = 32  # tokens at the end of an unfinished text that are searched for the answer line


class PlainWriter:
    """Writes a student's rationales; each batch waits for its longest one."""

    def __init__(self, student: Student) -> None:
        self.student = student

    def generate(
        self, prompts: Sequence[str], *, samples: int = 1, temperature: float = 0.0,
        max_new_tokens: int = 96, seed: int = 0, rows: int = 256,
        progress: Callable[[int], object] | None = None,
    ) -> list[list[str]]:
        """See `Student.generate`."""
        self.student.model.eval()
        written: list[list[str]] = []
        size = max(1, rows // samples)
        for start in range(0, len(prompts), size):
            batch = prompts[start : start + size]
            repeated = [prompt for prompt in batch for _ in range(samples)]
            keys = [f"{seed}/{i % samples}/{prompt}" for i, prompt in enumerate(repeated)]
            noise = torch.stack([uniform_numbers(key, max_new_tokens) for key in keys])
            texts = self._write(repeated, noise, temperature)
            written += [texts[i : i + samples] for i in range(0, len(texts), samples)]
            if progress:
                progress(len(batch))
        return written

    @torch.inference_mode()
    def _write(self, prompts: list[str], noise: Tensor, temperature: float) -> list[str]:
        student, tokenizer = self.student, self.student.tokenizer
        ids = [[*student.prefix, *student.encode(prompt)[0]] for prompt in prompts]
        width = max(map(len, ids))
        # Pad on the left, so that all rows continue at the same column.
        padded = [[tokenizer.pad_token_id] * (width - len(row)) + row for row in ids]
        mask = [[0] * (width - len(row)) + [1] * len(row) for row in ids]
        out = student.model.generate(
            input_ids=torch.tensor(padded, device=student.device),
            attention_mask=torch.tensor(mask, device=student.device),
            # `DrawnToken` leaves one token to choose from.
            logits_processor=[DrawnToken(noise.to(student.device), width, temperature)],
            stopping_criteria=[AnswerLine(student, width)], eos_token_id=sorted(student.end_ids),
            pad_token_id=tokenizer.pad_token_id, use_cache=True, do_sample=False,
            max_new_tokens=noise.shape[1])
        texts = tokenizer.batch_decode(out[:, width:], skip_special_tokens=True)
        return list(map(student.tidy, texts))


class DrawnToken(LogitsProcessor):
    """Allows only the token that each row's random number draws."""

    def __init__(self, noise: Tensor, width: int, temperature: float) -> None:
        self.noise, self.width, self.temperature = noise, width, temperature

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        uniform = self.noise[:, input_ids.shape[1] - self.width]
        drawn = choose(scores, self.temperature, uniform)
        return torch.full_like(scores, -torch.inf).scatter(1, drawn[:, None], 0.0)


class AnswerLine(StoppingCriteria):
    """Ends a row once its answer line is complete."""

    def __init__(self, student: Student, width: int) -> None:
        self.student, self.width = student, width

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        ended = answered(self.student, input_ids[:, self.width :].tolist())
        return torch.tensor(ended, device=input_ids.device)


def answered(student: Student, texts: Sequence[Sequence[int]]) -> list[bool]:
    """Whether each unfinished text has an answer line in its last tokens, and not in a thought."""
    tails = student.tokenizer.batch_decode([text[-TAIL:] for text in texts])
    return [has_answer_line(tail)
            and has_answer_line(student.opening + student.tokenizer.decode(text))
            for text, tail in zip(texts, tails, strict=True)]


def choose(logits: Tensor, temperature: float, uniform: Tensor | None) -> Tensor:
    """Next token of each row: the likeliest, or the one whose slice of [0, 1) contains `uniform`.

    logits: (rows, vocabulary); uniform: (rows,) in [0, 1).
    """
    if temperature <= 0 or uniform is None:
        return logits.argmax(-1)
    cumulative = probabilities(logits, temperature).cumsum(-1)
    target = uniform[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target).squeeze(1).clamp_max(logits.shape[-1] - 1)


def probabilities(logits: Tensor, temperature: float) -> Tensor:
    """softmax(z / T) over the last dimension; T = 0 leaves only the likeliest token."""
    if temperature <= 0:
        return nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    return torch.softmax(logits.float() / temperature, -1)


def uniform_numbers(key: str, count: int) -> Tensor:
    """(count,) random numbers in [0, 1), determined by the key alone."""
    digest = hashlib.blake2b(key.encode(), digest_size=7).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big"))
    return torch.rand(count, generator=generator)
