"""The README's picture: a run's accuracy beside one question before and after it."""

from __future__ import annotations

import textwrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2r_lite.app.figures.base import BETTER, GREY, WORSE, new_figure, style
from l2r_lite.app.figures.readable import describe
from l2r_lite.app.figures.runs import draw_rounds

_WIDTH = 54  # characters per line of the text beside the curve


def first_run(report: dict[str, Any], question: str, before: str, after: str) -> Figure:
    """Accuracy by round, and what the student wrote to one question before and after training.

    Args:
        report: of a run.
        before, after: its wrong rationale before any training, and its right one at the end.
    """
    with style():
        figure = new_figure(12.8, 4.6)
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
        draw_rounds(left, [report])
        right.axis("off")
        right.set(xlim=(0, 1), ylim=(0, 1), title="One question, before and after")
        top = _card(right, 0.98, "The question", question, GREY)
        top = _card(right, top, "✗  Before training, the student writes", before, WORSE)
        _card(right, top, f"✓  After round {len(report['rounds']) - 1}", after, BETTER)
        describe(figure, f"Question: {question} Before: {before} After: {after}")
        return figure


def _card(axes: Axes, top: float, head: str, text: str, colour: str) -> float:
    """Write a headed text with a coloured bar beside it; returns where the next one begins."""
    lines = textwrap.wrap(" ".join(text.split()), _WIDTH)
    bottom = top - 0.1 * (1 + len(lines)) + 0.01
    axes.plot([0.01, 0.01], [bottom + 0.02, top], color=colour, lw=4, solid_capstyle="butt")
    axes.text(0.04, top, head, va="top", color=colour, weight="bold", fontsize=14)
    axes.text(
        0.04, top - 0.1, "\n".join(lines), va="top", fontsize=14, linespacing=1.35)
    return bottom - 0.06
