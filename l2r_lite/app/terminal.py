"""What the command line writes: text from outside shows as text and cannot command the terminal."""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from l2r_lite.loop.errors import printable

# How tqdm begins what it writes: back to the start of the line, and lines down and up.
_MOVES = re.compile(r"\r?(?:\n|\x1b\[A)*")


class Plain:
    """A text stream that escapes control characters (`printable`).

    Args:
        bars: progress bars write here; they may move the cursor at the beginning of a write.
    """

    def __init__(self, stream: TextIO, *, bars: bool = False) -> None:
        self._stream, self._bars = stream, bars

    def write(self, text: str) -> int:
        start = _MOVES.match(text)
        moves = start[0] if start and self._bars else ""
        self._stream.write(moves + printable(text[len(moves) :]))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def plain_output() -> Iterator[None]:
    """Everything printed goes through `Plain`: messages, argparse, warnings, logs, bars."""
    streams: Any = sys.stdout, sys.stderr
    plain: Any = Plain(sys.stdout), Plain(sys.stderr, bars=True)
    os.environ.setdefault("PYTHON_COLORS", "0")  # from Python 3.13 on, help and tracebacks have any
    sys.stdout, sys.stderr = plain
    try:
        yield
    except Exception:
        streams = plain  # the traceback goes the same way
        raise
    finally:
        sys.stdout, sys.stderr = streams
