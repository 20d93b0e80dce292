"""Figure of a run's two losses, step by step."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from l2r_lite.app.figures.base import GREY, LESSON, REFLECTION, new_figure, style
from l2r_lite.app.figures.readable import describe

Log = Sequence[dict[str, float]]
WINDOW = 10  # training steps in a mean


def losses_by_round(logs: Mapping[int, Log]) -> Figure:
    """L_lm and L_cl over the training steps of all rounds so far, one after the other.

    Thin: each step's batch. Thick: the mean of the last WINDOW steps of the round. L_cl has no
    value at a step without a triplet; without any triplet it gets no panel.

    Args:
        logs: round → what each of its training steps logged, the unfinished round included.
    """
    entries = [entry for log in logs.values() for entry in log]
    panels = [("lm", "L_lm in nats per token", LESSON)]
    if any(entry.get("triplets") for entry in entries):
        panels.append(("cl", "L_cl (cosine)", REFLECTION))
    with style():
        figure = new_figure(8, 4.2)
        row = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (key, name, colour) in zip(row, panels, strict=True):
            _draw_losses(axes, logs, key, colour)
            axes.set_ylabel(name)
        title = "No training step yet"
        if entries:
            which = "Both losses" if len(panels) == 2 else "L_lm"
            steps = "1 training step" if len(entries) == 1 else f"{len(entries)} training steps"
            title = f"{which} over {steps}"
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        describe(figure, _losses_in_words(logs, [key for key, *_ in panels]))
        return figure


def _draw_losses(axes: Axes, logs: Mapping[int, Log], key: str, colour: str) -> None:
    start, top = 0, 0.0
    for number, log in logs.items():
        found = _values(log, key)
        values, places = list(found.values()), [start + step + 1 for step in found]
        axes.plot(places, values, color=colour, lw=0.8, alpha=0.45)
        mark = "o-" if len(values) == 1 else "-"  # one step alone makes no line
        axes.plot(places, running_mean(values), mark, color=colour, lw=2.2, ms=4)
        axes.axvline(start + 0.5, color=GREY, lw=1, ls=":")
        axes.annotate(
            f"round {number}", (start + 0.5, 1), (3, -4), va="top", fontsize=11,
            color=GREY, xycoords=("data", "axes fraction"), textcoords="offset points")
        start += len(log)
        top = max([top, *values])
    axes.set(xlabel="training step", ylim=(0, 1.15 * top or 1), xlim=(0.5, max(start, 1) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.grid(axis="y", alpha=0.25)


def _values(log: Log, key: str) -> dict[int, float]:
    """Step → its loss, for the steps that have one; a training that went wrong logs NaN."""
    return {
        step: entry[key] for step, entry in enumerate(log)
        if math.isfinite(entry.get(key, math.nan)) and (key != "cl" or entry.get("triplets"))}


def running_mean(values: Sequence[float]) -> list[float]:
    """The mean of each value and up to WINDOW − 1 values before it."""
    windows = (values[max(0, end - WINDOW) : end] for end in range(1, len(values) + 1))
    return [sum(window) / len(window) for window in windows]


def _losses_in_words(logs: Mapping[int, Log], keys: Sequence[str]) -> str:
    said = []
    for key in keys:
        rounds = (_values(log, key).values() for log in logs.values())
        means = ", ".join(f"{sum(values) / len(values):.2f}" for values in rounds if values)
        said.append(f"L_{key} {means}")
    return f"Mean per round: {'; '.join(said)}" if logs else ""
