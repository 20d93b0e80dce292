"""What a user is told: one sentence, without a character that a terminal would obey."""

import re

# Control characters (ESC and \x9b start terminal commands), marks that change the reading
# direction, and halves of surrogate pairs. Tab and line feed may stay.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object) -> str:
    """Make text from outside (data, a model, a file name) harmless: ESC is shown as \\x1b."""
    return _UNPRINTABLE.sub(lambda m: m[0].encode("unicode_escape").decode("ascii"), str(text))


class UserError(ValueError):
    """Something the user can put right; the message names the thing, the value and the remedy."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class ConfigError(UserError):
    """A setting with a value it cannot have."""


class StudentError(UserError):
    """A student that cannot be loaded, read or asked."""


class TeacherError(UserError):
    """A teacher that cannot be used."""


class RunError(UserError):
    """A run folder that cannot be used as asked."""


class Stopped(Exception):  # noqa: N818 - an event, not an error
    """The user asked to stop; what was finished is on disk."""
