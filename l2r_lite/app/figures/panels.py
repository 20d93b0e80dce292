"""Figures of the panels: the losses of a run that is at work, what became of its mistakes, what each of two runs fixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from l2r_lite.app.figures.base import BLUE, GREEN, GREY, ORANGE, RED, new_figure, shorten, style
from l2r_lite.app.figures.runs import MOST_SKILLS, draw_rounds
from l2r_lite.runs.compare import Changed
from l2r_lite.runs.stories import FIXED, NOT_ASKED, STILL_WRONG, Story

_BEHIND = {"fc": "white", "ec": "none", "pad": 1, "alpha": 0.9}  # behind a number on a hatched bar


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
            top = max([entry[key] for entry in entries], default=1.0)
            axes.set(xlabel="training step", ylabel=name, ylim=(0, 1.15 * top or 1), xlim=(0.5, max(start, 1) + 0.5))
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.grid(axis="y", alpha=0.25)
        told = f"The two losses after {len(entries)} training steps" if entries else "No training step yet"
        figure.suptitle(told, x=0.01, ha="left", fontweight="bold")
        return figure


def mistakes_by_fate(stories: Sequence[Story]) -> Figure:
    """What became of each question that was answered wrong, skill by skill: fixed, still wrong, or not asked again yet."""
    rows: dict[str, Counter[str]] = {}
    for story in stories:
        rows.setdefault(story.problem.skill or "no skill named", Counter())[story.fate] += 1
    most = sorted(rows, key=lambda s: -rows[s].total())[:MOST_SKILLS]
    names = [name for name in rows if name in most]
    totals = Counter(story.fate for story in stories)
    with style():
        figure = new_figure(8, 1.9 + 0.3 * max(len(names), 1))
        axes = figure.subplots()
        left = [0] * len(names)
        for fate, colour, hatch in ((FIXED, BLUE, ""), (STILL_WRONG, ORANGE, "/"), (NOT_ASKED, GREY, ".")):
            if totals[fate]:
                widths = [rows[name][fate] for name in names]
                bars = axes.barh(range(len(names)), widths, left=left, color=colour, hatch=hatch, edgecolor="white", label=fate)
                axes.bar_label(bars, [str(n) if n else "" for n in widths], label_type="center", fontsize=11, bbox=_BEHIND)
                left = [a + b for a, b in zip(left, widths, strict=True)]
        axes.set_yticks(range(len(names)), [shorten(name, 24) for name in names])
        axes.invert_yaxis()
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="questions answered wrong", title=_what_became(totals, len(rows) - len(names)))
        if names:
            figure.legend(loc="outside lower right", ncols=3, frameon=False)
        return figure


def _what_became(totals: Counter[str], more: int) -> str:
    told = [f"{totals[fate]} {fate}" for fate in (FIXED, STILL_WRONG, NOT_ASKED) if totals[fate]]
    return (", ".join(told) or "No mistake") + f" (and {more} more skills)" * (more > 0)


def runs_compared(
    reports: Sequence[dict[str, Any]], labels: Sequence[str], changed: Sequence[Changed], after: int | None = None
) -> Figure:
    """Two or more runs: accuracy by round with intervals, and which test questions each fixed and broke.

    Args:
        changed: for each run, what its student answers otherwise than before any training.
        after: the round whose students these are; None: the students kept.
    """
    parts = (("fixed by this run only", BLUE, "", [len(c.only) for c in changed]),
             ("fixed by another, too", GREEN, "/", [len(c.fixed - c.only) for c in changed]),
             ("broken", RED, "x", [-len(c.broken) for c in changed]))  # fmt: skip
    with style():
        figure = new_figure(8, 6.6 + 0.5 * len(changed))
        curves, bars = figure.subplots(2, 1, height_ratios=[4.4, 1 + 0.5 * len(changed)])
        draw_rounds(curves, reports, labels)
        left = [0] * len(changed)
        for name, colour, hatch, widths in parts:
            start = [0] * len(changed) if name == "broken" else left
            drawn = bars.barh(range(len(changed)), widths, left=start, color=colour, hatch=hatch, edgecolor="white", label=name)
            bars.bar_label(drawn, [str(abs(n)) if n else "" for n in widths], label_type="center", fontsize=11, bbox=_BEHIND)
            left = [a + b for a, b in zip(left, widths, strict=True)]
        bars.axvline(0, color="black", lw=1)
        bars.set_yticks(range(len(changed)), [shorten(label, 20) for label in labels])
        bars.xaxis.set_major_locator(MaxNLocator(integer=True))
        bars.xaxis.set_major_formatter(lambda x, _: f"{abs(x):g}")
        bars.invert_yaxis()
        bars.set_xlim(-1.15 * max([1, *(len(c.broken) for c in changed)]), 1.1 * max([1, *(len(c.fixed) for c in changed)]))
        who = "the students kept" if after is None else f"the students after round {after}"
        bars.set(xlabel="test questions (left of 0: broken)", title=f"What {who} fixed and broke")
        figure.legend(*bars.get_legend_handles_labels(), loc="outside lower right", ncols=3, frameon=False)
        return figure
