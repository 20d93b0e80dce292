"""Figures of the panels: a run's losses so far, its mistakes, and several runs compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from l2r_lite.app.figures.base import BLUE, GREEN, GREY, ORANGE, RED, new_figure, shorten, style
from l2r_lite.app.figures.runs import MOST_SKILLS, draw_rounds

if TYPE_CHECKING:
    from l2r_lite.runs.compare import Changed
    from l2r_lite.runs.stories import Story


def losses_by_round(logs: Mapping[int, Sequence[dict[str, float]]]) -> Figure:
    """L_lm and L_cl over the training steps of all rounds so far, one after the other.

    Args:
        logs: round → what each of its training steps logged, the unfinished round included.
    """
    entries = [entry for log in logs.values() for entry in log]
    panels = (("lm", "L_lm in nats a token", BLUE), ("cl", "L_cl (cosine)", ORANGE))
    with style():
        figure = new_figure(8, 4.2)
        for axes, (key, name, colour) in zip(figure.subplots(1, 2), panels, strict=True):
            values = [entry[key] for entry in entries]
            axes.plot(range(1, len(entries) + 1), values, color=colour, lw=1.4)
            start = 0
            for number, log in logs.items():
                axes.axvline(start + 0.5, color=GREY, lw=1, ls=":")
                axes.annotate(
                    f"round {number}", (start + 0.5, 1), (3, -4), va="top", fontsize=11,
                    color=GREY, xycoords=("data", "axes fraction"), textcoords="offset points")
                start += len(log)
            top = 1.15 * max(values, default=1.0) or 1
            axes.set(
                xlabel="training step", ylabel=name, ylim=(0, top),
                xlim=(0.5, max(start, 1) + 0.5))
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.grid(axis="y", alpha=0.25)
        title = "No training step yet"
        if entries:
            title = f"The two losses after {len(entries)} training steps"
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        return figure


def mistakes_by_fate(stories: Sequence[Story]) -> Figure:
    """What became of the questions answered wrong, by skill: fixed, still wrong, not asked yet."""
    from l2r_lite.runs.stories import FIXED, NOT_ASKED, STILL_WRONG

    rows: dict[str, Counter[str]] = {}
    for story in stories:
        rows.setdefault(story.problem.skill or "no skill named", Counter())[story.fate] += 1
    most = sorted(rows, key=lambda skill: -rows[skill].total())[:MOST_SKILLS]
    names = [name for name in rows if name in most]
    totals = Counter(story.fate for story in stories)
    fates = [fate for fate in (FIXED, STILL_WRONG, NOT_ASKED) if totals[fate]]
    looks = {FIXED: (BLUE, ""), STILL_WRONG: (ORANGE, "/"), NOT_ASKED: (GREY, ".")}
    with style():
        figure = new_figure(8, 1.9 + 0.3 * max(len(names), 1))
        axes = figure.subplots()
        left = [0] * len(names)
        for fate in fates:
            left = _bars(axes, [rows[name][fate] for name in names], left, fate, *looks[fate])
        axes.set_yticks(range(len(names)), [shorten(name, 24) for name in names])
        axes.invert_yaxis()
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        title = ", ".join(f"{totals[fate]} {fate}" for fate in fates) or "No mistake"
        if len(rows) > len(names):
            title += f" (and {len(rows) - len(names)} more skills)"
        axes.set(xlabel="questions answered wrong", title=title)
        if names:
            figure.legend(loc="outside lower right", ncols=3, frameon=False)
        return figure


def _bars(
    axes: Axes, widths: list[int], left: list[int], label: str, colour: str, hatch: str
) -> list[int]:
    """Horizontal bars with their numbers on them; returns where the next ones begin."""
    bars = axes.barh(
        range(len(widths)), widths, left=left, color=colour, hatch=hatch, edgecolor="white",
        label=label)
    numbers = [str(abs(n)) if n else "" for n in widths]
    box = {"fc": "white", "ec": "none", "pad": 1, "alpha": 0.9}  # behind it lies a hatched bar
    axes.bar_label(bars, numbers, label_type="center", fontsize=11, bbox=box)
    return [start + width for start, width in zip(left, widths, strict=True)]


def runs_compared(
    reports: Sequence[dict[str, Any]], labels: Sequence[str], changed: Sequence[Changed],
    after: int | None = None,
) -> Figure:
    """Several runs: accuracy by round with intervals, and the test questions fixed and broken.

    Args:
        changed: for each run, what its student answers otherwise than before any training.
        after: the round whose students these are; None: the students kept.
    """
    alone = [len(c.only) for c in changed]
    shared = [len(c.fixed - c.only) for c in changed]
    broken = [len(c.broken) for c in changed]
    fixed = [len(c.fixed) for c in changed]
    with style():
        figure = new_figure(8, 6.6 + 0.5 * len(changed))
        curves, bars = figure.subplots(2, 1, height_ratios=[4.4, 1 + 0.5 * len(changed)])
        draw_rounds(curves, reports, labels)
        zero = [0] * len(changed)
        left = _bars(bars, alone, zero, "fixed by this run only", BLUE, "")
        _bars(bars, shared, left, "fixed by another, too", GREEN, "/")
        _bars(bars, [-n for n in broken], zero, "broken", RED, "x")
        bars.axvline(0, color="black", lw=1)
        bars.set_yticks(range(len(changed)), [shorten(label, 20) for label in labels])
        bars.xaxis.set_major_locator(MaxNLocator(integer=True))
        bars.xaxis.set_major_formatter(lambda x, _: f"{abs(x):g}")
        bars.invert_yaxis()
        bars.set_xlim(-1.15 * max(1, *broken), 1.1 * max(1, *fixed))
        who = "the students kept" if after is None else f"the students after round {after}"
        bars.set(
            xlabel="test questions (left of 0: broken)", title=f"What {who} fixed and broke")
        handles = bars.get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower right", ncols=3, frameon=False)
        return figure
