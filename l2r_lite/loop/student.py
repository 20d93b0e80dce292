"""The student: a causal LM with a LoRA adapter, and what the loop needs from it.

students/loading.py makes one, with 4-bit weights, a fresh adapter and a fast writer.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from l2r_lite.loop.prompts import completion, cut_after_answer, student_prompt
from l2r_lite.loop.records import Problem

KEPT_TEXTS = 2**15  # tokenised texts to cache: every epoch uses the same prompts


class Student:
    """A base model, its LoRA adapter and its tokeniser.

    Attributes:
        model: the peft model; only LoRA weights (fp32) require gradients.
        decoder, head: the model up to its last hidden states, and the projection to logits.
        device, dtype, four_bit: where it computes, and in which number formats.
        prefix: token ids before every prompt: the few-shot demonstrations; empty at first.
        ask: turns a problem into a question; `prompt` makes what the student reads of it.
        learns_prompts, opening: whether L_lm counts prompt tokens; how a reply is begun already.
        end_id, end_ids: the token that ends a completion; all those at which it stops writing.
        context: the most tokens it can read at once; None if there is no limit.
        writer: the Writer of its rationales.
        fast_up_to: longest text, in tokens, for which the faster code of students/ is right.
    """

    def __init__(self, name: str, model: Any, tokenizer: Any, *, four_bit: bool,
                 dtype: torch.dtype) -> None:
        self.name, self.model, self.tokenizer = name, model, tokenizer
        self.four_bit, self.dtype = four_bit, dtype
        self.device = next(model.parameters()).device
        base = model.get_base_model()
        self.decoder: Any = base.base_model
        self.head: Any = base.get_output_embeddings()
        self.prefix: tuple[int, ...] = ()
        self.ask: Callable[[Problem], str] = student_prompt
        self.learns_prompts, self.opening = True, ""
        self.checkpointing = False
        self.writer: Any = None
        self.fast_up_to: float = math.inf
        config = model.config.get_text_config()
        self.context: int | None = getattr(config, "max_position_embeddings", None)
        self.end_id = tokenizer.eos_token_id
        ends = getattr(base.generation_config, "eos_token_id", None)
        self.end_ids = {self.end_id, *(ends if isinstance(ends, list) else [ends])} - {None}
        # Some tokenizers also append a token to every text: a prompt must not end in it.
        framed = tokenizer("x").input_ids
        first = framed[: framed.index(tokenizer("x", add_special_tokens=False).input_ids[0])]

        def tokens(text: str, begins: bool) -> tuple[int, ...]:
            ids = tuple(tokenizer(text, add_special_tokens=False).input_ids)
            return (*first, *ids) if begins else ids

        self._tokens = lru_cache(KEPT_TEXTS)(tokens)

    @property
    def trainable(self) -> dict[str, nn.Parameter]:
        """The LoRA weights by name."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    @property
    def footprint_mb(self) -> float:
        """Memory of weights and buffers in MB (10⁶ bytes), without the 4-bit blocks' scales."""
        return self.model.get_base_model().get_memory_footprint() / 1e6

    def prompt(self, problem: Problem) -> str:
        """The text that the student reads for a problem, in exam and training alike."""
        return self.ask(problem)

    def show(self, examples: Sequence[tuple[Problem, str]]) -> None:
        """Put worked examples (problem, rationale) before every prompt from now on."""
        shown = (f"{self.prompt(p)}{completion(text)}\n\n" for p, text in examples)
        self.demonstrate("".join(shown))

    def demonstrate(self, text: str) -> None:
        """Put a text before every prompt from now on; "" removes it."""
        self.prefix = self._tokens(text, True) if text else ()

    def encode(self, prompt: str, completion: str | None = None) -> tuple[list[int], list[int]]:
        """Token ids of a prompt (without the prefix), and of a completion with its end token."""
        # A token that begins every text (Llama's <s>) comes before the prefix, if there is one.
        ids = list(self._tokens(prompt, not self.prefix))
        if completion is None:
            return ids, []
        return ids, [*self._tokens(completion, False), self.end_id]

    def tidy(self, text: str) -> str:
        """A text as written → the rationale that is graded: up to its first answer line."""
        return cut_after_answer(self.opening + text)

    def generate(
        self, prompts: Sequence[str], *, samples: int = 1, temperature: float = 0.0,
        max_new_tokens: int = 96, seed: int = 0, rows: int = 256,
        progress: Callable[[int], object] | None = None,
    ) -> list[list[str]]:
        """Answer prompts; each text ends after its first answer line or at the end of text.

        Every (seed, prompt, sample) has its own random numbers, whatever else is in the batch.
        Raises StudentError if a prompt leaves no space for `max_new_tokens`.

        Args:
            samples, temperature, rows: texts per prompt; 0 is greedy; texts in memory at once.
            progress: called after every token with the number of prompts finished since; it may
                raise to stop the work.
        """
        return self.writer.generate(
            prompts, samples=samples, temperature=temperature, max_new_tokens=max_new_tokens,
            seed=seed, rows=rows, progress=progress)
