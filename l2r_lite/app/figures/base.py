"""What all figures share: the palette, the style, and a figure that a notebook shows by itself."""

from __future__ import annotations

import io
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

# Okabe and Ito's palette: told apart by readers with any common colour blindness.
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#767676"
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY)
SHADES = "cividis"  # for heat maps: even in lightness, the same to all readers
STYLE = {
    "font.size": 12, "axes.titlesize": 14, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "figure.facecolor": "white", "savefig.facecolor": "white",
    "text.parse_math": False,  # questions hold dollar signs
}  # fmt: skip


class Picture(Figure):
    """A figure that a notebook shows by itself, whichever matplotlib backend it has."""

    def _repr_png_(self) -> bytes:
        buffer, small = io.BytesIO(), io.BytesIO()
        self.savefig(buffer, dpi=100, format="png")
        # 128 colours are as many as a figure shows, and make its notebook a third as large.
        Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(small, "png", optimize=True)
        return small.getvalue()


def as_html(figure: Figure) -> str:
    """A figure as an HTML image that shrinks with its page; its title, which says what is to be seen, is read out."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100, format="png")
    title = figure.get_suptitle() or " ".join(axes.get_title(loc="left") or axes.get_title() for axes in figure.axes).strip()
    return (f'<img alt="{escape(title)}" style="max-width:100%;height:auto" '
            f'src="data:image/png;base64,{b64encode(buffer.getvalue()).decode()}">')  # fmt: skip


_STYLING = threading.RLock()  # matplotlib's settings are one for all threads, and a panel draws beside a cell


@contextmanager
def style() -> Iterator[None]:
    """Every figure is drawn within `with style():`."""
    with _STYLING, matplotlib.rc_context(STYLE):
        yield


def shorten(text: str, most: int) -> str:
    """A name from outside that fits into a figure: on one line, at most so long, and with no character that cannot be drawn."""
    line = "".join(c if c.isprintable() else "□" for c in " ".join(text.split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches; 10 inches are 1000 px in a notebook and 1280 px in a file."""
    return Picture(figsize=(width, height), layout="constrained")


def save(figure: Figure, file: Path) -> Path:
    """Write a figure as PNG at 1280 px for 10 inches; the file appears whole."""
    scratch = file.with_name(f".{file.name}.writing")
    figure.savefig(scratch, dpi=128, format="png")
    return scratch.replace(file)
