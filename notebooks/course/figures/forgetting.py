"""What rounds break and repair: skills by round, mistakes by round, and the stopping rule.

Colours mean the same as in a run's own figures (BETTER, WORSE). Known skills have dark bars,
withheld skills light ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2r_course.figures.common import headline, label, percent
from l2r_course.stopping import stopping_round
from l2r_lite.app.figures.base import BETTER, GREEN, GREY, WORSE, new_figure, style
from l2r_lite.data.pocket.world import KNOWN
from l2r_lite.loop.records import ExamReport

# With 15 questions per skill, one question is 7 points: a fall of only one is not counted.
NOTICED = 0.10
DARK, LIGHT = "#404040", "#D0D0D0"

BySkill = Mapping[str, float]


def skill_changes(report: dict[str, Any]) -> Figure:
    """One panel per round, one arrow per skill: from its accuracy before to its accuracy after."""
    rounds = report["rounds"]
    panels = [
        (f"Round {b['round']}", a["by_skill"], b["by_skill"])
        for a, b in zip(rounds, rounds[1:], strict=False)]
    falls = (_fallen(before, after) for _, before, after in panels)
    lost = ", ".join(f"{number} in round {i}" for i, number in enumerate(falls, 1))
    return _arrows(panels, f"Skills that fell by more than 10 points: {lost}")


def replay_compared(reports: Mapping[str, dict[str, Any]], number: int = 1) -> Figure:
    """One round of several runs side by side: replay_compared({"replay 0": report, …})."""
    panels = [
        (name, run["rounds"][number - 1]["by_skill"], run["rounds"][number]["by_skill"])
        for name, run in reports.items()]
    lost = ", ".join(f"{_fallen(before, after)} with {name}" for name, before, after in panels)
    return _arrows(panels, f"Skills that fell by more than 10 points in round {number}: {lost}")


def _fallen(before: BySkill, after: BySkill) -> int:
    return sum(before[s] - after[s] > NOTICED for s in before)


def _grouped(skills: Sequence[str]) -> tuple[list[str], int]:
    """Known skills first, and how many there are; all other skills count as withheld."""
    known = [s for s in skills if s in KNOWN]
    return known + [s for s in skills if s not in KNOWN], len(known)


@style()
def _arrows(panels: Sequence[tuple[str, BySkill, BySkill]], title: str) -> Figure:
    skills, known = _grouped(list(panels[0][1]))
    figure = new_figure(3.2 + 3.6 * len(panels), 1.6 + 0.27 * len(skills))
    row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (name, before, after) in zip(row, panels, strict=True):
        for y, skill in enumerate(skills):
            _arrow(axes, y, 100 * before[skill], 100 * after[skill])
        told = []
        for word, group in (("known", skills[:known]), ("withheld", skills[known:])):
            if group:
                first, then = (percent(fmean(by[s] for s in group)) for by in (before, after))
                told.append(f"{word} {first} → {then}")
        axes.set_title("\n".join([name, *told]), fontsize=12, fontweight="normal")
        _shared_rows(axes, skills, known)
        axes.set(xlim=(-4, 104), xlabel="test accuracy in %")
        axes.grid(axis="x", alpha=0.25)
    headline(figure, title, fontsize=14)
    key = "arrow to the right: better;  to the left: worse;  dot: unchanged"
    figure.supxlabel(key, x=0.01, ha="left", fontsize=11, color=GREY)
    return figure


def _arrow(axes: Axes, y: int, before: float, after: float) -> None:
    if before == after:
        axes.plot(before, y, "o", color=GREY, ms=5)
        return
    axes.annotate("", (after, y), (before, y), annotation_clip=False,
                  arrowprops={"arrowstyle": "-|>,head_width=0.3,head_length=0.5",
                              "color": BETTER if after > before else WORSE, "lw": 2.2, "shrinkA": 0,
                              "shrinkB": 0})


def _shared_rows(axes: Axes, skills: Sequence[str], known: int) -> None:
    axes.set_yticks(range(len(skills)), skills)
    axes.set_ylim(len(skills) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    if 0 < known < len(skills):
        axes.axhline(known - 0.5, color=GREY, lw=1)


@style()
def mistakes_by_skill(exams: Sequence[ExamReport]) -> Figure:
    """One panel per exam: wrong answers by skill. The round's lessons are about these only."""
    counts = []
    for exam in exams:
        skill = {p.id: p.skill for p in exam.problems}
        counts.append(Counter(skill[s.problem_id] for s in exam.samples if not s.correct))
    skills, known = _grouped(list(dict.fromkeys(p.skill for p in exams[0].problems)))
    sums = (sum(count[s] for s in skills[:known]) for count in counts)
    on_known = ", ".join(f"{number} in exam {i}" for i, number in enumerate(sums, 1))
    longest = max(max(count.values(), default=0) for count in counts)
    figure = new_figure(2.8 + 2.3 * len(exams), 1.3 + 0.27 * len(skills))
    row = figure.subplots(1, len(exams), sharey=True, squeeze=False)[0]
    for number, (axes, count) in enumerate(zip(row, counts, strict=True), 1):
        values = [count[s] for s in skills]
        colours = [DARK] * known + [LIGHT] * (len(skills) - known)
        axes.barh(range(len(skills)), values, height=0.7, color=colours, edgecolor=DARK)
        for y, value in enumerate(values):
            label(axes, str(value), (value, y), "black", (4, 0), fontsize=10)
        _shared_rows(axes, skills, known)
        axes.set_title(f"Exam {number}: {sum(values)} mistakes", fontsize=12, fontweight="normal")
        axes.set(xlim=(0, 1.2 * max(longest, 1)), xlabel="mistakes")
    headline(figure, f"Mistakes on known skills (dark bars): {on_known}", fontsize=14)
    return figure


@style()
def stopping_rule(
    validation: Sequence[float], patience: int = 1, minimal_gain: float = 0.0
) -> Figure:
    """Where a run with these validation accuracies stops, and which round's student it keeps."""
    last, best = stopping_round(validation, patience, minimal_gain)
    values = [100 * v for v in validation]
    end = len(values) - 1
    figure = new_figure(8.5, 4.6)
    axes = figure.subplots()
    axes.plot(range(last, end + 1), values[last:], "o:", color=GREY, lw=1.6, ms=6, mfc="white")
    axes.plot(range(last + 1), values[: last + 1], "o-", color=DARK, lw=2.2, ms=7)
    axes.plot(best, values[best], "o", color=GREEN, ms=15, mfc="none", mew=3)
    to_beat = values[best] + 100 * minimal_gain
    axes.axhline(to_beat, color=GREEN, lw=1, ls="--")
    axes.text(end + 0.55, to_beat + 1, "to beat", color=DARK, ha="right", fontsize=11)
    for x, y in enumerate(values):
        axes.annotate(
            f"{y:.1f}", (x, y), (0, -21), textcoords="offset points", ha="center", fontsize=11,
            color=DARK if x <= last else GREY, bbox={"fc": "white", "ec": "none", "pad": 1})
    if last < end:
        axes.axvline(last + 0.5, color=DARK, lw=1.5)
        axes.text(last + 0.53, 3, "stop: the rounds to the right\nare not run", color=DARK,
                  fontsize=11, va="bottom")
    axes.set(ylim=(0, 105), xlim=(-0.4, end + 0.6), xlabel="round (0: before any training)")
    axes.set_ylabel("validation accuracy in %")
    axes.set_xticks(range(end + 1))
    axes.grid(axis="y", alpha=0.25)
    rule = f"Patience {patience}" if patience else "Patience 0 (never stop)"
    axes.set_title(f"{rule}: round {last} is the last, the student of round {best} is kept")
    return figure
