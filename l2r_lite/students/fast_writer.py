"""The fast writer: many rationales at once; when one is done, its slot goes to the next.

A prompt is computed once for all its samples. The texts are those of loop/writing.py, which takes
over where a text could be longer than the model's attention window (trial.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from l2r_lite.loop.student import Student
from l2r_lite.loop.writing import PlainWriter, answered, choose, uniform_numbers
from l2r_lite.students.context import check_room
from l2r_lite.students.folding import folded
from l2r_lite.students.memory import Allowance
from l2r_lite.students.prefix import prefix_cache
from l2r_lite.students.slots import Slots

PREFILL_TOKENS = 8192  # prompt tokens that are read at once
REFILL_AT = 8  # read prompts once 1 slot in 8 is free: reading few at a time is slow
SHRINK_AT = 0.8  # drop free slots below this share of busy ones: moving the cache takes time

Noise = Callable[[int, int], Tensor]


class FastWriter:
    """The Writer of a loaded student.

    Attributes:
        allowance: the rows that fit, if memory has run out.
    """

    def __init__(self, student: Student) -> None:
        self.student = student
        self.allowance = Allowance("rationales written at once", "--exam-rows")

    def generate(
        self, prompts: Sequence[str], *, samples: int = 1, temperature: float = 0.0,
        max_new_tokens: int = 96, seed: int = 0, rows: int = 256,
        progress: Callable[[int], object] | None = None,
    ) -> list[list[str]]:
        """See `Student.generate`. If memory runs out, it begins again with half the rows."""
        told = 0

        def tell(finished: int) -> None:
            nonlocal told
            told += finished
            if progress:
                progress(finished)

        def work(fitting: int) -> list[list[str]]:
            return self._generate(
                prompts, samples, temperature, max_new_tokens, seed, fitting, tell)

        return self.allowance.use(rows, samples, work, undo=lambda: tell(-told))

    def _generate(
        self, prompts: Sequence[str], samples: int, temperature: float, max_new_tokens: int,
        seed: int, rows: int, progress: Callable[[int], object],
    ) -> list[list[str]]:
        student = self.student
        names = {f"“{' '.join(prompt.split())[:60]}…”": prompt for prompt in prompts}
        check_room(student, names, max_new_tokens)
        longest = max((len(student.encode(prompt)[0]) for prompt in prompts), default=0)
        if len(student.prefix) + longest + max_new_tokens > student.fast_up_to:
            return PlainWriter(student).generate(
                prompts, samples=samples, temperature=temperature, max_new_tokens=max_new_tokens,
                seed=seed, rows=rows, progress=progress)
        student.model.eval()

        def noise(prompt: int, sample: int) -> Tensor:
            return uniform_numbers(f"{seed}/{sample}/{prompts[prompt]}", max_new_tokens)

        with folded(student.model, student.dtype):
            written = self.write(
                [student.encode(prompt)[0] for prompt in prompts], samples=samples,
                temperature=temperature, steps=max_new_tokens, rows=rows, noise=noise,
                progress=progress)
        every = [ids for texts in written for ids in texts]
        texts = student.tokenizer.batch_decode(every, skip_special_tokens=True)
        texts = [student.tidy(text) for text in texts]
        return [texts[i : i + samples] for i in range(0, len(texts), samples)]

    @torch.inference_mode()
    def write(
        self, prompts: Sequence[Sequence[int]], *, samples: int = 1, temperature: float = 0.0,
        steps: int = 96, rows: int = 256, noise: Noise | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> list[list[list[int]]]:
        """New token ids of each prompt's samples, until the answer line or `steps` tokens.

        Args:
            rows: rationales written at once.
            noise: (prompt, sample) → (steps,) uniform numbers in [0, 1) that draw each token.
            progress: called after every token with the number of prompts finished since.
        """
        if not prompts:
            return []
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        waiting = deque(order)
        longest = len(prompts[order[-1]])
        board = Board(self, min(rows, len(prompts) * samples), samples, longest, steps)
        written: list[list[list[int]]] = [[[] for _ in range(samples)] for _ in prompts]
        unfinished = dict.fromkeys(order, samples)
        while waiting or board.busy:
            enough_free = len(board.free) >= max(samples, board.size // REFILL_AT)
            if waiting and (enough_free or not board.busy):
                count = min(len(waiting), len(board.free) // samples)
                board.read([waiting.popleft() for _ in range(count)], prompts, noise)
            elif not waiting and len(board.busy) <= SHRINK_AT * board.size:
                board.drop_free_slots()
            tokens = board.choose(temperature)
            done = board.note(tokens, written)
            for prompt, _ in done:
                unfinished[prompt] -= 1
            if progress:
                progress(len({prompt for prompt, _ in done if not unfinished[prompt]}))
            if board.busy:
                board.step(tokens)
        return written

    @cached_property
    def may_end_sentence(self) -> list[bool]:
        """Per token: whether it has a full stop or a line break, so it may end a sentence."""
        ids = [[token] for token in range(self.student.head.out_features)]
        texts = self.student.tokenizer.batch_decode(ids)
        return ["." in text or "\n" in text for text in texts]


class Board:
    """The rationales being written, one per slot of the cache.

    Attributes:
        busy: slot → its (prompt, sample).
        count: (size,) tokens written so far.
        hidden: (size, hidden) the state that the next token is chosen from.
        noise: (size, steps) each rationale's random numbers.
    """

    def __init__(self, writer: FastWriter, rows: int, samples: int, longest: int,
                 steps: int) -> None:
        student = writer.student
        self.writer, self.student, self.samples, self.steps = writer, student, samples, steps
        self.size = max(rows, samples)
        layers = student.model.config.get_text_config().num_hidden_layers
        columns = len(student.prefix) + longest + steps
        self.slots = Slots(layers, self.size, columns, student.device)
        self.busy: dict[int, tuple[int, int]] = {}
        width, dtype = student.head.in_features, student.head.weight.dtype
        self.count = torch.zeros(self.size, dtype=torch.long, device=student.device)
        self.hidden = torch.zeros(self.size, width, dtype=dtype, device=student.device)
        self.noise = torch.zeros(self.size, steps, device=student.device)

    @property
    def free(self) -> list[int]:
        return [slot for slot in range(self.size) if slot not in self.busy]

    def read(self, chosen: list[int], prompts: Sequence[Sequence[int]],
             noise: Noise | None) -> None:
        """Compute prompts, sorted by length, and give each sample a slot."""
        free = deque(self.free)
        while chosen:
            count = max(1, min(len(chosen), PREFILL_TOKENS // len(prompts[chosen[-1]])))
            group, chosen = chosen[:count], chosen[count:]
            slots = [free.popleft() for _ in range(count * self.samples)]
            at = torch.tensor(slots, device=self.student.device)
            ids = [torch.tensor(prompts[i], device=self.student.device) for i in group]
            hidden, ends, cache = _read(self.student, ids)
            self.slots.fill(at, cache, self.samples)
            self.slots.ends[at] = ends.repeat_interleave(self.samples)
            self.hidden[at] = hidden.repeat_interleave(self.samples, 0)
            self.count[at] = 0
            rows = [(i, k) for i in group for k in range(self.samples)]
            self.busy.update(zip(slots, rows, strict=True))
            if noise:
                drawn = torch.stack([noise(prompt, sample) for prompt, sample in rows])
                self.noise[at] = drawn.to(at.device)

    def choose(self, temperature: float) -> Tensor:
        """The next token of every slot, (size,)."""
        uniform = None
        if temperature > 0:
            step = self.count[:, None].clamp_max(self.steps - 1)
            uniform = self.noise.gather(1, step)[:, 0]
        return choose(self.student.head(self.hidden), temperature, uniform)

    def note(self, tokens: Tensor, written: list[list[list[int]]]) -> list[tuple[int, int]]:
        """Store the new tokens; free the slots of finished rationales, and return those."""
        finished: list[int] = []
        looked_at: dict[int, list[int]] = {}
        for slot, token in enumerate(tokens.tolist()):
            if slot not in self.busy:
                continue
            prompt, sample = self.busy[slot]
            text = written[prompt][sample]
            if token in self.student.end_ids:
                finished.append(slot)
                continue
            text.append(token)
            if len(text) == self.steps:
                finished.append(slot)
            elif any(self.writer.may_end_sentence[t] for t in text[-2:]):
                looked_at[slot] = text
        if looked_at:
            ended = answered(self.student, list(looked_at.values()))
            finished += [slot for slot, end in zip(looked_at, ended, strict=True) if end]
        return [self.busy.pop(slot) for slot in finished]

    def step(self, tokens: Tensor) -> None:
        """Feed the new tokens. Free slots are computed too; their output is ignored."""
        busy = torch.zeros(self.size, dtype=torch.long)
        busy[list(self.busy)] = 1
        busy = busy.to(tokens.device)
        self.slots.ends += busy
        self.count += busy
        self.slots.width = int(self.slots.ends[busy.bool()].max()) + 1
        out = self.student.decoder(
            input_ids=tokens[:, None], attention_mask=self.slots.mask(self.student.dtype),
            position_ids=self.slots.ends[:, None], past_key_values=self.slots, use_cache=True)
        self.hidden = out.last_hidden_state[:, -1]

    def drop_free_slots(self) -> None:
        """Shrink to the busy slots."""
        slots = list(self.busy)
        at = torch.tensor(slots, device=self.student.device)
        self.slots.keep(at)
        self.count, self.hidden, self.noise = self.count[at], self.hidden[at], self.noise[at]
        self.busy = dict(enumerate(self.busy.values()))
        self.size = len(slots)


def _read(student: Student, prompts: list[Tensor]) -> tuple[Tensor, Tensor, Any]:
    """The last hidden state of each prompt, the column of its last token, and the cache.

    Padding is on the right, where no real token attends to it: the student is causal.
    """
    ids = pad_sequence(prompts, True, student.tokenizer.pad_token_id)
    cache = prefix_cache(student, len(prompts))
    hidden = student.decoder(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state
    last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=ids.device)
    rows = torch.arange(len(prompts), device=ids.device)
    return hidden[rows, last], last + len(student.prefix), cache
