"""Runs side by side: which settings differ, and which test questions each fixed and broke."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2r_lite.loop.errors import RunError
from l2r_lite.loop.records import Problem, Sample
from l2r_lite.runs.reading import read_problems, read_test
from l2r_lite.runs.report import read_report


@dataclass(frozen=True)
class Changed:
    """Ids of the test questions that training fixed and broke in one run.

    Attributes:
        fixed: wrong before, right now.
        broken: right before, wrong now.
        only: fixed by this run and by no other.
    """

    fixed: frozenset[str]
    broken: frozenset[str]
    only: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Compared:
    """Several finished runs that took the same test.

    Attributes:
        reports, changed: one per run.
        answers: the compared student's samples by question, one dictionary per run.
        problems: the test questions that all runs share, by id.
        left_out: number of test questions that some runs lack.
        differing: setting → its value in each run, for settings that differ.
    """

    labels: tuple[str, ...]
    reports: tuple[dict[str, Any], ...]
    problems: dict[str, Problem]
    left_out: int
    changed: tuple[Changed, ...]
    answers: tuple[dict[str, Sample], ...]
    differing: dict[str, tuple[Any, ...]]


def compare_runs(
    folders: Sequence[str | Path], labels: Sequence[str] = (), after: int | None = None
) -> Compared:
    """Read two or more runs and compare them question by question.

    Args:
        labels: what to call them; without any, the names of their folders.
        after: the round whose students are compared; None: the student that each run kept.

    Raises:
        RunError: fewer than two runs, labels that do not fit them, a run that is not evaluated yet
            (or has no such round), or no test question that all of them share.
    """
    places = [Path(name) for name in folders]
    names = tuple(labels) or tuple(place.name for place in places)
    if len(places) < 2 or len(set(names)) != len(places):
        raise RunError(
            f"{len(places)} runs with the labels {', '.join(names)}: give at least two, each with "
            "a label.")
    reports = tuple(read_report(place) for place in places)
    tests = [{p.id: p for p in read_problems(place, "test")} for place in places]
    shared = {
        key: problem for key, problem in tests[0].items()
        if all(key in test and test[key].question == problem.question for test in tests)}
    if not shared:
        runs = " and ".join(map(str, places))
        raise RunError(f"{runs} share no test question, so there is nothing to compare.")
    if after is not None and not 0 <= after < min(len(r["rounds"]) for r in reports):
        raise RunError(f"after round {after}: not all of these runs have finished it.")
    rounds = [report["best_round"] if after is None else after for report in reports]
    answers = tuple(
        read_test(place, number, test.values())
        for place, number, test in zip(places, rounds, tests, strict=True))
    before = [
        read_test(place, 0, test.values()) for place, test in zip(places, tests, strict=True)]
    configs = [report["config"] for report in reports]
    settings = {knob: tuple(c.get(knob) for c in configs) for found in configs for knob in found}
    differing = {
        knob: values for knob, values in settings.items() if any(v != values[0] for v in values)}
    left_out = len({key for test in tests for key in test} - set(shared))
    changed = _changed(before, answers, shared)
    return Compared(names, reports, shared, left_out, changed, answers, differing)


def _changed(
    before: Sequence[dict[str, Sample]], after: Sequence[dict[str, Sample]],
    shared: dict[str, Problem],
) -> tuple[Changed, ...]:
    fixed, broken = [], []
    for was, now in zip(before, after, strict=True):
        differing = [key for key in shared if was[key].correct != now[key].correct]
        fixed.append(frozenset(key for key in differing if now[key].correct))
        broken.append(frozenset(key for key in differing if was[key].correct))
    alone = [mine.difference(*fixed[:i], *fixed[i + 1 :]) for i, mine in enumerate(fixed)]
    return tuple(map(Changed, fixed, broken, alone))
