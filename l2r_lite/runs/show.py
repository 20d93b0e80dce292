"""Tables, for notebooks and panels; text from outside is escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from l2r_lite.loop.errors import printable

PLAIN = "mathjax_ignore tex2jax_ignore"  # classes: "$3 and $4" in a question is money


def safe(text: object) -> str:
    """Text from outside as HTML without markup, with invisible characters escaped."""
    return escape(printable(text)).replace("\n", "<br>")


# Only very long words break: a narrow page does not split "multiply-add" or a heading. A table that
# is still too wide scrolls.
_CELL = "text-align:left;vertical-align:top;white-space:pre-wrap;max-width:40em"
_LONG = 24  # characters of a word that may break anywhere


class Table:
    """Rows under a heading, as HTML in a notebook and as columns elsewhere; all cells are escaped.

        Table(["skill", "right"], [["add", 0.9], …])
    """

    def __init__(self, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        self.head = list(head)
        self.rows = [[_cell(value) for value in row] for row in rows]

    def _repr_html_(self) -> str:
        head = "".join(
            f'<th scope="col" style="{_look(name)}">{safe(name)}</th>' for name in self.head)
        body = ""
        for row in self.rows:
            cells = "".join(f'<td style="{_look(cell)}">{safe(cell)}</td>' for cell in row)
            body += f"<tr>{cells}</tr>"
        return (
            f'<div style="overflow-x:auto"><table class="{PLAIN}"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>")

    def __repr__(self) -> str:
        rows = [[" ".join(printable(c).split()) for c in row] for row in [self.head, *self.rows]]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        padded = [[c.ljust(w) for c, w in zip(row, widths, strict=True)] for row in rows]
        return "\n".join("  ".join(row).rstrip() for row in padded)


def _look(text: str) -> str:
    has_long_word = any(len(word) > _LONG for word in text.split())
    return f"{_CELL};overflow-wrap:{'anywhere' if has_long_word else 'normal'}"


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
