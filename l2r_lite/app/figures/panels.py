"""Figures of the panels: a run's mistakes, and several runs compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from l2r_lite.app.figures.base import BETTER, COLOURS, GREY, MISTAKE, new_figure, shorten, style
from l2r_lite.app.figures.readable import describe
from l2r_lite.app.figures.runs import MOST_SKILLS, draw_rounds, rounds_in_words

if TYPE_CHECKING:
    from l2r_lite.runs.compare import Changed
    from l2r_lite.runs.stories import Story

def mistakes_by_fate(stories: Sequence[Story]) -> Figure:
    """Questions answered wrong, by skill and outcome: fixed, still wrong, not asked again."""
    from l2r_lite.runs.stories import FIXED, NOT_ASKED, STILL_WRONG

    rows: dict[str, Counter[str]] = {}
    for story in stories:
        rows.setdefault(story.problem.skill or "no skill named", Counter())[story.fate] += 1
    most = sorted(rows, key=lambda skill: -rows[skill].total())[:MOST_SKILLS]
    names = [name for name in rows if name in most]
    totals = Counter(story.fate for story in stories)
    fates = [fate for fate in (FIXED, STILL_WRONG, NOT_ASKED) if totals[fate]]
    looks = {FIXED: (BETTER, ""), STILL_WRONG: (MISTAKE, "/"), NOT_ASKED: (GREY, ".")}
    with style():
        figure = new_figure(8, 1.9 + 0.3 * max(len(names), 1))
        axes = figure.subplots()
        left = [0] * len(names)
        for fate in fates:
            colour, hatch = looks[fate]
            bars = axes.barh(
                range(len(names)), [rows[name][fate] for name in names], left=left, color=colour,
                hatch=hatch, edgecolor="white", label=fate)
            _number(axes, bars)
            left = [start + rows[name][fate] for start, name in zip(left, names, strict=True)]
        axes.set_yticks(range(len(names)), [shorten(name, 24) for name in names])
        axes.invert_yaxis()
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        title = ", ".join(f"{totals[fate]} {fate}" for fate in fates) or "No mistake"
        if len(rows) > len(names):
            title += f" (and {len(rows) - len(names)} more skills)"
        axes.set(xlabel="questions answered wrong", title=title)
        if names:
            figure.legend(loc="outside lower right", ncols=3, frameon=False)
        by_skill = (
            f"{shorten(name, 24)} " + ", ".join(f"{n} {fate}" for fate, n in rows[name].items())
            for name in names)
        describe(figure, f"By skill: {'; '.join(by_skill)}" if names else "")
        return figure


def _number(axes: Axes, bars: BarContainer) -> None:
    """Write each bar's length on it."""
    lengths = [abs(round(bar.get_width())) for bar in bars]
    box = {"fc": "white", "ec": "none", "pad": 2, "alpha": 0.9}  # a hatched bar is behind it
    axes.bar_label(
        bars, [str(n) if n else "" for n in lengths], label_type="center", fontsize=11, bbox=box)


def runs_compared(
    reports: Sequence[dict[str, Any]], labels: Sequence[str], changed: Sequence[Changed],
    after: int | None = None,
) -> Figure:
    """Several runs: accuracy by round with intervals, and the test questions fixed and broken.

    A run has the same colour in both panels; the hatch of a bar shows the outcome.

    Args:
        changed: per run, the questions that its student answers differently after training.
        after: the round whose students these are; None: the students kept.
    """
    broken = [len(c.broken) for c in changed]
    fixed = [len(c.fixed) for c in changed]
    with style():
        figure = new_figure(8, 6.6 + 0.5 * len(changed))
        curves, bars = figure.subplots(2, 1, height_ratios=[4.4, 1 + 0.5 * len(changed)])
        draw_rounds(curves, reports, labels)
        for y, change in enumerate(changed):
            colour = COLOURS[y % len(COLOURS)]
            alone, shared = len(change.only), len(change.fixed - change.only)
            pieces = (
                (0, alone, "full"), (alone, shared, "shared"), (0, -len(change.broken), "broken"))
            for left, width, look in pieces:
                if width:
                    _number(bars, bars.barh(y, width, left=left, **_bar_look(look, colour)))
        bars.axvline(0, color="black", lw=1)
        bars.set_yticks(range(len(changed)), [shorten(label, 20) for label in labels])
        bars.xaxis.set_major_locator(MaxNLocator(integer=True))
        bars.xaxis.set_major_formatter(lambda x, _: f"{abs(x):g}")
        bars.set_ylim(len(changed) - 0.5, -0.5)
        bars.set_xlim(-1.15 * max(1, *broken), 1.1 * max(1, *fixed))
        who = "the kept student" if after is None else f"after round {after}"
        bars.set(
            xlabel="test questions (left of 0: broken)",
            title=f"Questions fixed and broken, {who}")
        keys = {"full": "fixed by this run only", "shared": "fixed by another run too",
                "broken": "broken"}
        handles = [Patch(label=text, **_bar_look(look, GREY)) for look, text in keys.items()]
        figure.legend(handles=handles, loc="outside lower right", ncols=3, frameon=False)
        counts = (
            f"{shorten(label, 20)}: {len(c.fixed)} fixed ({len(c.only)} by this run only), "
            f"{len(c.broken)} broken" for label, c in zip(labels, changed, strict=True))
        describe(figure, f"{'; '.join(counts)}. {rounds_in_words(reports, labels)}")
        return figure


def _bar_look(kind: str, colour: str) -> dict[str, Any]:
    """A bar in the colour of its run: full, hatched in white, or white and crossed."""
    if kind == "broken":
        return {"facecolor": "white", "edgecolor": colour, "hatch": "xx"}
    return {"facecolor": colour, "edgecolor": "white", "hatch": "//" if kind == "shared" else ""}
