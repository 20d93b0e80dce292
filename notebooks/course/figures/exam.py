"""Figures of an exam: forks in a rationale, mistakes by samples, pass@k, intervals of accuracy.

As in the figures of forgetting, known skills are purple and withheld ones grey.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2r_course.figures.common import headline, label, percent
from l2r_course.pass_at_k import first_samples, pass_by_skill
from l2r_course.scores import TokenScores
from l2r_lite.app.figures.base import BLUE, COLOURS, GREY, PURPLE, RED, new_figure, style
from l2r_lite.app.figures.readable import text_on
from l2r_lite.loop.records import ExamReport
from l2r_lite.runs.show import Table
from l2r_lite.runs.statistics import wilson_interval

PALE = "#D9D9D9"
KNOWN, WITHHELD = PURPLE, GREY


@style()
def forks(scores: TokenScores) -> Figure:
    """Probabilities of the likeliest tokens at each position; coloured: below 90 %."""
    figure = new_figure(10, 4.4)
    axes = figure.subplots()
    undecided = 0
    for place in range(len(scores.tokens)):
        likeliest = scores.likeliest(place, count=4)
        undecided += likeliest[0][1] < 0.9
        bottom = 0.0
        for (name, chance), colour in zip(likeliest, (*COLOURS[:3], GREY), strict=True):
            axes.bar(place, 100 * chance, bottom=bottom, width=0.86,
                     color=colour if chance < 0.9 else PALE, lw=0)
            if 0.1 <= chance < 0.9:
                axes.text(place, bottom + 50 * chance, name.strip(), ha="center", va="center",
                          fontsize=11, color=text_on(colour), weight="bold",
                          rotation=90 if len(name.strip()) > 2 else 0)
            bottom += 100 * chance
    axes.set_xticks(range(len(scores.tokens)), [_visible(t) for t in scores.tokens])
    for tick in axes.get_xticklabels():
        tick.set_rotation(90 if len(tick.get_text()) > 2 else 0)
    axes.set(ylim=(0, 100), ylabel="probability in %", xlabel="the rationale, token by token",
             title=f"The student hesitates at {undecided} of {len(scores.tokens)} positions")
    axes.tick_params(axis="x", length=0)
    return figure


@style()
def temperatures(
    scores: TokenScores, place: int, values: Sequence[float] = (0.3, 0.7, 1.0, 2.0)
) -> Figure:
    """The same logits at several temperatures, side by side."""
    figure = new_figure(10, 3.6)
    for axes, temperature in zip(figure.subplots(1, len(values), sharey=True), values, strict=True):
        _draw_next_token(axes, scores, place, temperature)
    headline(figure, f"{_before(scores, place)}: a low temperature sharpens, a high one flattens")
    return figure


@style()
def next_token(scores: TokenScores, place: int, temperature: float) -> Figure:
    """Probabilities of the next token at one position and temperature; dashed: at temperature 1."""
    figure = new_figure(8, 4)
    axes = figure.subplots()
    _draw_next_token(axes, scores, place, temperature, outline=True)
    name, chance = scores.likeliest(place, temperature)[0]
    headline(figure, f"{_before(scores, place)}: {_visible(name)} with {percent(chance)}")
    return figure


def next_token_table(scores: TokenScores, place: int, temperature: float) -> Table:
    """The numbers of `next_token`."""
    head = ["next token", f"probability at T = {temperature:g}", "probability at T = 1"]
    rows = zip(*_chances(scores, place, temperature), strict=True)
    return Table(head, [(name, f"{abs(a):.1f} %", f"{abs(b):.1f} %") for name, a, b in rows])


def _chances(
    scores: TokenScores, place: int, temperature: float
) -> tuple[list[str], list[float], list[float]]:
    """Names, probabilities in % at a temperature, and at temperature 1; the rest in one row."""
    # The order of the logits is the same at every temperature, so panels can be compared.
    names = [_visible(name) for name, _ in scores.likeliest(place, count=5)]
    values, plain = (
        [100 * chance for _, chance in scores.likeliest(place, t, count=5)]
        for t in (temperature, 1.0))
    return [*names, "all others"], [*values, 100 - sum(values)], [*plain, 100 - sum(plain)]


def _draw_next_token(
    axes: Axes, scores: TokenScores, place: int, temperature: float, outline: bool = False
) -> None:
    names, values, plain = _chances(scores, place, temperature)
    axes.barh(range(len(names)), values, height=0.62, color=[BLUE] * 5 + [GREY])
    if outline:
        axes.barh(range(len(names)), plain, height=0.78, fill=False, ec=GREY, lw=1.2, ls="--")
        axes.text(116, len(names) - 1.6, "dashed: T = 1", ha="right", fontsize=11, color=GREY)
    for y, (value, other) in enumerate(zip(values, plain, strict=True)):
        end = max(value, other) if outline else value
        axes.text(end + 2, y, f"{abs(value):.0f} %", va="center", fontsize=11)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlim=(0, 118), xlabel="probability in %")
    title = f"T = {temperature:g}" if temperature > 0 else f"T = {temperature:g} (greedy)"
    axes.set_title(title, fontsize=12, weight="normal")
    axes.set_xticks([0, 50, 100])
    axes.tick_params(axis="y", length=0)
    if not axes.yaxis_inverted():
        axes.invert_yaxis()


def _before(scores: TokenScores, place: int) -> str:
    text = "".join(scores.tokens[:place]).strip()
    if not text:
        return "The first token"
    cut = "… " if len(text) > 30 else ""
    return f'After "{cut}{text[-30:].strip()}"'


def _visible(token: str) -> str:
    shown = "".join(c if c.isprintable() else f"[{ord(c):02X}]" for c in token)
    return "end" if token.startswith("<|") else shown.replace(" ", "␣", 1)


@style()
def mistakes_found(exam: ExamReport, greedy: ExamReport) -> Figure:
    """Mistakes that an exam finds with greedy answers, and with 1, 2, … samples per question."""
    most = max(s.index for s in exam.samples) + 1
    reports = [greedy, *(first_samples(exam, k) for k in range(1, most + 1))]
    counts = {
        "different mistakes": [len(r.mistakes) for r in reports],
        "different wrong answers": [
            len({(m.problem.id, m.answer) for m in r.mistakes}) for r in reports],
        "questions with a mistake": [len({m.problem.id for m in r.mistakes}) for r in reports]}
    figure = new_figure(10, 4.6)
    axes = figure.subplots()
    for (name, values), colour in zip(counts.items(), COLOURS, strict=False):
        axes.plot(values, "o-", color=colour, lw=2.2, ms=6)
        axes.text(most + 0.2, values[-1], f"{values[-1]} {name}", va="center", color=colour)
    axes.set_xticks(range(most + 1), ["greedy", *map(str, range(1, most + 1))])
    first, last = (counts["different mistakes"][i] for i in (0, -1))
    axes.set(xlim=(-0.3, most * 1.52), ylim=(0, None), xlabel="samples per question",
             ylabel="count",
             title=f"Greedy answers show {first} mistakes, {most} samples per question show {last}")
    axes.grid(axis="y", alpha=0.25)
    return figure


@style()
def mistakes_by_temperature(exams: Mapping[float, ExamReport], withheld: Collection[str]) -> Figure:
    """Different mistakes at each temperature, on withheld and on known skills."""
    kinds = {"on withheld skills": (WITHHELD, True), "on known skills": (KNOWN, False)}
    figure = new_figure(9, 4.4)
    axes = figure.subplots()
    bottom = np.zeros(len(exams))
    for name, (colour, wanted) in kinds.items():
        mistakes = [[m for m in e.mistakes if (m.problem.skill in withheld) is wanted]
                    for e in exams.values()]
        counts = np.array(list(map(len, mistakes)))
        axes.bar(range(len(exams)), counts, bottom=bottom, width=0.6, color=colour)
        axes.annotate(
            name, (len(exams) - 0.65, bottom[-1] + counts[-1] / 2), va="center", color=colour)
        bottom += counts
    known = [f"{count} at T = {t:g}" for count, t in zip(counts, exams, strict=True)]
    for x, (height, exam) in enumerate(zip(bottom, exams.values(), strict=True)):
        axes.text(x, height + 5, f"{percent(exam.accuracy)} right", ha="center", fontsize=11)
    axes.set_xticks(range(len(exams)), [f"{t:g}" for t in exams])
    axes.set(xlim=(-0.5, len(exams) + 0.6), ylim=(0, 1.12 * max(bottom)), xlabel="temperature",
             ylabel="different mistakes",
             title="Mistakes on known skills: " + ", ".join(known))
    return figure


@style()
def estimator_bias(
    truth: Sequence[float], naive: Sequence[float], unbiased: Sequence[float]
) -> Figure:
    """Mean of two estimators of pass@k over many simulated questions, with the truth."""
    figure = new_figure(8, 4.4)
    axes = figure.subplots()
    ks = range(1, len(truth) + 1)
    axes.plot(ks, [100 * v for v in truth], color=PALE, lw=7, solid_capstyle="round")
    curves = (("unbiased (grey: truth)", unbiased, BLUE, 6), ("naive", naive, RED, -6))
    for name, values, colour, shift in curves:
        axes.plot(ks, [100 * v for v in values], "o-", color=colour, lw=1.8, ms=5)
        label(axes, name, (ks[-1], 100 * values[-1]), colour, (10, shift))
    axes.set(xlim=(0.7, len(truth) + 3), ylim=(0, 100), xlabel="k",
             ylabel="mean estimate of pass@k in %",
             title="The naive estimate of pass@k is too low for k > 1")
    axes.set_xticks(ks)
    axes.grid(axis="y", alpha=0.25)
    return figure


@style()
def pass_by_k(exam: ExamReport, withheld: Collection[str]) -> Figure:
    """pass@k of each skill by k."""
    most = max(s.index for s in exam.samples) + 1
    tables = [pass_by_skill(exam, k) for k in range(1, most + 1)]
    curves = {skill: [100 * t[skill] for t in tables] for skill in tables[0]}
    ends: dict[int, list[str]] = {}
    figure = new_figure(10, 5)
    axes = figure.subplots()
    for skill, values in curves.items():
        rises = values[-1] - values[0] > 10
        look: dict[str, Any] = {"lw": 2.6, "alpha": 1} if rises else {"lw": 1.6, "alpha": 0.7}
        axes.plot(range(1, most + 1), values, "o-" if rises else "-", ms=5, **look,
                  color=WITHHELD if skill in withheld else KNOWN)
        if rises:
            label(axes, skill, (1, values[0]), "black", (-8, 0), ha="right", fontsize=11)
        ends.setdefault(round(values[-1]), []).append(skill)
    for height, names in ends.items():
        text = ", ".join(names)
        if len(names) > 3 and not set(withheld) & set(names):
            text = f"{len(names)} known skills"
        colour = WITHHELD if names[0] in withheld else KNOWN
        label(axes, text, (most, height), colour, (8, 0), fontsize=11)
    changes = [
        " → ".join(_mean([table[skill] for skill in group]) for table in (tables[0], tables[-1]))
        for group in _groups(curves, withheld)]
    axes.set(xlim=(-1.3, most * 1.75), ylim=(-4, 104), xlabel="k", ylabel="pass@k in %",
             title=f"From k = 1 to {most}: known skills {changes[0]}, withheld skills {changes[1]}")
    axes.set_xticks(range(1, most + 1))
    return figure


def _groups(skills: Iterable[str], withheld: Collection[str]) -> tuple[list[str], list[str]]:
    """Known skills, and withheld ones."""
    names = list(skills)
    return [s for s in names if s not in withheld], [s for s in names if s in withheld]


def _mean(shares: Sequence[float]) -> str:
    return percent(float(np.mean(shares)))


@style()
def skill_profile(greedy: ExamReport, sampled: ExamReport, withheld: Collection[str]) -> Figure:
    """Accuracy by skill: greedy with its 95 % interval over questions, and over all samples."""
    known, others = _groups(greedy.by_skill, withheld)
    skills = known + others
    right: dict[str, list[bool]] = {skill: [] for skill in skills}
    for problem, sample in zip(greedy.problems, greedy.samples, strict=True):
        if problem.skill in right:
            right[problem.skill].append(sample.correct)
    figure = new_figure(10, 6.4)
    axes = figure.subplots()
    for y, skill in enumerate(skills):
        colour = WITHHELD if skill in withheld else KNOWN
        low, high = wilson_interval(sum(right[skill]), len(right[skill]))
        axes.plot([100 * low, 100 * high], [y, y], color=colour, lw=7, alpha=0.25,
                  solid_capstyle="butt")
        axes.plot(100 * greedy.by_skill[skill], y, "o", color=colour, ms=9)
        axes.plot(100 * sampled.by_skill[skill], y, "|", color="black", ms=15, mew=2)
    axes.text(109, 0, "known", color=KNOWN, weight="bold", va="center")
    axes.text(109, len(known), "withheld", color=WITHHELD, weight="bold", va="center")
    axes.set_yticks(range(len(skills)), skills)
    means = [_mean([v for s in group for v in right[s]]) for group in (known, others)]
    axes.set(
        xlim=(-3, 125),
        xlabel="accuracy in %   (dot: greedy, bar: its 95 % interval; black line: all samples)")
    axes.set_title(
        f"Accuracy by skill: known skills {means[0]} on average, withheld skills {means[1]}")
    axes.set_xticks(range(0, 101, 20))
    axes.invert_yaxis()
    return figure


@style()
def repeated_exams(
    accuracy: float, questions: Sequence[int] = (50, 425, 5000), exams: int = 100, seed: int = 0
) -> Figure:
    """95 % intervals of simulated exams of a student of known accuracy; red ones miss it."""
    draw = np.random.default_rng(seed)
    figure = new_figure(10, 4.4)
    for axes, count in zip(figure.subplots(1, len(questions), sharey=True), questions, strict=True):
        found = [wilson_interval(int(r), count) for r in draw.binomial(count, accuracy, exams)]
        for x, (low, high) in enumerate(found):
            colour = BLUE if low <= accuracy <= high else RED
            axes.plot([x, x], [100 * low, 100 * high], color=colour, lw=1.3)
        held = sum(low <= accuracy <= high for low, high in found)
        half = 50 * float(np.mean([high - low for low, high in found]))
        axes.axhline(100 * accuracy, color="black", lw=1)
        told = f"{count} questions: ± {half:.1f} points\n{held} of {exams} contain the truth"
        axes.set_title(told, fontsize=12, weight="normal")
        axes.set(xlabel="one line per exam", xticks=[])
    figure.axes[0].set_ylabel("accuracy in % (black: the truth)")
    headline(figure, "More questions, narrower intervals")
    return figure
