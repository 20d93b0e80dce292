"""What is told to a user: one sentence, and no character in it that a terminal would obey."""

from __future__ import annotations

import re

# Control characters (ESC starts a command, \x9b is one), marks that turn the direction of text, and halves of characters.
# Tab and line feed may stay.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object) -> str:
    """Text from outside (data, a model, a teacher, a file name) made harmless for a terminal: ESC is shown as \\x1b."""
    return _UNPRINTABLE.sub(lambda m: m[0].encode("unicode_escape").decode("ascii"), str(text))


class UserError(ValueError):
    """What a user can put right. Its message names the thing, the value and the remedy, and may quote anybody's text."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))
