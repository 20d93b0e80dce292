"""Read a tokeniser's chat template: what it puts around a question and a reply.

A template is code from outside. transformers renders it in jinja's sandbox; here it is also stopped
if it loops, and rendered around placeholders only, so it never sees a problem.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.prompts import answer_line
from l2r_lite.loop.records import LETTERS, Problem

SECONDS = 5.0  # to render a template; real ones take a thousandth of that
LONGEST = 100_000  # characters that a template may add to a chat
# In the template of an exported plain student (runs/export.py): it makes the plain prompt.
PLAIN_MARK = "{# l2r_lite: plain #}"
OPEN, CLOSE = "<think>", "</think>"
_QUESTION, _REPLY = "l2rquestion0", "l2rreply0"  # placeholders
_OURS = re.compile(r"\{# l2r_lite #\}.*?\{# /l2r_lite #\}\n?", re.S)  # what we add to a template

_ANSWER_IS = {"number": "the number", "yes-no": "yes or no", "choice": "the letter of the option"}

Turn = dict[str, str]


def chat_question(problem: Problem) -> str:
    """A problem as a user's message: the question, its options, and how to answer."""
    pairs = zip(LETTERS, problem.choices, strict=False)
    options = "".join(f"\n({letter}) {text}" for letter, text in pairs)
    return (
        f"{problem.question.strip()}{options}\n\nWork step by step in a short paragraph. End it "
        f'with "{answer_line("X", problem.kind)}", where X is {_ANSWER_IS[problem.kind]}.')


@dataclass(frozen=True)
class ChatForm:
    """How a chat looks to a model.

    Attributes:
        name, tokenizer: of the student.
        template: the tokeniser's template as it is used in exam, training and export.
        lead, closing: text between a prompt and its reply, and between the reply and its end.
        end_id: the token that ends a reply.
        opening: a thought that the prompt begins and the student continues; "" for none.
    """

    name: str
    tokenizer: Any = field(repr=False)
    template: str
    lead: str
    closing: str
    end_id: int
    opening: str

    def around(self, turns: Sequence[Turn] = ()) -> tuple[str, str]:
        """The text before a question that follows these turns, and the text after it."""
        asked = [*turns, {"role": "user", "content": _QUESTION}]
        text = _render(self.name, self.tokenizer, self.template, asked, reply_next=True)
        before, found, after = text.rpartition(_QUESTION)
        if not found:
            raise _unusable(self.name, "it does not repeat the user's message")
        return before, after


def read_form(name: str, tokenizer: Any, *, thoughts: bool = False) -> ChatForm:
    """The form of a tokeniser's chat template.

    Args:
        name: of the student, for messages.
        thoughts: leave thinking on where the template can switch it off.

    Raises:
        StudentError: there is no template, or it fails, loops, or leaves out what is said.
    """
    if not tokenizer.chat_template:
        raise StudentError(
            f'student "{name}": its tokenizer has no chat template; use --prompt plain.')
    template = _settled(tokenizer.get_chat_template(), thoughts)
    question: Turn = {"role": "user", "content": _QUESTION}
    reply: Turn = {"role": "assistant", "content": _REPLY}
    prompt = _render(name, tokenizer, template, [question], reply_next=True)
    if prompt.rstrip().endswith(OPEN) and not thoughts:
        template = _closed(template)
        prompt = _render(name, tokenizer, template, [question], reply_next=True)
    opening = prompt[prompt.rfind(OPEN) :] if prompt.rstrip().endswith(OPEN) else ""
    whole = _render(name, tokenizer, template, [question, reply], reply_next=False)
    asked, found, rest = whole.rpartition(_REPLY)
    if not found or _QUESTION not in asked:
        raise _unusable(name, "it does not repeat what user and assistant say")
    lead = asked[len(prompt) :] if asked.startswith(prompt) else ""
    if opening:
        lead = f"{CLOSE}\n\n"  # a lesson has no thoughts: it ends the one that the prompt begins
    end, end_id = _first_added(tokenizer, rest)
    if end_id is None:
        end_id = tokenizer.eos_token_id
    return ChatForm(name, tokenizer, template, lead, rest.partition(end)[0] if end else "",
                    end_id, opening)


def is_instruct(name: str, tokenizer: Any, ends: set[int]) -> bool:
    """Whether a model was tuned on its tokeniser's chat template.

    That is so if it stops, by its own settings, at the token that ends a reply there. Base models
    may ship a template too (Qwen2.5's do), but they stop only at the end of a text.

    Args:
        ends: tokens at which the model stops writing.
    """
    if not tokenizer.chat_template or PLAIN_MARK in tokenizer.get_chat_template():
        return False
    return read_form(name, tokenizer).end_id in ends


def last_added(tokenizer: Any, text: str) -> int:
    """Where the last added token in a text begins, e.g. <|im_start|>; 0 without any."""
    return max(0, *(text.rfind(token) for token, _ in _added(tokenizer)), 0)


def _first_added(tokenizer: Any, text: str) -> tuple[str, int | None]:
    """The first added token in a text, with its id; ("", None) without any."""
    spots = {text.find(token): (token, number) for token, number in _added(tokenizer)}
    spots.pop(-1, None)
    return spots[min(spots)] if spots else ("", None)


def _added(tokenizer: Any) -> list[tuple[str, int]]:
    """Added tokens, without mere spaces and line breaks; shorter ones first."""
    found = [pair for pair in tokenizer.added_tokens_encoder.items() if pair[0].strip()]
    return sorted(found, key=lambda pair: len(pair[0]))


def _settled(template: str, thoughts: bool) -> str:
    """The template with thinking switched on or off, and with the same date on every day."""
    template = _OURS.sub("", template)
    head = ""
    for switch in ("enable_thinking", "thinking"):
        if re.search(rf"\b{switch}\b", template):
            value = "true" if thoughts else "false"
            head += f"{{% if {switch} is not defined %}}{{% set {switch} = {value} %}}{{% endif %}}"
    if "strftime_now" in template:
        head += "{% macro strftime_now(format) %}1 January 2025{% endmacro %}"
    return f"{{# l2r_lite #}}{head}{{# /l2r_lite #}}\n{template}" if head else template


def _closed(template: str) -> str:
    """A template that begins every reply with a thought, with that thought ended at once."""
    end = f"{{% if add_generation_prompt %}}{{{{ '\\n{CLOSE}\\n\\n' }}}}{{% endif %}}"
    return template.removesuffix("\n") + f"{{# l2r_lite #}}{end}{{# /l2r_lite #}}"


def _render(
    name: str, tokenizer: Any, template: str, turns: Sequence[Turn], *, reply_next: bool
) -> str:
    try:
        text = _in_time(lambda: tokenizer.apply_chat_template(
            list(turns), chat_template=template, tokenize=False, add_generation_prompt=reply_next))
    except Exception as error:  # a template may raise anything
        told = " ".join(str(error).split())[:200]
        raise _unusable(name, told or type(error).__name__) from error
    if len(text) > LONGEST + sum(len(turn["content"]) for turn in turns):
        raise _unusable(name, f"it adds more than {LONGEST:,} characters")
    return text


def _in_time(work: Callable[[], str]) -> str:
    """The result of some Python code, which is stopped after SECONDS."""
    found: list[str | BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    if thread.is_alive():
        number = ctypes.c_ulong(thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(TimeoutError))
        raise TimeoutError(f"not done after {SECONDS:g} seconds")
    (result,) = found
    if isinstance(result, BaseException):
        raise result
    return result


def _unusable(name: str, reason: str) -> StudentError:
    return StudentError(
        f'student "{name}": its chat template cannot be used ({reason}). To ask the student '
        "without it: --prompt plain.")
