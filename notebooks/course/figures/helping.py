"""Figures of the lab on help: what each lesson does step by step, and what a hint solves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2r_course.figures.common import headline, label
from l2r_course.labs.helping.doses import Look
from l2r_course.labs.helping.hints import Hinted
from l2r_lite.app.figures.base import BLUE, GREY, ORANGE, PURPLE, new_figure, style
from l2r_lite.app.figures.readable import describe, text_on

_COLOURS = (BLUE, ORANGE, PURPLE)


@style()
def help_by_step(looks: Mapping[str, Sequence[Look]]) -> Figure:
    """Test accuracy by training step, and the share of texts that write a step, for each lesson.

    Args:
        looks: kind of lesson → the student after each dose.
    """
    figure = new_figure(12, 5.5)
    left, right = figure.subplots(1, 2)
    for (arm, seen), colour in zip(looks.items(), _COLOURS, strict=False):
        steps = [look.step for look in seen]
        free, forced = ([100 * getattr(look, what) for look in seen] for what in ("free", "forced"))
        left.plot(steps, free, "o-", color=colour, lw=2.5, label=arm)
        left.plot(steps, forced, "s--", color=colour, lw=1.5, ms=5,
                  label=f"{arm}, first word given")
        right.plot(steps, [100 * look.with_step for look in seen], "o-", color=colour, lw=2.5)
    left.set(ylabel="test accuracy in %", title="Right answers")
    right.set(ylabel="texts in %", title="Texts that write a step")
    for axes in (left, right):
        axes.set(xlabel="training steps", ylim=(-3, 103))
        axes.grid(axis="y", alpha=0.25)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3,
                  frameon=False, fontsize=10)
    headline(figure, "What each kind of lesson does to the student, step by step")
    describe(figure, "; ".join(
        f"{arm}: {100 * s[0].free:.0f} % at first, {100 * s[-1].free:.0f} % after "
        f"{s[-1].step} steps ({100 * s[-1].forced:.0f} % with its first word given), a step in "
        f"{100 * s[-1].with_step:.0f} % of its texts" for arm, s in looks.items()))
    return figure


@style()
def one_dose(look: Look, before: Look) -> Figure:
    """What the student can do after a dose, beside what it could do before."""
    figure = new_figure(9, 3.8)
    axes = figure.subplots()
    bars = {"known skills": ("known", "forced_known"), "all skills": ("free", "forced"),
            "texts with a step": ("with_step", None)}
    told = []
    for y, (name, (free, forced)) in enumerate(bars.items()):
        for lift, what, colour, text in (
                (-0.2, free, ORANGE, "writing freely"), (0.2, forced, BLUE, "first word given")):
            if what is None:
                continue
            share = 100 * getattr(look, what)
            bar = axes.barh(y + lift, share, 0.36, color=colour, label=text if not y else None)
            _write(axes, share, y + lift, bar[0].get_facecolor())
            told.append(f"{name}, {text}: {share:.0f} %")
        was = 100 * getattr(before, free)
        axes.plot([was, was], [y - 0.4, y + 0.4], color="black", lw=2,
                  label="untrained" if not y else None)
    axes.set_yticks(range(len(bars)), list(bars))
    axes.set(xlabel="right answers, or texts, in %", xlim=(0, 103), ylim=(len(bars) - 0.5, -0.5),
             title=f"After {look.step} steps")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    describe(figure, "; ".join(told))
    return figure


@style()
def hints_solved(found: Mapping[str, Sequence[Hinted]]) -> Figure:
    """Wrong answers solved with a hint, and by going on without it, for each student."""
    figure = new_figure(9, 4.2)
    axes = figure.subplots()
    told = []
    for y, (name, hinted) in enumerate(found.items()):
        given = [h for h in hinted if h.hint]
        for lift, what, colour, text in (
                (-0.2, "solved", BLUE, "with the hint"), (0.2, "alone", GREY, "without it")):
            share = 100 * np.mean([getattr(h, what) for h in given])
            bar = axes.barh(y + lift, share, 0.36, color=colour, label=text if not y else None)
            _write(axes, share, y + lift, bar[0].get_facecolor())
            told.append(f"{name}, {text}: {share:.0f} %")
    names = [f"{name}\n{sum(bool(h.hint) for h in found[name])} hints" for name in found]
    axes.set_yticks(range(len(found)), names)
    axes.set(xlabel="wrong answers that became right, in %", xlim=(0, 100),
             ylim=(len(found) - 0.5, -0.5), title="What the next step as a hint solves")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    describe(figure, "; ".join(told))
    return figure


def _write(axes: Axes, share: float, y: float, colour: object) -> None:
    if share < 15:
        label(axes, f"{share:.0f} %", (share, y), "black", (6, 0))
        return
    axes.text(share - 1.5, y, f"{share:.0f} %", ha="right", va="center", weight="bold",
              color=text_on(colour))  # type: ignore[arg-type]
