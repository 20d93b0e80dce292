"""Figures of a run: accuracy by round and by skill."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from l2r_lite.app.figures.base import COLOURS, GREY, SHADES, new_figure, shorten, style
from l2r_lite.app.figures.readable import describe, text_on

MARKERS = "osD^vP"  # several runs differ in more than colour
MOST_SKILLS = 24  # rows that can be read in one figure
NOTICED = 0.10  # a smaller change of a skill is not mentioned in words


def run_overview(report: dict[str, Any]) -> Figure:
    """Accuracy by round and, beside it, accuracy by skill."""
    with style():
        if not report["rounds"][0]["by_skill"]:
            figure = new_figure(7, 4.5)
            draw_rounds(figure.subplots(), [report])
            describe(figure, rounds_in_words([report]))
            return figure
        figure = new_figure(13, 6)
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
        draw_rounds(left, [report])
        left.set_xlim(-0.3, len(report["rounds"]) - 0.7)
        _draw_skills(figure, right, report)
        describe(figure, f"{rounds_in_words([report])}. {_skills_in_words(report)}")
        return figure


def accuracy_by_round(
    reports: dict[str, Any] | Sequence[dict[str, Any]], labels: Sequence[str] = (), rounds: int = 0
) -> Figure:
    """Test accuracy after each round with its 95 % interval, for one run or several.

    Args:
        rounds: the axis has room for at least this many rounds.
    """
    runs = [reports] if isinstance(reports, dict) else list(reports)
    with style():
        figure = new_figure(7.5, 4.8)
        axes = figure.subplots()
        draw_rounds(axes, runs, labels)
        axes.set_xticks(range(max([rounds + 1, *(len(r["rounds"]) for r in runs)])))
        axes.set_xlim(-0.3, axes.get_xticks()[-1] + 0.3)
        describe(figure, rounds_in_words(runs, labels))
        return figure


def accuracy_by_skill(report: dict[str, Any], rounds: int = 0) -> Figure:
    """Heat map of test accuracy: one row per skill, one column per round.

    Args:
        rounds: the axis has room for at least this many rounds.
    """
    with style():
        figure = new_figure(8, 6.2)
        axes = figure.subplots()
        _draw_skills(figure, axes, report)
        axes.set_xticks(range(max(rounds + 1, len(report["rounds"]))))
        axes.set_xlim(-0.5, axes.get_xticks()[-1] + 0.5)
        describe(figure, _skills_in_words(report))
        return figure


def draw_rounds(axes: Axes, runs: Sequence[dict[str, Any]], labels: Sequence[str] = ()) -> None:
    """Accuracy by round with intervals, drawn into axes of a larger figure."""
    for i, run in enumerate(runs):
        numbers = [r["round"] for r in run["rounds"]]
        values = [100 * r["accuracy"] for r in run["rounds"]]
        low = [100 * r["ci95"][0] for r in run["rounds"]]
        high = [100 * r["ci95"][1] for r in run["rounds"]]
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        axes.fill_between(numbers, low, high, color=colour, alpha=0.18, lw=0)
        (line,) = axes.plot(numbers, values, "-", marker=marker, color=colour, lw=2.2, ms=7)
        if len(runs) == 1:
            for x, y in zip(numbers, values, strict=True):
                axes.annotate(
                    f"{y:.0f} %", (x, y), (0, 9), textcoords="offset points", ha="center",
                    fontsize=12)
        elif labels:
            line.set_label(shorten(labels[i], 30))
    if labels and len(runs) > 1:
        axes.legend(loc="lower right", frameon=False)
    axes.set(
        ylim=(0, 105), xlabel="round (0: before any training)", ylabel="test accuracy in %",
        title=_headline(runs))
    axes.set_xticks(range(max(len(r["rounds"]) for r in runs)))
    axes.grid(axis="y", alpha=0.25)
    axes.text(
        0.02, 0.03, "band: 95 % interval over questions", transform=axes.transAxes, fontsize=10,
        color=GREY)


def rounds_in_words(runs: Sequence[dict[str, Any]], labels: Sequence[str] = ()) -> str:
    """The curves of `draw_rounds` for a screen reader: each run's accuracies, round by round."""
    names = [f"{shorten(label, 30)}: " for label in labels] or [""] * len(runs)
    curves = [
        name + ", ".join(f"{100 * r['accuracy']:.0f} %" for r in run["rounds"])
        for name, run in zip(names, runs, strict=True) if run["rounds"]]
    return f"Test accuracy from round 0 on: {'; '.join(curves)}" if curves else ""


def _skills_in_words(report: dict[str, Any]) -> str:
    """The heat map for a screen reader: the skills that changed from first to last round."""
    first, last = (report["rounds"][number]["by_skill"] for number in (0, -1))
    changes = [
        f"{shorten(skill, 24)} from {100 * first[skill]:.0f} to {100 * last[skill]:.0f}"
        for skill in first if abs(last.get(skill, first[skill]) - first[skill]) >= NOTICED]
    points = f"{100 * NOTICED:.0f} points"
    if not changes:
        return f"No skill changed by {points} or more since round 0"
    return f"Skills that changed by {points} or more since round 0: {', '.join(changes)}"


def _headline(runs: Sequence[dict[str, Any]]) -> str:
    if not runs[0]["rounds"] and len(runs) == 1:
        return "No round measured yet"
    if len(runs) > 1 or len(runs[0]["rounds"]) < 2:
        return "Accuracy by round"
    first, last = (runs[0]["rounds"][number] for number in (0, -1))
    before, after = (f"{100 * r['accuracy']:.0f} %" for r in (first, last))
    if first["ci95"][1] < last["ci95"][0]:
        return f"Accuracy rises from {before} to {after}"
    if last["ci95"][1] < first["ci95"][0]:
        return f"Accuracy falls from {before} to {after}"
    if before == after:
        return f"Accuracy: {before} before and after"
    return f"Accuracy: {before} → {after}"  # the intervals overlap: no claim


def _draw_skills(figure: Figure, axes: Axes, report: dict[str, Any]) -> None:
    rounds = report["rounds"]
    found = list(rounds[0]["by_skill"])
    skills = found[:MOST_SKILLS]
    table = [[100 * r["by_skill"].get(s, float("nan")) for r in rounds] for s in skills]
    image = axes.imshow(table, cmap=SHADES, vmin=0, vmax=100, aspect="auto")
    for y, row in enumerate(table):
        for x, value in enumerate(row):
            colour = text_on(to_hex(image.to_rgba(value)))
            axes.text(
                x, y, f"{value:.0f}", ha="center", va="center", fontsize=11, color=colour)
    axes.set_yticks(range(len(skills)), [shorten(s, 24) for s in skills])
    axes.set_xticks(range(len(rounds)))
    title = "Accuracy by skill, in %"
    if len(found) > len(skills):
        title += f" ({len(skills)} of {len(found)} skills)"
    axes.set(xlabel="round", title=title)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, shrink=0.6, label="accuracy in %")
