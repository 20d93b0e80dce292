"""A function's own lines, shown in a notebook."""

import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any


class Markdown:
    """Text that a notebook renders."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


def source(function: Callable[..., Any], first: str = "", last: str = "") -> Markdown:
    """The library's own lines, so that a reader sees that nothing else happens.

    Args:
        first, last: show the lines from the first that contains `first` up to the next that
            contains `last`; both empty: all, without the docstring.

    Raises:
        ValueError: there is no such line; a notebook must not show another than it speaks about.
    """
    lines = textwrap.dedent(inspect.getsource(function)).rstrip().split("\n")
    if not first and not last:
        lines = _without_docstring(function, lines)
    start = _line_with(lines, first, 0, function)
    stop = _line_with(lines, last, start, function) + 1 if last else len(lines)
    code = textwrap.dedent("\n".join(lines[start:stop]))
    # By the module's name: an installed package lies elsewhere than the repository's folders.
    module = inspect.unwrap(function).__module__.replace(".", "/")
    where = module.replace("l2r_course", "notebooks/course", 1) + ".py"
    return Markdown(f"`{where}`, `{function.__qualname__}`:\n```python\n{code}\n```")


def _without_docstring(function: Callable[..., Any], lines: list[str]) -> list[str]:
    if not function.__doc__:
        return lines
    quotes = [i for i, line in enumerate(lines) if '"""' in line]
    opening = closing = quotes[0]
    if lines[opening].count('"""') == 1:
        closing = next(i for i in quotes[1:] if lines[i].rstrip().endswith('"""'))
    return lines[:opening] + lines[closing + 1 :]


def _line_with(
    lines: Sequence[str], part: str, start: int, function: Callable[..., Any]
) -> int:
    for i in range(start, len(lines)):
        if part in lines[i]:
            return i
    raise ValueError(f"{function.__qualname__} has no line with {part!r}")
