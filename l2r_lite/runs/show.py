"""What notebooks show besides figures: a function's own lines, and small tables. Data from outside is escaped."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from l2r_lite.loop.errors import printable

PLAIN = "mathjax_ignore tex2jax_ignore"  # classes: "$3 and $4" in a question is money


def safe(text: object) -> str:
    """Text from outside as HTML that is nothing but text; what cannot be seen, or turns the reading direction, is spelt out."""
    return escape(printable(text)).replace("\n", "<br>")


class Markdown:
    """Text that a notebook renders."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


class Table:
    """Rows under a head, as HTML in a notebook and as columns elsewhere: Table(["skill", "right"], [["add", 0.9], …])."""

    def __init__(self, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        self.head = list(head)
        self.rows = [[_cell(value) for value in row] for row in rows]

    def _repr_html_(self) -> str:
        left = "text-align:left;vertical-align:top;max-width:40em;overflow-wrap:anywhere;white-space:pre-wrap"
        head = "".join(f'<th scope="col" style="{left}">{safe(name)}</th>' for name in self.head)
        rows = "".join("<tr>" + "".join(f'<td style="{left}">{safe(c)}</td>' for c in row) + "</tr>" for row in self.rows)
        return f'<table class="{PLAIN}">' f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def __repr__(self) -> str:
        lines = [[" ".join(printable(c).split()) for c in row] for row in [self.head, *self.rows]]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def source(function: Callable[..., Any], first: str = "", last: str = "") -> Markdown:
    """The library's own lines, so that a reader sees that nothing else happens.

    Args:
        first, last: show the lines from the first that contains `first` up to the next that contains `last`; empty: all
            (without the docstring).

    Raises:
        ValueError: there is no such line; a notebook must not show another one than it speaks about.
    """
    lines = textwrap.dedent(inspect.getsource(function)).rstrip().split("\n")
    if not first and not last:
        lines = _without_docstring(function, lines)
    start = _line_with(lines, first, 0, function)
    stop = _line_with(lines, last, start, function) + 1 if last else len(lines)
    code = textwrap.dedent("\n".join(lines[start:stop]))
    file = Path(inspect.getsourcefile(inspect.unwrap(function)) or "")
    where = "/".join(file.parts[file.parts.index("l2r_lite"):]) if "l2r_lite" in file.parts else file.name
    return Markdown(f"`{where}`, `{function.__qualname__}`:\n```python\n{code}\n```")


def _without_docstring(function: Callable[..., Any], lines: list[str]) -> list[str]:
    if not function.__doc__:
        return lines
    opening = next(i for i, line in enumerate(lines) if line.lstrip().startswith('"""'))
    closing = opening if lines[opening].count('"""') == 2 else next(
        i for i in range(opening + 1, len(lines)) if lines[i].rstrip().endswith('"""')
    )  # fmt: skip
    return lines[:opening] + lines[closing + 1 :]


def _line_with(lines: Sequence[str], part: str, start: int, function: Callable[..., Any]) -> int:
    for i in range(start, len(lines)):
        if part in lines[i]:
            return i
    raise ValueError(f"{function.__qualname__} has no line with {part!r}")


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
