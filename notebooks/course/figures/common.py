"""What the course's figures share beyond those of a run."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def headline(figure: Figure, text: str, **look: Any) -> None:
    """The figure's title, at the top left."""
    figure.suptitle(text, x=0.01, ha="left", weight="bold", **look)


def label(
    axes: Axes, text: str, at: tuple[float, float], colour: str,
    lift: tuple[float, float] = (10, 0), **look: Any,
) -> None:
    """Write beside a point, `lift` points (1/72 inch) to its right and above it.

    A white box makes the text readable where it crosses lines.
    """
    box = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0}
    look = {"va": "center", "bbox": box, **look}
    axes.annotate(text, at, lift, textcoords="offset points", color=colour, **look)


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"
