"""What the logs say: arms, comparisons with intervals, and sweeps of one knob.

Every number is computed from logs (evidence.py) with the functions of statistics.py; notebook 08
and the README show them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2r_course.research.evidence import ARMS, Run, paired
from l2r_course.research.statistics import Bootstrap, holm, paired_bootstrap, sign_flip_test
from l2r_lite.runs.show import Table
from l2r_lite.runs.statistics import mean_interval

# What each comparison asks → the arm with it, the arm without. Fixed before the runs, and corrected
# for their number.
QUESTIONS = {
    "rounds instead of one shot": ("annotator", "annotator-once"),
    "tailoring: lessons on mistakes, not at random": ("tailored", "annotator"),
    "self-reflection": ("reflection", "tailored"),
    "replay": ("replay", "reflection"),
    "a teacher, instead of own answers": ("tailored", "self-training"),
}
# Thought of after seeing the runs of QUESTIONS: ideas for the next experiment, not tests.
AFTERWARDS = {
    "tailoring with replay (λ = 0)": ("reflection_weight=0", "annotator"),
    "self-reflection with replay": ("replay", "reflection_weight=0"),
    "the same with λ = 0.25": ("reflection_weight=0.25", "reflection_weight=0"),
}
# The first of them, fixed anew before its runs with ten new seeds. With replay on both sides,
# nothing but tailoring differs.
ON_NEW_SEEDS = {
    "tailoring, both with replay": ("reflection_weight=0", "annotator=true,reflection_weight=0"),
}
# Fixed before its runs: of 40 steps per round self-reflection costs some (causes.py), and the
# default takes more.
IN_THE_DEFAULT = {"self-reflection, in the default": ("replay", "reflection_weight=0")}
# SmolLM2 has fewer arms. Three seeds decide nothing by the sign-flip test, whatever they say.
ON_REAL_QUESTIONS = {
    "rounds instead of one shot": ("annotator", "annotator-once"),
    "tailoring: lessons on mistakes, not at random": ("tailored", "annotator"),
    "tailored rounds, not random lessons in one go": ("tailored", "annotator-once"),
    "self-reflection": ("reflection", "tailored"),
}
REAL = {  # log → its questions
    "multiarith": "MultiArith", "multiarith-template": "MultiArith, template split",
    "svamp": "SVAMP"}


@dataclass(frozen=True)
class Comparison:
    """Two arms: the mean difference of their test accuracies over seeds, and how sure it is.

    Attributes:
        bootstrap: over seeds and questions.
        half: half the width of the 95 % t interval over seeds.
        p: of the sign-flip test over seeds, corrected for the number of comparisons (Holm).
    """

    what: str
    first: str
    second: str
    seeds: int
    bootstrap: Bootstrap
    half: float
    p: float

    @property
    def holds(self) -> str:
        """"yes" or "no, the other way round" if all three agree on it, else "undecided"."""
        difference = self.bootstrap.difference
        if not self.bootstrap.decided or abs(difference) <= self.half or self.p >= 0.05:
            return "undecided"
        return "yes" if difference > 0 else "no, the other way round"


def compare(
    runs: Sequence[Run], questions: dict[str, tuple[str, str]] = QUESTIONS, after: int | None = None
) -> list[Comparison]:
    """All comparisons of which both arms were run, with p-values corrected for how many there are.

    Args:
        questions: what is asked → (the arm with it, the arm without).
        after: None compares kept students, -1 those of the last round, n those of round n.
    """
    return _corrected(_compared(runs, questions, after))


def compare_logs(
    logs: Mapping[str, Sequence[Run]], questions: dict[str, tuple[str, str]]
) -> list[Comparison]:
    """Comparisons of the kept students in several logs, corrected for how many there are in all."""
    found = []
    for name, runs in logs.items():
        found += [replace(c, what=f"{name}: {c.what}") for c in _compared(runs, questions)]
    return _corrected(found)


def _compared(
    runs: Sequence[Run], questions: Mapping[str, tuple[str, str]], after: int | None = None
) -> list[Comparison]:
    """As `compare`, with uncorrected p-values."""
    there = {r.arm for r in runs} | {"untrained"}
    found = []
    for what, (first, second) in questions.items():
        if {first, second} <= there:
            seeds, one, other = paired(runs, first, second, after)
            gains = (one - other).mean(1)
            _, half = mean_interval(list(gains))
            p = float(sign_flip_test(gains))
            draws = paired_bootstrap(one, other)
            found.append(Comparison(what, first, second, len(seeds), draws, half, p))
    return found


def _corrected(found: Sequence[Comparison]) -> list[Comparison]:
    return [replace(c, p=p) for c, p in zip(found, holm([c.p for c in found]), strict=True)]


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """A row per comparison: the gain in points, both intervals, corrected p, and the verdict."""
    rows = []
    for c in comparisons:
        gain, low, high = (
            100 * x for x in (c.bootstrap.difference, c.bootstrap.low, c.bootstrap.high))
        rows.append([
            c.what, f"{c.first} − {c.second}", c.seeds, f"{gain:+.1f}",
            f"{low:+.1f} to {high:+.1f}", f"± {100 * c.half:.1f}", f"{c.p:.3f}", c.holds])
    head = ["what is asked", "arms", "seeds", "gain in points", "95 %, seeds and questions",
            "95 %, seeds (t)", "p (Holm)", "does it help?"]
    return Table(head, rows)


def arm_table(runs: Sequence[Run]) -> Table:
    """A row per arm: what a run took, and accuracies in per cent, mean over seeds ± 95 % (t).

    "kept" is the student that validation chose, "last" that of the last round, the other columns
    are questions of another kind.
    """
    kinds = sorted({kind for r in runs for kind in r.elsewhere})
    rows = []
    for arm in ARMS:
        mine = [r for r in runs if r.arm == arm]
        if not mine:
            continue
        calls, lessons = (
            np.mean([sum(x[name] for x in r.rounds) for r in mine])
            for name in ("teacher_calls", "lessons"))
        shares = [x["triplet_share"] for r in mine for x in r.rounds]
        accuracies = [[r.correct().mean() for r in mine], [r.correct(-1).mean() for r in mine]]
        for kind in kinds:
            accuracies.append([_share(r.elsewhere[kind]) for r in mine if kind in r.elsewhere])
        rows.append([
            arm, len(mine), f"{calls:.0f}", f"{lessons:.0f}",
            f"{np.mean(shares):.0%}" if shares else "–", *map(_mean, accuracies)])
    head = ["arm", "seeds", "teacher calls", "lessons", "items with a triplet", "kept", "last"]
    return Table([*head, *kinds], rows)


def stacked(tables: Mapping[str, Table], head: str) -> Table:
    """Several tables as one, with a first column of their names; "–" where a table has no cell."""
    columns = list(dict.fromkeys(name for table in tables.values() for name in table.head))
    rows = []
    for name, table in tables.items():
        for row in table.rows:
            cells = dict(zip(table.head, row, strict=True))
            rows.append([name, *(cells.get(column, "–") for column in columns)])
    return Table([head, *columns], rows)


def sweep(runs: Sequence[Run], knob: str, main: str) -> dict[Any, list[Run]]:
    """A knob's values in order, each with its runs; the main arm's on the others' seeds."""
    found: dict[Any, list[Run]] = {}
    for r in runs:
        if r.arm.startswith(f"{knob}=") and "," not in r.arm:
            found.setdefault(json.loads(r.arm.partition("=")[2]), []).append(r)
    seeds = {r.seed for mine in found.values() for r in mine}
    if own := [r for r in runs if r.arm == main and r.seed in seeds]:
        found[own[0].config[knob]] = own
    return dict(sorted(found.items()))


def gains(runs: Sequence[Run], arm: str, main: str) -> NDArray[np.float64]:
    """Gain of an arm's kept student over the main arm's, in points, on each seed of both."""
    _, one, other = paired(runs, arm, main)
    return 100 * (one - other).mean(1)


def sweep_table(runs: Sequence[Run], knobs: Sequence[str], main: str) -> Table:
    """A row per value of each knob: validation decides, the test is reported; in per cent."""
    rows = []
    for knob in knobs:
        for value, mine in sweep(runs, knob, main).items():
            seconds = np.mean([r.seconds for r in mine])
            rows.append([knob, json.dumps(value), *_tried(runs, mine, main), f"{seconds:.0f}"])
    return Table(["knob", "value", *_TRIED, "seconds a run"], rows)


def choices_table(runs: Sequence[Run], main: str) -> Table:
    """All arms of a log, best validation first: that column decides, the test is reported."""
    arms = [[r for r in runs if r.arm == arm] for arm in dict.fromkeys(r.arm for r in runs)]
    arms.sort(key=lambda mine: -np.mean([r.validation[r.kept] for r in mine]))
    rows = []
    for mine in arms:
        items = np.mean([sum(x["items"] for x in r.rounds) for r in mine])
        rows.append([mine[0].arm, *_tried(runs, mine, main), f"{items:.0f}"])
    return Table(["arm", *_TRIED, "items trained on"], rows)


_TRIED = ["seeds", "validation, kept", "test, kept", "gain in points, in pairs"]


def _tried(runs: Sequence[Run], mine: Sequence[Run], main: str) -> list[Any]:
    """One arm's cells of _TRIED; the gain is over the main arm, on the test."""
    gain, half = mean_interval(list(gains(runs, mine[0].arm, main)))
    gained = f"{gain:+.1f}" if len(mine) < 2 else f"{gain:+.1f} ± {half:.1f}"
    if mine[0].arm == main:
        gained = "main arm"
    validation, test = [r.validation[r.kept] for r in mine], [r.correct().mean() for r in mine]
    return [len(mine), _mean(validation), _mean(test), gained]


def _mean(values: Sequence[float]) -> str:
    if not len(values):
        return "–"
    mean, half = mean_interval([100 * float(v) for v in values])
    return f"{mean:.1f}" if len(values) < 2 else f"{mean:.1f} ± {half:.1f}"


def _share(digits: str) -> float:
    return digits.count("1") / max(len(digits), 1)
