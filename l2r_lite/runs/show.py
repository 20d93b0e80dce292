"""Tables, and HTML from escaped parts: no other module makes HTML (tests/test_html.py)."""

from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup, escape

from l2r_lite.loop.errors import printable

PLAIN = "mathjax_ignore tex2jax_ignore"  # classes: "$3 and $4" in a question is money


def html(template: str, *parts: object) -> Markup:
    """HTML from a template, which is ours, and parts, which may come from anywhere.

        html("<b>{}</b>: {:.1%}", name, 0.5)

    Args:
        template: a constant.
        parts: HTML made here stays as it is, a number gets its format, and all else is text.
    """
    return Markup(template).format(  # noqa: S704 - the only place
        *(part if isinstance(part, Markup | int | float) else safe(part) for part in parts))


def join(parts: Iterable[object], between: str = "") -> Markup:
    """Parts as in `html`, one after the other, with a constant between them."""
    return html(between).join(html("{}", part) for part in parts)


def safe(text: object) -> Markup:
    """Text from outside as HTML without markup, with invisible characters escaped."""
    return escape(printable(text)).replace("\n", Markup("<br>"))


def code(text: object) -> str:
    """Text from outside in one line as code in Markdown, where it is no link and no markup."""
    line = " ".join(printable(text).split())
    return f"`{line.replace('`', 'ˋ').replace('|', '¦')}`"  # these two would end it


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

    def _repr_html_(self) -> Markup:
        head = join(
            html('<th scope="col" style="{}">{}</th>', _look(name), name) for name in self.head)
        body = join(
            html("<tr>{}</tr>", join(
                html('<td style="{}">{}</td>', _look(cell), cell) for cell in row))
            for row in self.rows)
        return html(
            '<div style="overflow-x:auto"><table class="{}"><thead><tr>{}</tr></thead>'
            "<tbody>{}</tbody></table></div>", PLAIN, head, body)

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
