"""Instruct students: asked and trained in the form of their own tokeniser's chat template.

A problem becomes a user's message, a rationale the assistant's reply, and demonstrations earlier
turns. The template is read once, when a student is loaded (templates.py): a prompt is the text
before the question, the question, and the text after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from l2r_lite.data.hub import skip_dead_hub
from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.records import Problem
from l2r_lite.loop.student import Student
from l2r_lite.students.sources import locate, model_config
from l2r_lite.students.templates import (
    CLOSE,
    OPEN,
    ChatForm,
    Turn,
    chat_question,
    is_instruct,
    last_added,
    read_form,
)

if TYPE_CHECKING:
    import torch

def make_student(
    name: str, model: Any, tokenizer: Any, prompt: str, *, thoughts: bool, **formats: Any
) -> Student:
    """A student that is asked as `prompt` says: "plain", "chat", or "auto" (`is_instruct`)."""
    plain = Student(name, model, tokenizer, **formats)
    if prompt == "auto":
        prompt = "chat" if is_instruct(name, tokenizer, plain.end_ids) else "plain"
    if prompt == "plain":
        return plain
    form = read_form(name, tokenizer, thoughts=thoughts)
    return ChatStudent(form, model, thoughts=thoughts, **formats)


def load_tokenizer(name: str, prompt: str = "plain", *, thoughts: bool = False) -> Any:
    """A student's tokeniser, without the student; with prompt = "chat" its template is settled.

    Raises:
        StudentError: it cannot be read.
    """
    from transformers import AutoTokenizer

    with _readable(name) as where:
        tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if prompt == "chat":
        tokenizer.chat_template = read_form(name, tokenizer, thoughts=thoughts).template
    return tokenizer


def auto_prompt(name: str) -> str:
    """What prompt = "auto" means for a student, from its tokeniser and settings: no weights.

    Raises:
        StudentError: they cannot be read.
    """
    from transformers import GenerationConfig

    tokenizer = load_tokenizer(name)
    with _readable(name) as where:
        try:
            generation: Any = GenerationConfig.from_pretrained(where)
        except OSError:  # without that file, the end tokens are in the model's config
            generation = model_config(where)
        ends = generation.eos_token_id
    every = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
    return "chat" if is_instruct(name, tokenizer, every) else "plain"


@contextmanager
def _readable(name: str) -> Iterator[str]:
    where = locate(name)
    with skip_dead_hub(where):
        try:
            yield where
        except Exception as error:  # a damaged folder can raise anything
            told = " ".join(str(error).split())[:200] or type(error).__name__
            raise StudentError(
                f'student "{name}": its tokenizer or settings cannot be read ({told}). Fetch the '
                "model again, or name another student.") from error


class ChatStudent(Student):
    """A student that is asked in chats. It learns replies only, each up to its end of turn.

    Attributes:
        form: what the chat template puts around questions and replies.
        thoughts: whether <think> blocks stay in its rationales; else they are cut.
    """

    def __init__(self, form: ChatForm, model: Any, *, four_bit: bool, dtype: torch.dtype,
                 thoughts: bool) -> None:
        super().__init__(form.name, model, form.tokenizer, four_bit=four_bit, dtype=dtype)
        self.form, self.thoughts = form, thoughts
        self.tokenizer.chat_template = form.template
        self.learns_prompts, self.opening = False, form.opening
        self.end_id = form.end_id
        self.end_ids.add(form.end_id)
        added = self.tokenizer.added_tokens_decoder.values()
        special = [re.escape(t.content) for t in added if t.special and t.content.strip()]
        self._special = re.compile("|".join(sorted(special, key=len, reverse=True)) or "(?!)")
        self.show(())

    def question(self, problem: Problem) -> str:
        """The user's message for a problem; a lab's own prompt is sent as it is."""
        return chat_question(problem) if self.ask is student_prompt else self.ask(problem)

    def prompt(self, problem: Problem) -> str:
        """The chat up to the reply to a problem, with all earlier turns."""
        return self._before + self._words(self.question(problem)) + self._after

    def show(self, examples: Sequence[tuple[Problem, str]]) -> None:
        """Put worked examples before every question from now on, as earlier turns."""
        turns: list[Turn] = []
        for problem, text in examples:
            turns.append({"role": "user", "content": self._words(self.question(problem))})
            turns.append({"role": "assistant", "content": self._words(_flat(text))})
        self._before, self._after = self.form.around(turns)
        # Up to an added token, the tokens are the same whatever follows.
        added = self.tokenizer.added_tokens_decoder
        ids = self._tokens(self._before, False) if turns else ()
        ends = [i + 1 for i, token in enumerate(ids) if token in added]
        self.prefix = ids[: max(ends, default=0)]
        self._tail = self._after[last_added(self.tokenizer, self._after) :]

    def demonstrate(self, text: str) -> None:
        """Remove the examples. New ones are turns of the chat: see `show`."""
        if text:
            raise ValueError("a chat's demonstrations are turns: call show(examples)")
        self.show(())

    def encode(self, prompt: str, completion: str | None = None) -> tuple[list[int], list[int]]:
        """Token ids of a prompt (without the prefix), and of a reply with its end of turn."""
        ids, start = self._tokens(prompt, False), len(self.prefix)
        ids = ids[start:] if ids[:start] == self.prefix else ids
        if completion is None:
            return list(ids), []
        text = self._words(_flat(completion))
        if self.opening and text.startswith(OPEN):
            text = text.removeprefix(OPEN).lstrip()
        elif CLOSE not in text:
            text = self.form.lead + text
        return list(ids), [*self._reply(text + self.form.closing), self.end_id]

    def tidy(self, text: str) -> str:
        """A reply as written → the rationale that is graded; thoughts are cut unless they stay."""
        text = super().tidy(text)
        if not self.thoughts:
            text = text.rpartition(CLOSE)[2].partition(OPEN)[0].strip()
        return text

    def _reply(self, text: str) -> tuple[int, ...]:
        """Token ids as they are after a prompt: some tokenisers put a space before a text."""
        before, together = self._tokens(self._tail, False), self._tokens(self._tail + text, False)
        follows = together[: len(before)] == before
        return together[len(before) :] if follows else self._tokens(text, False)

    def _words(self, text: str) -> str:
        """The text with special tokens taken apart: only the template begins and ends turns."""
        return self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)


def _flat(rationale: str) -> str:
    """A rationale as one paragraph, as every student writes and learns it."""
    return " ".join(rationale.split())
