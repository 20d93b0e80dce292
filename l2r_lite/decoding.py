"""How a student writes: many rationales at once, each with its own random numbers; one that is done makes room for the next."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from l2r_lite.prompts import completion, has_answer_line
from l2r_lite.slots import Slots

if TYPE_CHECKING:
    from l2r_lite.student import Student

PREFILL_TOKENS = 8192  # of prompts that are read at once
REFILL_AT = 8  # read new prompts when one place in so many is free: reading few at a time is slow
MOVE_AT = 0.8  # share of places in use under which the others are closed, when no prompt waits: moving the cache costs

Noise = Callable[[int, int], Tensor]


@torch.inference_mode()
def write(
    student: Student, prompts: Sequence[Sequence[int]], *, samples: int = 1, temperature: float = 0.0, steps: int = 96,
    rows: int = 256, noise: Noise | None = None, progress: Callable[[int], object] | None = None,
) -> list[list[list[int]]]:  # fmt: skip
    """New token ids of each prompt's samples, without the end token, until the answer line or `steps` tokens.

    A prompt is computed once for all its samples. A rationale that has its answer line leaves, and its place is filled again.

    Args:
        rows: rationales written at once.
        noise: (prompt, sample) → (steps,) uniform numbers in [0, 1) that decide each sampled token.
        progress: called after every token with the number of prompts whose samples are all done since; may raise to stop.
    """
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    waiting = deque(order)
    desk = _Desk(student, min(rows, len(prompts) * samples), samples, len(prompts[order[-1]]) if order else 0, steps)
    written: list[list[list[int]]] = [[[] for _ in range(samples)] for _ in prompts]
    unfinished = {i: samples for i in order}
    while waiting or desk.in_use:
        if waiting and (len(desk.free) >= max(samples, desk.size // REFILL_AT) or not desk.in_use):
            desk.read([waiting.popleft() for _ in range(min(len(waiting), len(desk.free) // samples))], prompts, noise)
        elif not waiting and len(desk.in_use) <= MOVE_AT * desk.size:
            desk.close_free_places()
        tokens = desk.choose(temperature)
        gone = desk.done(tokens, written)
        for prompt, _ in gone:
            unfinished[prompt] -= 1
        if progress:
            progress(sum(not unfinished.pop(prompt) for prompt in {p for p, _ in gone} if not unfinished[prompt]))
        if desk.in_use:
            desk.step(tokens)
    return written


class _Desk:
    """The rationales being written: for each place, which one it is, how long, and the state its next token comes from."""

    def __init__(self, student: Student, rows: int, samples: int, longest: int, steps: int) -> None:
        self.student, self.samples, self.steps = student, samples, steps
        self.size = max(rows, samples)
        self.start = len(student.prefix)
        layers = student.model.config.get_text_config().num_hidden_layers
        self.slots = Slots(layers, self.size, self.start + longest + steps, student.device)
        self.in_use: dict[int, tuple[int, int]] = {}  # place → prompt and sample
        self.count = torch.zeros(self.size, dtype=torch.long, device=student.device)  # tokens written
        self.hidden = torch.zeros(self.size, student.head.in_features, dtype=student.head.weight.dtype, device=student.device)
        self.noise = torch.zeros(self.size, steps, device=student.device)

    @property
    def free(self) -> list[int]:
        return [place for place in range(self.size) if place not in self.in_use]

    def read(self, chosen: list[int], prompts: Sequence[Sequence[int]], noise: Noise | None) -> None:
        """Compute prompts, and give each sample of each a free place."""
        free = deque(self.free)
        while chosen:  # in the order of their length: the last is the longest
            count = max(1, min(len(chosen), PREFILL_TOKENS // len(prompts[chosen[-1]])))
            group, chosen = chosen[:count], chosen[count:]
            places = [free.popleft() for _ in range(count * self.samples)]
            at = torch.tensor(places, device=self.student.device)
            ids = [torch.tensor(prompts[i], device=self.student.device) for i in group]
            hidden, ends, cache = _read(self.student, ids)
            self.slots.fill(at, cache, self.samples)
            self.slots.ends[at] = ends.repeat_interleave(self.samples)
            self.hidden[at] = hidden.repeat_interleave(self.samples, 0)
            self.count[at] = 0
            rows = [(i, k) for i in group for k in range(self.samples)]
            self.in_use.update(zip(places, rows, strict=True))
            if noise:
                self.noise[at] = torch.stack([noise(i, k) for i, k in rows]).to(at.device)

    def choose(self, temperature: float) -> Tensor:
        uniform = self.noise.gather(1, self.count[:, None].clamp_max(self.steps - 1))[:, 0] if temperature > 0 else None
        return choose(self.student.head(self.hidden), temperature, uniform)

    def done(self, tokens: Tensor, written: list[list[list[int]]]) -> list[tuple[int, int]]:
        """Write the tokens down; the rationales that are finished by them leave their places."""
        looked_at, finished = [], []
        for place, token in enumerate(tokens.tolist()):
            if place not in self.in_use:
                continue
            prompt, sample = self.in_use[place]
            text = written[prompt][sample]
            if token in self.student.end_ids:
                finished.append(place)
                continue
            text.append(token)
            if len(text) == self.steps:
                finished.append(place)
            elif any(self.student.may_end_sentence[t] for t in text[-2:]):
                looked_at.append((place, text[-32:]))
        tails = self.student.tokenizer.batch_decode([tail for _, tail in looked_at]) if looked_at else []
        finished += [place for (place, _), tail in zip(looked_at, tails, strict=True) if has_answer_line(tail)]
        return [self.in_use.pop(place) for place in finished]

    def step(self, tokens: Tensor) -> None:
        """Read the new tokens. A free place reads along, without a meaning, and stays where it is."""
        using = torch.zeros(self.size, dtype=torch.long)
        using[list(self.in_use)] = 1
        using = using.to(tokens.device)
        self.slots.ends += using
        self.count += using
        self.slots.width = int(self.slots.ends[using.bool()].max()) + 1
        mask = self.slots.mask(self.student.dtype)
        out = self.student.decoder(input_ids=tokens[:, None], attention_mask=mask, position_ids=self.slots.ends[:, None],
                                   past_key_values=self.slots, use_cache=True)  # fmt: skip
        self.hidden = out.last_hidden_state[:, -1]

    def close_free_places(self) -> None:
        places = list(self.in_use)
        at = torch.tensor(places, device=self.student.device)
        self.slots.keep(at)
        self.count, self.hidden, self.noise = self.count[at], self.hidden[at], self.noise[at]
        self.in_use = dict(enumerate(self.in_use.values()))
        self.size = len(places)


def _read(student: Student, prompts: list[Tensor]) -> tuple[Tensor, Tensor, object]:
    """The last hidden state of each prompt, the column of its last token, and all keys and values.

    Padding lies on the right, where no real token looks: the student is causal.
    """
    ids = pad_sequence(prompts, True, student.tokenizer.pad_token_id)
    cache = student.prefix_cache(len(prompts))
    hidden = student.decoder(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state
    last = torch.tensor([len(p) - 1 for p in prompts], device=ids.device)
    return hidden[torch.arange(len(prompts), device=ids.device), last], last + len(student.prefix), cache


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
    hidden = student.decoder(input_ids=ids, past_key_values=student.prefix_cache(1)).last_hidden_state[0]
    before = hidden[len(asked) - 1 : -1]  # each written token
    vocabulary = student.tokenizer.batch_decode([[i] for i in range(student.head.out_features)])
    return TokenScores([vocabulary[i] for i in written], student.head(before).float().cpu(), vocabulary)


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
