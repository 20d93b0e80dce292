"""How a student writes: many rows at once, each with its own random numbers, rows that are done leave the batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from l2r_lite.nf4 import full_weight
from l2r_lite.prompts import completion, has_answer_line

if TYPE_CHECKING:
    from l2r_lite.student import Student

FOLD_AT_MOST = 2e9  # bytes; larger students keep to their 4 bits
CHECK_EVERY = 8  # tokens between two looks for an answer line


@torch.inference_mode()
def write(
    student: Student, prompts: Sequence[Sequence[int]], samples: int, temperature: float, steps: int, noise: Tensor | None
) -> list[list[int]]:
    """New token ids of each row (prompts × samples), without the end token, until the answer line or `steps` tokens.

    Args:
        noise: (rows, steps), uniform numbers in [0, 1) that decide each sampled token; None for greedy answers.
    """
    from transformers import DynamicCache

    ids, mask = _pad_left(prompts, student.tokenizer.pad_token_id)
    ids, mask = ids.to(student.device), mask.to(student.device)
    positions = (mask.cumsum(1) - 1).clamp_min(0)
    cache = DynamicCache(config=student.model.config)
    hidden = _last_hidden(student, ids, mask, positions, cache)
    cache.batch_repeat_interleave(samples)  # the prompt is computed once for all its samples
    hidden, mask = hidden.repeat_interleave(samples, 0), mask.repeat_interleave(samples, 0)
    position = positions[:, -1:].repeat_interleave(samples, 0)
    alive = torch.arange(len(prompts) * samples, device=student.device)  # which row each line of the batch is
    written: list[list[int]] = [[] for _ in range(len(alive))]
    finished: set[int] = set()
    for step in range(steps):
        token = choose(student.head(hidden), temperature, None if noise is None else noise[alive, step])
        for row, value in zip(alive.tolist(), token.tolist(), strict=True):
            if row not in finished:
                if value in student.end_ids:
                    finished.add(row)
                else:
                    written[row].append(value)
        going = [r for r in alive.tolist() if r not in finished]
        if step % CHECK_EVERY == CHECK_EVERY - 1 and going:
            tails = student.tokenizer.batch_decode([written[r][-32:] for r in going])
            finished.update(r for r, tail in zip(going, tails, strict=True) if has_answer_line(tail))
        if len(finished) == len(written):
            break
        keep = [line for line, row in enumerate(alive.tolist()) if row not in finished]
        if len(keep) <= 0.8 * len(alive):  # moving the cache costs: only when it pays
            index = torch.tensor(keep, device=student.device)
            cache.batch_select_indices(index)
            alive, mask, position, token = alive[index], mask[index], position[index], token[index]
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
        position = position + 1
        hidden = _last_hidden(student, token[:, None], mask, position, cache)
    return written


@dataclass(frozen=True)
class TokenScores:
    """The scores that a student gives to every next token, at each place of a text that it could write.

    Attributes:
        tokens: the text's tokens, the end of text last.
        logits: (tokens, vocabulary); row i are the scores from which token i is chosen, after the tokens before it.
        vocabulary: every token as text, with the space that it may begin with.
    """

    tokens: list[str]
    logits: Tensor
    vocabulary: list[str]

    def likeliest(self, place: int, temperature: float = 1.0, count: int = 6) -> list[tuple[str, float]]:
        """The likeliest tokens at a place, and their probabilities."""
        chances, ids = probabilities(self.logits[place], temperature).topk(count)
        return [(self.vocabulary[i], chance) for i, chance in zip(ids.tolist(), chances.tolist(), strict=True)]


@torch.inference_mode()
def score_tokens(student: Student, prompt: str, rationale: str = "") -> TokenScores:
    """Look at the scores behind a rationale, so that one sees where the student could have gone on differently.

    Args:
        rationale: what follows the prompt; "" looks at the first token only.
    """
    student.model.eval()
    asked, written = student.encode(prompt, completion(rationale) if rationale else "")
    ids = torch.tensor([asked + written], device=student.device)
    hidden = student.decoder(input_ids=ids).last_hidden_state[0, len(asked) - 1 : -1]  # before each written token
    vocabulary = student.tokenizer.batch_decode([[i] for i in range(student.head.out_features)])
    return TokenScores([vocabulary[i] for i in written], student.head(hidden).float().cpu(), vocabulary)


def _pad_left(prompts: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Ids and mask, both (prompts, longest): padded on the left, so that all rows end together."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), pad)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids, mask


def _last_hidden(student: Student, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> Tensor:
    out = student.decoder(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True)
    return out.last_hidden_state[:, -1]  # (rows, hidden)


@contextmanager
def folded(model: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Within it each layer computes with one matrix, its dequantised weight + its adapter's update (α/r)·BA.

    The answers are the same up to rounding, in about two thirds of the time (SmolLM2, 96 rows of 33 tokens, 2 cores: 30 → 21 s;
    2026-11-22): an exam runs each layer hundreds of times, and else would dequantise and take the adapter's detour every
    time. Students that compute in half precision, where W + BA would round the update away, and those that would not fit
    in `FOLD_AT_MOST`, are left as they are.
    """
    from peft.tuners.lora import LoraLayer

    layers = [m for m in model.modules() if isinstance(m, LoraLayer) and isinstance(m.get_base_layer(), nn.Linear)]
    size = sum(layer.in_features * layer.out_features for layer in layers) * dtype.itemsize
    if dtype.itemsize < 4 or size > FOLD_AT_MOST:
        layers = []
    try:
        for layer in layers:
            base: Any = layer.get_base_layer()
            weight = full_weight(base) + sum(layer.get_delta_weight(name) for name in layer.active_adapters)  # (out, in)
            layer.forward = _Folded(weight.to(dtype), base.bias)
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)  # the class's own forward again


class _Folded:
    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight, None if bias is None else bias.to(weight)

    def __call__(self, x: Tensor, *_: Any, **__: Any) -> Tensor:
        return linear(x, self.weight, self.bias)


def choose(logits: Tensor, temperature: float, uniform: Tensor | None) -> Tensor:
    """Next token of each row: the likeliest, or the one whose slice of the cumulative distribution holds `uniform`."""
    if temperature <= 0 or uniform is None:
        return logits.argmax(-1)
    cumulative = probabilities(logits, temperature).cumsum(-1)  # (rows, vocabulary)
    target = uniform[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target).squeeze(1).clamp_max(logits.shape[-1] - 1)


def probabilities(logits: Tensor, temperature: float) -> Tensor:
    """What a token is drawn from: softmax(z / T) over the last dimension; T = 0 leaves only the likeliest (greedy)."""
    if temperature <= 0:
        return nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    return torch.softmax(logits.float() / temperature, -1)


def uniform_numbers(key: str, count: int) -> Tensor:
    """Random numbers in [0, 1) that the key alone decides."""
    digest = hashlib.blake2b(key.encode(), digest_size=7).digest()
    return torch.rand(count, generator=torch.Generator().manual_seed(int.from_bytes(digest, "big")))
