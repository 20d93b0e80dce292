"""Figure of the lab on search: accuracy against the tokens that were generated for it."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2r_course.figures.common import headline
from l2r_course.labs.search.study import Study
from l2r_lite.app.figures.base import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, new_figure, style
from l2r_lite.app.figures.readable import describe

COUNTS = (1, 2, 4, 8)
_LINES = {
    "vote": (BLUE, "o-"), "likeliest": (GREEN, "s-"), "vote, equations checked": (PURPLE, "^-"),
    "trained verifier": (RED, "D-"), "oracle": (GREY, "v--")}
_POINTS = {"no rationale": "X", "demonstrations": "P", "repair": "*", "beam over steps": "h"}


@style()
def price_of_search(studies: Mapping[str, Study], samples: int = 8) -> Figure:
    """Accuracy by generated tokens: a panel per student, a line per choice, a point per way.

    Args:
        samples: lines end at the choice among this many.
    """
    figure = new_figure(12, 6)
    row = figure.subplots(1, len(studies), sharey=True, squeeze=False)[0]
    told = []
    for axes, (name, study) in zip(row, studies.items(), strict=True):
        told.append(f"{name}: " + _panel(axes, study, samples))
        axes.set(
            xscale="log", title=name, xlabel="generated tokens per question (log scale)",
            ylim=(0, 100))
        axes.set_xticks([5, 10, 20, 50, 100, 200], ["5", "10", "20", "50", "100", "200"])
        axes.minorticks_off()
        axes.grid(alpha=0.25)
    row[0].set_ylabel("test accuracy in %")
    handles, labels = row[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    headline(figure, "What more tokens per question buy, before and after training")
    describe(figure, "; ".join(told))
    return figure


def _panel(axes: Axes, study: Study, samples: int) -> str:
    greedy = study.greedy()
    axes.axhline(100 * greedy.accuracy, color="black", lw=1, ls=":")
    axes.plot(greedy.tokens, 100 * greedy.accuracy, "o", color="black", ms=10, label="greedy")
    words = [f"greedy {100 * greedy.accuracy:.0f} %"]
    for name, (colour, look) in _LINES.items():
        counts = sorted({*(count for count in COUNTS if count < samples), samples})
        results = [study.chosen(name, count) for count in counts]
        axes.plot([r.tokens for r in results], [100 * r.accuracy for r in results], look,
                  color=colour, lw=2, ms=6, label=name)
        words.append(f"{name} of {results[-1].samples} {100 * results[-1].accuracy:.0f} %")
    for name in study.attempts:
        result = study.attempted(name)
        axes.plot(result.tokens, 100 * result.accuracy, _POINTS[name], color=ORANGE, ms=13,
                  mec="black", mew=0.8, label=name)
        words.append(f"{name} {100 * result.accuracy:.0f} %")
    return ", ".join(words)

