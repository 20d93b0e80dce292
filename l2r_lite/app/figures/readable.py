"""Figures for every reader: text with enough contrast, and a description for screen readers."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

ENOUGH = 4.5  # WCAG 2, level AA: contrast of text with what is behind it
LONGEST = 500  # characters; a screen reader reads a description in one go
# Marks keep the bright colours of the palette; text in the same hue is darker.
_INKS = {
    "#e69f00": "#936600", "#009e73": "#007e5c", "#d55e00": "#b75100", "#cc79a7": "#995b7d",
    "#767676": "#666666", "#56b4e9": "#387597", "#f0e442": "#767020"}


def contrast(one: str, other: str) -> float:
    """Contrast of two colours as WCAG 2 defines it, from 1 (equal) to 21 (black on white)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour)]
    red, green, blue = linear
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def text_on(colour: str) -> str:
    """Colour of text on a mark of this colour: white where that is readable, else black."""
    return "white" if contrast("white", colour) >= ENOUGH else "black"


def darken_text(figure: Figure) -> None:
    """Write text in a bright colour of the palette in a darker one of the same hue."""
    for text in figure.findobj(Text):
        darker = _INKS.get(to_hex(text.get_color()))
        if darker:
            text.set_color(darker)


def describe(figure: Figure, words: str) -> None:
    """Set the words that follow the title in a figure's alternative text."""
    figure.words = words  # type: ignore[attr-defined]


def alt_text(figure: Figure) -> str:
    """A figure in words: its title, then the words of `describe`, or its axes and their text."""
    parts = [figure.get_suptitle()]
    words = getattr(figure, "words", "")
    for axes in figure.axes:
        if axes.get_label() == "<colorbar>":
            continue
        parts.append(axes.get_title(loc="left") or axes.get_title())
        if words:
            continue
        for name, axis in (("Vertical", axes.yaxis), ("Horizontal", axes.xaxis)):
            ticks = _joined(axis.get_ticklabels())
            categories = ticks if any(c.isalpha() for c in ticks) else ""
            told = ": ".join(filter(None, [axis.get_label().get_text(), categories]))
            parts.append(f"{name}: {told}" if told else "")
        legend = axes.get_legend()
        parts.append(_joined([*(legend.get_texts() if legend else ()), *axes.texts]))
    lines = [" ".join(part.split()).rstrip(".") for part in [*parts, words]]
    said = "".join(c if c.isprintable() else "□" for c in ". ".join(filter(None, lines)))
    return said if len(said) < LONGEST else said[: LONGEST - 1].rsplit(" ", 1)[0] + " …"


def _joined(texts: Iterable[Text]) -> str:
    """Texts with a letter or a digit, in one line."""
    words = (" ".join(text.get_text().split()) for text in texts if text.get_visible())
    return ", ".join(word for word in words if any(c.isalnum() for c in word))
