"""JSON as models write it: in prose or a fence, behind thoughts, with LaTeX's backslashes."""

import json
import re
from bisect import bisect
from typing import Any

# A backslash of LaTeX is no escape of JSON: "\(", "\frac", "\times". JSON would refuse the first
# and read a control character from the others. "\n", "\r" and "\t" stay escapes, unless they begin
# the whole name of a command; what follows them then is no word ("eq", "ight", "imes").
_COMMANDS = "|".join((
    r"n(?:e(?!\.)|eq|eg|u|ot|otin|abla|ewline|mid|leq|geq)",
    r"r(?:ight\w*|ho|m|angle|floor|ceil)",
    r"t(?:imes|ext\w*|o|heta|au|frac|herefore|op|riangle\w*|hickspace)"))
_BACKSLASH = re.compile(
    rf'\\(?P<escape>["\\/]|u[0-9a-fA-F]{{4}}|(?!(?:{_COMMANDS})(?![a-zA-Z]))[nrt])?')
_OBJECT = re.compile(r'\{\s*"')
_TRIES = 8  # a limit, so that hostile text takes no quadratic time
_ENDS = ("</think>", "</thinking>", "</thought>", "</reasoning>", "[/THINK]", "<|message|>",
         "<channel|>")


def find_object(text: str, field: str) -> dict[str, Any] | None:
    """The last JSON object in a text that has a field with a list, whatever is around it."""
    text = _BACKSLASH.sub(lambda found: found[0] if found["escape"] else r"\\", text)
    decoder = json.JSONDecoder(strict=False)  # line breaks inside strings are read too
    starts = [found.start() for found in _OBJECT.finditer(text)]
    end = len(text)
    for _ in range(_TRIES):
        if (end := text.rfind(f'"{field}"', 0, end)) < 0:
            break
        before = bisect(starts, end)
        for start in reversed(starts[max(0, before - _TRIES) : before]):
            try:
                found = decoder.raw_decode(text, start)[0]
            except (ValueError, RecursionError):
                continue
            if isinstance(found.get(field), list):
                return found
    return None


def without_thoughts(text: str) -> str:
    """The text without the thoughts that a model wrote out before it."""
    for name in ("think", "thinking", "thought", "reasoning"):
        kept, at = [], 0
        for start, end in elements(text, name):
            kept.append(text[at:start])
            at = end
        text = "".join([*kept, text[at:]])
    # The opening tag may be a part of the prompt: then all up to the closing one is thought.
    ends = [at + len(closing) for closing in _ENDS if (at := text.rfind(closing)) >= 0]
    rest = text[max(ends, default=0) :]
    return rest if rest.strip() else text


def elements(text: str, name: str) -> list[tuple[int, int]]:
    """Where each <name> begins and the next </name> ends."""
    # A regular expression would take quadratic time on tags that are never closed.
    found, end, closing = [], 0, f"</{name}>"
    while (start := text.find(f"<{name}>", end)) >= 0 and (at := text.find(closing, start)) >= 0:
        end = at + len(closing)
        found.append((start, end))
    return found
