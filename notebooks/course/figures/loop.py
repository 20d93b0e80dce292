"""Figures of the loop itself: what a round is, and the losses of one."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from l2r_lite.app.figures.base import BLUE, GREEN, GREY, ORANGE, PURPLE, new_figure, style


def loss_curves(
    log: Sequence[dict[str, float]], title: str = "The two losses of one round"
) -> Figure:
    """L_lm and L_cl over the training steps of one round."""
    panels = (("lm", "L_lm in nats a token", BLUE), ("cl", "L_cl (cosine)", ORANGE))
    with style():
        figure = new_figure(8, 4.2)
        for axes, (key, name, colour) in zip(figure.subplots(1, 2), panels, strict=True):
            axes.plot([entry[key] for entry in log], color=colour, lw=1.6)
            axes.set(xlabel="training step", ylabel=name, ylim=(0, None))
            axes.grid(axis="y", alpha=0.25)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        return figure


# Lower left corner, title, text and colour of each box.
_BOXES = (
    ((0.3, 1.35), "Student", "a small LM in 4 bits\nwith a LoRA adapter", BLUE),
    ((3.3, 2.55), "1 · Exam", "answers every question,\nseveral samples each", GREEN),
    ((6.6, 2.55), "2 · Feedback", "a teacher reads each mistake,\nwrites lessons made for it",
     ORANGE),
    ((5.0, 0.15), "3 · Tailored training", "L = L_lm + λ · L_cl", PURPLE),
)
# Start, end, text, its centre, and how far the arrow bends.
_ARROWS = (
    ((1.9, 2.55), (3.2, 3.2), "answers", (1.75, 3.05), -0.25),
    ((5.8, 3.1), (6.5, 3.1), "mistakes", (6.15, 3.3), 0.0),
    ((7.8, 2.45), (7.0, 1.35), "lessons → L_lm", (8.35, 1.8), -0.15),
    ((4.9, 2.45), (5.6, 1.35), "own mistakes → L_cl", (4.2, 1.85), 0.15),
    ((4.9, 0.6), (1.6, 1.25), "the new student: next round", (2.35, 0.22), -0.25),
)


def round_diagram() -> Figure:
    """One round: exam, feedback, tailored training, and the student that takes the next exam."""
    centred: dict[str, Any] = {"ha": "center", "va": "center"}
    with style():
        figure = new_figure(10, 4.3)
        axes = figure.subplots()
        for (x, y), title, text, colour in _BOXES:
            axes.add_patch(FancyBboxPatch(
                (x, y), 2.4, 1.1, boxstyle="round,pad=0.06", fc=colour + "22", ec=colour, lw=2))
            axes.text(x + 1.2, y + 0.83, title, weight="bold", fontsize=13, **centred)
            axes.text(x + 1.2, y + 0.36, text, fontsize=11, **centred)
        for start, end, text, at, bend in _ARROWS:
            axes.add_patch(FancyArrowPatch(
                start, end, connectionstyle=f"arc3,rad={bend}", arrowstyle="-|>",
                mutation_scale=18, lw=1.8, color=GREY))
            axes.text(*at, text, fontsize=11, color="#333333", **centred)
        axes.set(xlim=(0, 9.4), ylim=(-0.1, 3.9), title="One round of tailored learning")
        axes.axis("off")
        return figure
