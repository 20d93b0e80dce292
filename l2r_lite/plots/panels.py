"""Figures of the panels: the losses of a run that is at work, what became of its mistakes, what each of two runs fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from l2r_lite.plots.base import BLUE, GREY, ORANGE, new_figure, style


def losses_by_round(logs: Mapping[int, Sequence[dict[str, float]]]) -> Figure:
    """L_lm and L_cl over the training steps of all rounds so far, one after the other.

    Args:
        logs: round → what each of its training steps reported, the unfinished round included.
    """
    entries = [entry for log in logs.values() for entry in log]
    with style():
        figure = new_figure(8, 4.2)
        for axes, key, name, colour in zip(
            figure.subplots(1, 2), ("lm", "cl"), ("L_lm in nats a token", "L_cl (cosine)"), (BLUE, ORANGE), strict=True
        ):
            axes.plot(range(1, len(entries) + 1), [entry[key] for entry in entries], color=colour, lw=1.4)
            start = 0
            for number, log in logs.items():
                axes.axvline(start + 0.5, color=GREY, lw=1, ls=":")
                axes.annotate(f"round {number}", (start + 0.5, 1), (3, -4), xycoords=("data", "axes fraction"),
                              textcoords="offset points", va="top", fontsize=11, color=GREY)  # fmt: skip
                start += len(log)
            axes.set(xlabel="training step", ylabel=name, ylim=(0, None), xlim=(0.5, max(start, 1) + 0.5))
            axes.grid(axis="y", alpha=0.25)
        told = f"The two losses after {len(entries)} training steps" if entries else "No training step yet"
        figure.suptitle(told, x=0.01, ha="left", fontweight="bold")
        return figure
