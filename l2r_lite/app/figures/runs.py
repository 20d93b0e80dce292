"""Figures of a run: accuracy by round and by skill, losses, and what a round is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from l2r_lite.app.figures.base import (
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SHADES,
    new_figure,
    shorten,
    style,
)

MARKERS = "osD^vP"  # several runs differ in more than colour
MOST_SKILLS = 24  # rows that can be read in one figure


def run_overview(report: dict[str, Any]) -> Figure:
    """A run at a glance: accuracy by round beside accuracy by skill."""
    with style():
        if not report["rounds"][0]["by_skill"]:
            figure = new_figure(7, 4.5)
            draw_rounds(figure.subplots(), [report])
            return figure
        figure = new_figure(13, 6)
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
        draw_rounds(left, [report])
        _draw_skills(figure, right, report)
        return figure


def accuracy_by_round(
    reports: dict[str, Any] | Sequence[dict[str, Any]], labels: Sequence[str] = (), rounds: int = 0
) -> Figure:
    """Test accuracy after each round with its 95 % interval, for one run or several.

    Args:
        rounds: how many rounds the axis has room for, when the run is not there yet.
    """
    runs = [reports] if isinstance(reports, dict) else list(reports)
    with style():
        figure = new_figure(7.5, 4.8)
        axes = figure.subplots()
        draw_rounds(axes, runs, labels)
        axes.set_xticks(range(max([rounds + 1, *(len(r["rounds"]) for r in runs)])))
        axes.set_xlim(-0.3, axes.get_xticks()[-1] + 0.3)
        return figure


def accuracy_by_skill(report: dict[str, Any], rounds: int = 0) -> Figure:
    """Heat map of test accuracy: one row a skill, one column a round, with room for `rounds`."""
    with style():
        figure = new_figure(8, 6.2)
        axes = figure.subplots()
        _draw_skills(figure, axes, report)
        axes.set_xticks(range(max(rounds + 1, len(report["rounds"]))))
        axes.set_xlim(-0.5, axes.get_xticks()[-1] + 0.5)
        return figure


def draw_rounds(axes: Axes, runs: Sequence[dict[str, Any]], labels: Sequence[str] = ()) -> None:
    """Accuracy by round with intervals, drawn into axes of a larger figure."""
    for i, run in enumerate(runs):
        rounds = [r["round"] for r in run["rounds"]]
        values = [100 * r["accuracy"] for r in run["rounds"]]
        colour = COLOURS[i % len(COLOURS)]
        axes.fill_between(rounds, [100 * r["ci95"][0] for r in run["rounds"]], [100 * r["ci95"][1] for r in run["rounds"]],
                          color=colour, alpha=0.18, lw=0)  # fmt: skip
        axes.plot(rounds, values, "-", marker=MARKERS[i % len(MARKERS)], color=colour, lw=2.2, ms=7)
        if len(runs) == 1:
            for x, y in zip(rounds, values, strict=True):
                axes.annotate(f"{y:.0f} %", (x, y), (0, 9), textcoords="offset points", ha="center", fontsize=12)
        elif labels:
            axes.lines[-1].set_label(shorten(labels[i], 30))
    if labels and len(runs) > 1:
        axes.legend(loc="lower right", frameon=False)
    axes.set(ylim=(0, 105), xlabel="round (0: before any training)", ylabel="test accuracy in %", title=_headline(runs))
    axes.set_xticks(range(max(len(r["rounds"]) for r in runs)))
    axes.grid(axis="y", alpha=0.25)
    axes.text(0.02, 0.03, "band: 95 % interval over questions", transform=axes.transAxes, fontsize=10, color=GREY)


def _headline(runs: Sequence[dict[str, Any]]) -> str:
    if len(runs) > 1 or len(runs[0]["rounds"]) < 2:
        return "Accuracy by round" if runs[0]["rounds"] else "Nothing is measured yet"
    first, last = runs[0]["rounds"][0]["accuracy"], runs[0]["rounds"][-1]["accuracy"]
    if last == first:
        return f"Accuracy stays at {first:.0%}".replace("%", " %")
    return f"Accuracy {'rises' if last > first else 'falls'} from {first:.0%} to {last:.0%}".replace("%", " %")


def _draw_skills(figure: Figure, axes: Axes, report: dict[str, Any]) -> None:
    found = list(report["rounds"][0]["by_skill"])
    skills = found[:MOST_SKILLS]
    table = [[100 * r["by_skill"].get(s, float("nan")) for r in report["rounds"]] for s in skills]
    image = axes.imshow(table, cmap=SHADES, vmin=0, vmax=100, aspect="auto")
    for y, row in enumerate(table):
        for x, value in enumerate(row):
            axes.text(x, y, f"{value:.0f}", ha="center", va="center", fontsize=11, color="black" if value > 55 else "white")
    axes.set_yticks(range(len(skills)), [shorten(s, 24) for s in skills])
    axes.set_xticks(range(len(report["rounds"])))
    told = "Accuracy by skill, in %" + f" ({len(skills)} of {len(found)} skills)" * (len(found) > len(skills))
    axes.set(xlabel="round", title=told)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, shrink=0.6, label="accuracy in %")


def loss_curves(log: Sequence[dict[str, float]], title: str = "The two losses of one round") -> Figure:
    """L_lm and L_cl over the steps of one round of training."""
    with style():
        figure = new_figure(8, 4.2)
        left, right = figure.subplots(1, 2)
        for axes, key, name, colour in ((left, "lm", "L_lm in nats a token", BLUE), (right, "cl", "L_cl (cosine)", ORANGE)):
            axes.plot([entry[key] for entry in log], color=colour, lw=1.6)
            axes.set(xlabel="training step", ylabel=name, ylim=(0, None))
            axes.grid(axis="y", alpha=0.25)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        return figure


def round_diagram() -> Figure:
    """What one round is: exam, feedback, tailored training, and the new student that sits the next exam."""
    boxes = {
        "student": (0.3, 1.35, "Student", "a small LM in 4 bits\nwith a LoRA adapter", BLUE),
        "exam": (3.3, 2.55, "1 · Exam", "answers every question,\nseveral samples each", GREEN),
        "teacher": (6.6, 2.55, "2 · Feedback", "a teacher reads each mistake,\nwrites lessons made for it", ORANGE),
        "training": (5.0, 0.15, "3 · Tailored training", "L = L_lm + λ · L_cl", PURPLE),
    }
    with style():
        figure = new_figure(10, 4.3)
        axes = figure.subplots()
        for x, y, title, text, colour in boxes.values():
            axes.add_patch(FancyBboxPatch((x, y), 2.4, 1.1, boxstyle="round,pad=0.06", fc=colour + "22", ec=colour, lw=2))
            axes.text(x + 1.2, y + 0.83, title, ha="center", va="center", weight="bold", fontsize=13)
            axes.text(x + 1.2, y + 0.36, text, ha="center", va="center", fontsize=11)
        arrows = [
            ((1.9, 2.55), (3.2, 3.2), "answers", (1.75, 3.05), -0.25),
            ((5.8, 3.1), (6.5, 3.1), "mistakes", (6.15, 3.3), 0.0),
            ((7.8, 2.45), (7.0, 1.35), "lessons → L_lm", (8.35, 1.8), -0.15),
            ((4.9, 2.45), (5.6, 1.35), "own mistakes → L_cl", (4.2, 1.85), 0.15),
            ((4.9, 0.6), (1.6, 1.25), "the new student: next round", (2.35, 0.22), -0.25),
        ]
        for start, end, text, at, bend in arrows:
            axes.add_patch(FancyArrowPatch(start, end, connectionstyle=f"arc3,rad={bend}", arrowstyle="-|>", mutation_scale=18,
                                           lw=1.8, color=GREY))  # fmt: skip
            axes.text(*at, text, ha="center", va="center", fontsize=11, color="#333333")
        axes.set(xlim=(0, 9.4), ylim=(-0.1, 3.9), title="One round of tailored learning")
        axes.axis("off")
        return figure
