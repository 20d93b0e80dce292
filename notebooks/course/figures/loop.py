"""The diagram of one round."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from l2r_lite.app.figures.base import BLUE, GREEN, GREY, ORANGE, PURPLE, new_figure, style
from l2r_lite.app.figures.readable import describe

_CENTRED: dict[str, Any] = {"ha": "center", "va": "center"}
# Lower left corner, height, title, text and colour of each box; all are equally wide.
_WIDTH = 3.05
_BOXES = (
    ((0.1, 3.95), 1.25, "1 · Exam", "the student answers\nevery training question", GREEN),
    ((5.45, 3.95), 1.25, "2 · Feedback", "the teacher reads each mistake\nand writes lessons for "
     "it", ORANGE),
    ((5.45, 2.2), 0.9, "Verification", "checks answer and equations", GREY),
    ((5.45, 0.1), 1.25, "3 · Tailored training", "trains the student's adapter on\nlessons and "
     "replayed answers", PURPLE),
    ((0.1, 0.1), 1.25, "4 · Validation and test", "new questions: validation picks\nthe best "
     "student, test only reports", BLUE),
)
# Start and end of each arrow; dashed ones lead out of the loop.
_ARROWS = (
    ((3.25, 4.57), (5.35, 4.57), "-"),
    ((6.3, 3.85), (6.3, 3.2), "-"),
    ((6.3, 2.1), (6.3, 1.45), "-"),
    ((5.35, 0.72), (3.25, 0.72), "-"),
    ((0.65, 1.45), (0.65, 3.85), "-"),
    ((5.35, 2.65), (4.95, 2.65), "--"),
    ((2.05, 1.45), (2.05, 1.85), "--"),
)
_FILES = (
    ((4.27, 4.57), "exam.jsonl"), ((7.35, 1.78), "lessons.jsonl"), ((4.27, 0.72), "adapter/"),
    ((4.1, 2.65), "rejected.jsonl"), ((2.05, 2.22), "validation.jsonl\ntest.jsonl"))
_WORDS = (
    ((4.27, 4.92), "graded answers"), ((4.27, 1.07), "new student"), ((6.85, 3.53), "lessons"),
    ((0.65, 3.15), "next round"))
_IN_WORDS = (
    "The exam writes graded answers to exam.jsonl. Feedback turns its mistakes into lessons. "
    "Verification sends lessons to lessons.jsonl or rejected.jsonl. Tailored training makes a new "
    "student, in adapter/. Validation and test write validation.jsonl and test.jsonl. The new "
    "student takes the exam of the next round")


def round_diagram() -> Figure:
    """One round: exam, feedback, verification, training, validation and test, with its files."""
    with style():
        figure = new_figure(8.6, 5.4)
        axes = figure.subplots()
        for (x, y), height, title, text, colour in _BOXES:
            axes.add_patch(FancyBboxPatch(
                (x, y), _WIDTH, height, boxstyle="round,pad=0.04,rounding_size=0.12",
                fc=colour + "22", ec=colour, lw=2))
            middle = x + _WIDTH / 2
            axes.text(middle, y + height - 0.28, title, weight="bold", fontsize=14, **_CENTRED)
            axes.text(
                middle, y + (height - 0.45) / 2, text, fontsize=12, linespacing=1.25, **_CENTRED)
        for start, end, line in _ARROWS:
            axes.add_patch(FancyArrowPatch(
                start, end, arrowstyle="-|>", mutation_scale=18, lw=1.8, ls=line, color=GREY,
                shrinkA=0, shrinkB=0))
        paper = {"boxstyle": "round,pad=0.35,rounding_size=0.2", "fc": "white", "ec": GREY}
        for (x, y), name in _FILES:
            axes.text(
                x, y, name, fontsize=12, family="monospace", linespacing=1.3, bbox=paper,
                **_CENTRED)
        for (x, y), words in _WORDS:
            axes.text(
                x, y, words, fontsize=12, bbox={"fc": "white", "ec": "none", "pad": 2},
                **_CENTRED)
        axes.set(xlim=(0, 8.6), ylim=(0, 5.3), title="One round of tailored learning")
        axes.axis("off")
        describe(figure, _IN_WORDS)
        return figure
