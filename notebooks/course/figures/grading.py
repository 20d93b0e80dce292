"""Figures of notebook 01: question lengths, what graders read, leaks into the test."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from l2r_course.figures.common import headline
from l2r_lite.app.figures.base import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, new_figure, style
from l2r_lite.app.figures.readable import describe
from l2r_lite.data import answers as grading
from l2r_lite.data.answer_choices import VERDICT
from l2r_lite.data.answer_marks import find_marks
from l2r_lite.data.numbers import NUMBER
from l2r_lite.loop.records import Kind

if TYPE_CHECKING:
    from l2r_course.checks.outputs import Output, Reader

ANNOUNCES, COULD_BE = "#FBE3B0", "#BFDDF0"
KIND_COLOURS = {"number": BLUE, "yes-no": ORANGE, "choice": GREEN}


@style()
def question_lengths(counts: Mapping[str, Mapping[str, Any]], words_a_bin: int = 5) -> Figure:
    """How long the questions of each data set are, one row per set (leak_counts.counts_of)."""
    figure = new_figure(10, 0.85 * len(counts) + 1)
    rows = figure.subplots(len(counts), 1, sharex=True)
    for axes, (name, about) in zip(rows, counts.items(), strict=True):
        total = sum(about["rows"].values())
        starts = [int(start) for start in about["words"]]
        colour = KIND_COLOURS.get(about["kind"], GREY)
        shares = [100 * n / total for n in about["words"].values()]
        axes.bar(starts, shares, width=0.92 * words_a_bin, align="edge", color=colour)
        what = about["kind"] if about["kind"] in KIND_COLOURS else "all three kinds"
        axes.text(0.995, 0.62, f"{name}: {what}, {total:,} questions", transform=axes.transAxes,
                  ha="right", color=colour, weight="bold")
        axes.text(0.995, 0.24, f"longest about {max(starts) + words_a_bin - 1} words",
                  transform=axes.transAxes, ha="right", fontsize=10.5, color=GREY)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    middles = {name: _median(about["words"]) for name, about in counts.items()}
    short, long = (pick(middles, key=middles.__getitem__) for pick in (min, max))
    low, high = (f"{middles[n]} to {middles[n] + words_a_bin - 1} words" for n in (short, long))
    rows[0].set_title(f"Median length: {low} in {short}, {high} in {long}")
    rows[-1].set_xlabel("words per question (height: share of that data set's questions)")
    return figure


def _median(words: Mapping[str, int]) -> int:
    """The first number of words of the bin that holds the median question."""
    total, seen = sum(words.values()), 0
    for start, count in words.items():
        seen += count
        if 2 * seen >= total:
            return int(start)
    return 0


@style()
def readings(outputs: Sequence[Output], readers: Mapping[str, Reader]) -> Figure:
    """Which text each program reads as a person does: one row per program, one column per text."""
    marks = {
        "same": ("", "#CFE3F1"), "other": ("≠", ORANGE), "invented": ("+", RED),
        "missed": ("–", PURPLE)}
    texts = sorted(outputs, key=lambda o: list(KIND_COLOURS).index(o.problem.kind))
    figure = new_figure(10, 0.52 * len(readers) + 1.9)
    axes = figure.subplots()
    right = []
    for y, read in enumerate(readers.values()):
        verdicts = [_verdict(read, output) for output in texts]
        right.append(verdicts.count("same"))
        for x, verdict in enumerate(verdicts):
            sign, colour = marks[verdict]
            axes.add_patch(Rectangle((x + 0.05, y + 0.08), 0.9, 0.84, color=colour, lw=0))
            axes.text(x + 0.5, y + 0.5, sign, ha="center", va="center", weight="bold", fontsize=13)
        score = f"{right[-1]} of {len(texts)}"
        axes.text(len(texts) + 0.4, y + 0.5, score, va="center", weight="bold")
    start = 0
    for kind in KIND_COLOURS:
        count = sum(o.problem.kind == kind for o in texts)
        axes.plot([start + 0.1, start + count - 0.1], [-0.12, -0.12], color="#333333", lw=1.5)
        axes.text(start + count / 2, -0.25, kind, ha="center", va="bottom")
        start += count
    axes.set(xlim=(0, len(texts) + 4), ylim=(len(readers) + 0.05, -0.75), xticks=[])
    axes.set_yticks([y + 0.5 for y in range(len(readers))], list(readers))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    signs = "≠ another answer   + an answer, but there is none   – no answer, but there is one"
    axes.set_xlabel(f"one column per text:   {signs}", loc="left", fontsize=10.5)
    describe(figure, "; ".join(
        f"{name}: {count} of {len(texts)}" for name, count in zip(readers, right, strict=True)))
    *simple, last = right
    best = f"{max(simple, default=0)} of {len(texts)} texts"
    library = list(readers)[-1]
    headline(figure, f"The best simple grader agrees with a person on {best}, {library} on {last}")
    return figure


def _verdict(read: Reader, output: Output) -> str:
    # Imported here: drawing a run must not load all exercises.
    from l2r_course.checks.outputs import agrees

    got = read(output.text, output.problem.kind, output.problem.choices)
    if agrees(got, output.read, output.problem.kind):
        return "same"
    if got is None:
        return "missed"
    return "invented" if output.read is None else "other"


@style()
def reading(text: str, kind: Kind, choices: Sequence[str] = ("Zoe", "Pia")) -> Figure:
    """A text as the grader sees it: what announces an answer, what could be one, and the answer."""
    lines: list[str] = []
    for line in text.strip().split("\n"):
        lines += textwrap.wrap(line, 84) or [""]
    lines = lines[:9]
    answer, why = grading.read_answer(text, kind, choices)
    height = len(lines) + 4.2
    figure = new_figure(10, 0.28 * height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    axes.set(xlim=(0, 98), ylim=(height, 0))  # a unit is a character of the 12 pt typewriter face
    axes.axis("off")
    keys = ((0.4, "announces an answer", ANNOUNCES), (22, f"could be an answer ({kind})", COULD_BE))
    for x, key, colour in keys:
        box = {"fc": colour, "ec": "none", "pad": 2}
        axes.text(x, 0.8, key, fontsize=11, va="center", bbox=box)
    for y, line in enumerate(lines, start=2):
        spans = [(span, COULD_BE) for span in _possible(line, kind, choices)]
        spans += [(m.span(), ANNOUNCES) for m in find_marks(line, kind)]
        for (start, end), colour in spans:
            axes.add_patch(Rectangle((start, y - 0.45), end - start, 0.9, color=colour, lw=0))
        axes.text(0, y, line, family="monospace", va="center")
    told = answer or "no answer"
    if answer and kind == "choice":
        told = f"({answer})  {choices['AB'.find(answer)]}"
    axes.text(0, height - 1.75, f"read: {told}", fontsize=16, weight="bold", va="center",
              color=RED if answer is None else BLUE)
    axes.text(0, height - 0.6, f"because {why}", va="center", color="#333333")
    return figure


def _possible(line: str, kind: Kind, choices: Sequence[str]) -> list[tuple[int, int]]:
    if kind == "number":
        pattern = NUMBER
    elif kind == "yes-no":
        pattern = VERDICT
    else:
        pattern = re.compile("|".join([r"\([A-Z]\)", *(rf"\b{re.escape(c)}\b" for c in choices)]))
    return [m.span() for m in pattern.finditer(line)]


@style()
def leaks_by_net(counts: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Share of test questions with a twin in training, for three definitions of a twin."""
    nets = {
        "exact": ("identical text", BLUE),
        "masked": ("identical except for the numbers", ORANGE),
        "story": ("same story, perhaps another question", GREEN)}
    figure = new_figure(10, 0.62 * len(counts) + 1.5)
    axes = figure.subplots()
    for y, about in enumerate(counts.values()):
        tests = about["rows"]["test"]
        if not any(about["leaks"].values()):
            axes.text(0.5, y, f"none of {tests:,}", va="center", fontsize=10.5, color=GREY)
            continue
        for i, (net, (_, colour)) in enumerate(nets.items()):
            found, at = about["leaks"][net], y + 0.27 * (i - 1)
            share = 100 * found / tests
            axes.barh(at, share, height=0.25, color=colour)
            told = f"{found} of {tests}" if found else "0"
            axes.text(share + 0.5, at, told, va="center", fontsize=10)
    for i, (what, colour) in enumerate(nets.values()):
        height = 0.5 - 0.08 * i
        axes.plot(0.57, height, "s", color=colour, ms=9, transform=axes.transAxes)
        axes.text(0.59, height, what, transform=axes.transAxes, va="center")
    axes.set_yticks(range(len(counts)), list(counts))
    axes.set(xlim=(0, 62), ylim=(len(counts) - 0.45, -0.6),
             xlabel="test questions with a twin in training, in %")
    describe(figure, "; ".join(
        f"{name}, of {about['rows']['test']:,} test questions: "
        + ", ".join(f"{about['leaks'][net]} {what}" for net, (what, _) in nets.items())
        for name, about in counts.items() if any(about["leaks"].values())))
    name, about = max(counts.items(), key=lambda item: _hidden_by_numbers(item[1]))
    found, tests = about["leaks"], f"{about['rows']['test']:,} test questions"
    headline(figure, f"{name}: {found['exact']} of {tests} have an identical twin, "
                     f"{found['masked']} with numbers masked")
    return figure


def _hidden_by_numbers(about: Mapping[str, Any]) -> float:
    """Share of test questions whose twin is found only with numbers masked."""
    return float((about["leaks"]["masked"] - about["leaks"]["exact"]) / about["rows"]["test"])


@style()
def parrot_by_size(
    sizes: Sequence[int], by_row: Sequence[float], by_template: Sequence[float]
) -> Figure:
    """A parrot's accuracy on a test drawn row by row, and on a test with wordings of its own."""
    figure = new_figure(9, 4.4)
    axes = figure.subplots()
    splits = ((by_row, "rows drawn at random", RED), (by_template, "wordings kept apart", BLUE))
    for values, name, colour in splits:
        axes.plot(sizes, [100 * v for v in values], "o-", color=colour, lw=2.2, ms=7)
        last = 100 * values[-1]
        axes.annotate(f"{name}: {last:.0f} %", (sizes[-1], last), (4, 12), ha="right",
                      textcoords="offset points", color=colour, weight="bold")
    axes.set_xscale("log")
    axes.set_xticks(list(sizes), [f"{n:,}" for n in sizes])
    axes.minorticks_off()
    axes.set(ylim=(-3, 105), xlabel="training questions", ylabel="the parrot's test accuracy in %")
    rows, wordings = (f"{100 * values[-1]:.0f} %" for values in (by_row, by_template))
    axes.set_title(f"A parrot scores {rows} on a split by rows, {wordings} on a split by wording")
    axes.grid(axis="y", alpha=0.25)
    return figure
