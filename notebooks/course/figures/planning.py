"""Figures of what fits where: the parts of a run's memory, and the cards that it must fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2r_course.figures.common import label
from l2r_lite.app.figures.base import BLUE, COLOURS, GREEN, GREY, new_figure, style
from l2r_lite.app.figures.readable import text_on
from l2r_lite.runs.show import Table

if TYPE_CHECKING:
    from l2r_lite.app.planner import MemoryPlan

CARDS = (8, 12, 16, 24)  # GB
TRAINING = ("weights", "constants", "adapter", "gradients", "optimizer", "activations")
WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 1}
COLOUR = dict(
    zip(TRAINING, (BLUE, COLOURS[5], COLOURS[4], COLOURS[1], COLOURS[3], GREEN), strict=True))


@style()
def memory_by_part(
    plans: Mapping[str, MemoryPlan],
    title: str = "A small student's memory is mostly activations, a large one's mostly weights",
) -> Figure:
    """One bar per plan: the peak of a training step; a mark where an exam needs more."""
    figure = new_figure(10, 2.1 + 0.75 * len(plans))
    axes = figure.subplots()
    _draw(figure, axes, plans)
    axes.set(title=title)
    return figure


@style()
def card_planner(plan: MemoryPlan, card: float) -> Figure:
    """One plan and one card, with the verdict as the title."""
    figure = new_figure(10, 3.3)
    axes = figure.subplots()
    axes.axvspan(plan.usable(card) / 1e9, card, color=GREY, alpha=0.18, lw=0, label="CUDA, gaps")
    _draw(figure, axes, {plan.student.rpartition("/")[2]: plan}, (card,))
    axes.set_title(f"{plan.peak / 1e9:.1f} GB at most: {_fits(plan, card)} a card of {card:g} GB")
    return figure


def card_table(
    plan: MemoryPlan, card: float, remedies: Sequence[tuple[str, MemoryPlan]] = ()
) -> Table:
    """The numbers of `card_planner`.

    Args:
        remedies: what to change if it does not fit, each with the plan after it (planner.knobs).
    """
    parts = [(name, _gigabytes(plan.parts[name])) for name in TRAINING]
    sums = [
        ("a training step, at most", _gigabytes(plan.training)),
        ("an exam, at most", _gigabytes(plan.exam)),
        (f"usable of a card of {card:g} GB", _gigabytes(plan.usable(card)))]
    changed = [
        (f"with {name}", f"{_gigabytes(p.peak)} at most: {_fits(p, card)}") for name, p in remedies]
    return Table(["part", "memory"], [*parts, *sums, *changed])


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.2f} GB"


def _fits(plan: MemoryPlan, card: float) -> str:
    return "fits" if plan.fits(card) else "does not fit"


def _draw(
    figure: Figure, axes: Axes, plans: Mapping[str, MemoryPlan], cards: tuple[float, ...] = CARDS
) -> None:
    names = list(plans)
    widest = max(plan.peak for plan in plans.values()) / 1e9
    for y, plan in enumerate(plans.values()):
        left = 0.0
        for part in TRAINING:
            size = plan.parts[part] / 1e9
            name = part if y == 0 else None  # one entry in the legend
            axes.barh(y, size, left=left, color=COLOUR[part], height=0.55, label=name)
            if size > 0.09 * max(widest, cards[-1]):
                axes.text(left + size / 2, y, f"{size:.1f}", ha="center", va="center",
                          color=text_on(COLOUR[part]), fontsize=11)
            left += size
        end = max(left, plan.exam / 1e9)  # right of the exam's mark, too
        label(axes, f"{left:.1f} GB", (end, y), "black", (6, 0), fontsize=11, bbox=WHITE)
        axes.plot([plan.exam / 1e9] * 2, [y - 0.36, y + 0.36], color="black", lw=2,
                  label="exam, at most" if y == 0 else None)
    for card in cards:
        axes.axvline(card, color=GREY, lw=1, ls="--")
        axes.text(card, -0.62, f"{card:g} GB card", ha="center", va="bottom", fontsize=11,
                  color="#555555", bbox=WHITE)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="memory in GB", xlim=(0, 1.08 * max(widest, cards[-1])),
             ylim=(len(names) - 0.5, -0.8))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4,
                  frameon=False, fontsize=11)
