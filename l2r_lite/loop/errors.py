"""Errors shown to the user: one sentence, without control characters for the terminal."""

import re

# Control characters (ESC and \x9b start terminal commands), marks that change the reading
# direction, and halves of surrogate pairs. Tab and line feed may stay.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object) -> str:
    """Escape control characters in outside text (data, models, file names): ESC becomes \\x1b."""
    return _UNPRINTABLE.sub(lambda m: m[0].encode("unicode_escape").decode("ascii"), str(text))


class UserError(ValueError):
    """An error the user can fix; the message names the thing, the value and the remedy."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class ConfigError(UserError):
    """A setting has an invalid value."""


class StudentError(UserError):
    """A student that cannot be loaded, read or used."""


class TeacherError(UserError):
    """A teacher that cannot be used."""


class RunError(UserError):
    """A run folder that cannot be used as requested."""


class Stopped(Exception):  # noqa: N818 - an event, not an error
    """The user asked to stop; finished work is on disk."""
