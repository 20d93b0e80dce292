"""Shared by all figures: the palette, the style, and a figure that a notebook shows by itself."""

import io
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from l2r_lite.app.figures.readable import alt_text, darken_text
from l2r_lite.runs.show import html

# Okabe and Ito's palette: told apart by readers with any common colour blindness.
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
RED, PURPLE, GREY = "#D55E00", "#CC79A7", "#767676"
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY)
# In the figures of a run each colour has one meaning; runs that are compared have COLOURS.
BETTER, WORSE, MISTAKE = BLUE, RED, ORANGE
LESSON, REFLECTION = GREEN, PURPLE  # the two terms of the loss
SHADES = "cividis"  # for heat maps: even in lightness, the same to all readers
STYLE = {
    "font.size": 12, "axes.titlesize": 14, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False,
    "figure.facecolor": "white", "savefig.facecolor": "white",
    "text.parse_math": False,  # questions hold dollar signs
}
# matplotlib's settings are one for all threads, and a panel draws beside a cell.
_STYLING = threading.RLock()


class Picture(Figure):
    """A figure that a notebook shows by itself, with any matplotlib backend."""

    def draw(self, renderer: Any) -> None:
        darken_text(self)
        super().draw(renderer)

    def _repr_png_(self) -> tuple[bytes, dict[str, str]]:
        # nbconvert and others read the alternative text from here; JupyterLab does not (4.6).
        return as_png(self), {"alt": alt_text(self)}

    def _repr_html_(self) -> Markup:
        return as_html(self)

    def __repr__(self) -> str:
        return f"Figure: {alt_text(self)}"  # MyST takes the text of an image as its alternative


def as_png(figure: Figure) -> bytes:
    """A figure at 100 dots per inch."""
    large, small = io.BytesIO(), io.BytesIO()
    figure.savefig(large, dpi=100, format="png")
    # A figure shows no more than 128 colours, and its notebook becomes a third as large.
    palette = Image.open(large).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    palette.save(small, "png", optimize=True)
    return small.getvalue()


def as_html(figure: Figure) -> Markup:
    """A figure as an HTML image on a white card, with alternative text; it shrinks with its page.

    JupyterLab gives no alternative text to an image of its own, only to one in HTML.
    """
    card = (
        "max-width:100%;height:auto;box-sizing:border-box;background:white;padding:6px;"
        "border-radius:8px")
    data = b64encode(as_png(figure)).decode()
    return html(
        '<img alt="{}" style="{}" src="data:image/png;base64,{}">', alt_text(figure), card, data)


@contextmanager
def style() -> Iterator[None]:
    """The style of all figures; draw each one in `with style():`."""
    with _STYLING, matplotlib.rc_context(STYLE):
        yield


def shorten(text: str, most: int) -> str:
    """A name on one line of at most `most` characters; characters that do not print become □."""
    line = "".join(c if c.isprintable() else "□" for c in " ".join(text.split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure; sizes in inches: 10 are 1000 px in a notebook and 1280 px in a file."""
    return Picture(figsize=(width, height), layout="constrained")


def save(figure: Figure, file: Path) -> Path:
    """Write a figure as PNG, 128 px per inch; a reader never sees half a file."""
    scratch = file.with_name(f".{file.name}.writing")
    scratch.unlink(missing_ok=True)
    with scratch.open("xb") as handle:  # "x" follows no link
        figure.savefig(handle, dpi=128, format="png")
    return scratch.replace(file)
