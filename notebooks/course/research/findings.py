"""What the logs say: tables of arms, and comparisons with their intervals.

Every number is computed from logs (evidence.py) with the functions of statistics.py. Notebooks 09
and 10 and the tables of `make results` show them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from l2r_course.research.evidence import ARMS, Run, paired
from l2r_course.research.statistics import Difference, holm, paired_difference, sign_flip_test
from l2r_lite.runs.show import Table
from l2r_lite.runs.statistics import mean_interval

# Question → (the arm with what is asked about, the arm without). Fixed before the runs; p-values
# are corrected for their number.
QUESTIONS = {
    "tailoring: lessons for own mistakes": ("tailored", "random lessons"),
    "rounds, instead of all lessons at once": ("tailored", "one shot"),
    "a little self-reflection, λ = 0.1": ("little reflection", "tailored"),
    "the paper's self-reflection, λ = 0.5": ("reflection", "tailored"),
}
# About the default, where the number of steps follows from the number of lessons.
IN_THE_DEFAULT = {"memory and a falling learning rate": ("tailored", "no memory")}
# SmolLM2 has fewer arms. With three seeds the sign-flip test cannot decide anything: p ≥ 0.25.
ON_REAL_QUESTIONS = {
    "rounds, not all at once": ("tailored", "one shot"),
    "self-reflection, λ = 0.5": ("reflection", "tailored"),
}
REAL = {"multiarith": "MultiArith", "svamp": "SVAMP"}  # log → its questions


@dataclass(frozen=True)
class Comparison:
    """Two arms: the mean difference of their test accuracies over seeds, and its uncertainty.

    Attributes:
        interval: the mean difference with its 95 % interval over seeds and questions.
        p: of the sign-flip test over seeds, corrected for the number of comparisons (Holm).
    """

    what: str
    first: str
    second: str
    seeds: int
    interval: Difference
    p: float

    @property
    def holds(self) -> str:
        """"yes" or "no, the other way round" if interval and p agree, else "undecided"."""
        if not self.interval.decided or self.p >= 0.05:
            return "undecided"
        return "yes" if self.interval.difference > 0 else "no, the other way round"


def compare(
    runs: Sequence[Run], questions: dict[str, tuple[str, str]] = QUESTIONS, after: int | None = None
) -> list[Comparison]:
    """All comparisons whose two arms were run, with p-values corrected for their number.

    Args:
        questions: question → (the arm with what is asked about, the arm without).
        after: None compares kept students, -1 those of the last round, n those of round n.
    """
    return _corrected(_compared(runs, questions, after))


def compare_logs(
    logs: Mapping[str, Sequence[Run]], questions: dict[str, tuple[str, str]]
) -> list[Comparison]:
    """Comparisons of the kept students in several logs, corrected for their total number."""
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
            interval = paired_difference(one, other)
            p = float(sign_flip_test((one - other).mean(1)))
            found.append(Comparison(what, first, second, len(seeds), interval, p))
    return found


def _corrected(found: Sequence[Comparison]) -> list[Comparison]:
    return [replace(c, p=p) for c, p in zip(found, holm([c.p for c in found]), strict=True)]


def verdict(result: Difference) -> str:
    """What an interval allows to say, in words."""
    low, high = 100 * result.low, 100 * result.high
    if result.decided:
        better, least, most = ("better", low, high) if low > 0 else ("worse", -high, -low)
        return f"{better}, by {least:.1f} to {most:.1f} points"
    return f"undecided, between {low:+.1f} and {high:+.1f} points".replace("-", "−")


def why_so_wide(result: Difference) -> str:
    """The half-width of an interval in points, as the product that it is."""
    half, error = 50 * (result.high - result.low), 100 * result.standard_error
    t = half / error if error else 0.0  # no answer differs
    return (
        f"± {half:.1f} points = t × standard error = {t:.1f} × {error:.1f} "
        f"(f = {result.freedom:.1f})")


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """A row per comparison: the gain in points, its interval, corrected p, and the verdict."""
    rows = []
    for c in comparisons:
        gain, low, high = (
            100 * x for x in (c.interval.difference, c.interval.low, c.interval.high))
        rows.append([
            c.what, f"{c.first} − {c.second}", c.seeds, f"{gain:+.1f}",
            f"{low:+.1f} to {high:+.1f}", f"{c.p:.3f}", c.holds])
    head = ["question", "arms", "seeds", "gain in points", "95 % interval", "p (Holm)",
            "does it help?"]
    return Table(head, rows)


def arm_table(runs: Sequence[Run]) -> Table:
    """A row per arm: what a run cost, and test accuracies in %, mean over seeds ± 95 % (t).

    "kept" is the student that validation chose, "last" that of the last round.
    """
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
        rows.append([
            arm, len(mine), f"{calls:.0f}", f"{lessons:.0f}",
            f"{np.mean(shares):.0%}" if shares else "–", *map(_mean, accuracies)])
    head = ["arm", "seeds", "teacher calls", "lessons", "items with a triplet", "kept", "last"]
    return Table(head, rows)


def round_table(runs: Sequence[Run]) -> Table:
    """A row per arm: test accuracy after each round, and in how many seeds each round raised it."""
    rows, most = [], max(len(r.test) for r in runs)
    for arm in ARMS:
        mine = [[float(r.correct(n).mean()) for n in range(len(r.test))]
                for r in runs if r.arm == arm]
        if not mine:
            continue
        means = [_mean(column) for column in zip(*mine, strict=True)]
        rising = sum(all(a < b for a, b in pairwise(one)) for one in mine)
        worst = min(one[-1] for one in mine)
        rows.append([arm, len(mine), *means, *["–"] * (most - len(means)),
                     f"{rising} of {len(mine)}", f"{100 * worst:.1f}"])
    head = ["before", *(f"round {n}" for n in range(1, most))]
    return Table(["arm", "seeds", *head, "every round rises", "lowest at the end"], rows)


def stacked(tables: Mapping[str, Table], head: str) -> Table:
    """Several tables as one, with a first column for their names; "–" where a table has no cell."""
    columns = list(dict.fromkeys(name for table in tables.values() for name in table.head))
    rows = []
    for name, table in tables.items():
        for row in table.rows:
            cells = dict(zip(table.head, row, strict=True))
            rows.append([name, *(cells.get(column, "–") for column in columns)])
    return Table([head, *columns], rows)


def _mean(values: Sequence[float]) -> str:
    if not len(values):
        return "–"
    mean, half = mean_interval([100 * float(v) for v in values])
    return f"{mean:.1f}" if len(values) < 2 else f"{mean:.1f} ± {half:.1f}"
