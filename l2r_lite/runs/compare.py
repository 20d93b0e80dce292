"""Runs side by side: which settings differ, and which test questions each fixed and broke. Read from their folders alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2r_lite.loop import runfolder as folder
from l2r_lite.loop.records import Problem, Sample
from l2r_lite.runs.report import read_report


@dataclass(frozen=True)
class Changed:
    """What a run's student answers otherwise than its untrained one, as ids of test questions.

    Attributes:
        fixed: wrong before, right now.  broken: right before, wrong now.
        only: fixed by this run and by none of the others.
    """

    fixed: frozenset[str]
    broken: frozenset[str]
    only: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Compared:
    """Several finished runs that sat the same test.

    Attributes:
        reports, changed, answers: one of each run; answers are the compared student's, by question.
        problems: the test questions that all runs share, by id.  left_out: test questions that not all of them have.
        differing: knob → its value in each run, where they are not all the same.
    """

    labels: tuple[str, ...]
    reports: tuple[dict[str, Any], ...]
    problems: dict[str, Problem]
    left_out: int
    changed: tuple[Changed, ...]
    answers: tuple[dict[str, Sample], ...]
    differing: dict[str, tuple[Any, ...]]


def compare_runs(folders: Sequence[str | Path], labels: Sequence[str] = (), after: int | None = None) -> Compared:
    """Read two or more runs and hold them against each other, question by question.

    Args:
        labels: what to call them; without any, the names of their folders.
        after: the round whose students are compared; None: the student that each run kept.

    Raises:
        RunError: fewer than two runs, labels that do not fit them, a run that is not evaluated yet (or has no such round), or
            no test question that all of them share.
    """
    places = [Path(name) for name in folders]
    names = tuple(labels) or tuple(place.name for place in places)
    if len(places) < 2 or len(set(names)) != len(places):
        raise folder.RunError(f"{len(places)} runs with the labels {', '.join(names)}: give at least two, each with a label.")
    reports = tuple(read_report(place) for place in places)
    tests = [{p.id: p for p in folder.read_lines(place / "problems" / "test.jsonl", Problem)} for place in places]
    shared = {key: p for key, p in tests[0].items() if all(key in t and t[key].question == p.question for t in tests[1:])}
    if not shared:
        raise folder.RunError(f"{' and '.join(map(str, places))} share no test question, so there is nothing to compare.")
    before = [_answers(place, 0) for place in places]
    if after is not None and not 0 <= after < min(len(report["rounds"]) for report in reports):
        raise folder.RunError(f"after round {after}: not all of these runs have finished it.")
    rounds = [report["best_round"] if after is None else after for report in reports]
    answers = tuple(_answers(place, number) for place, number in zip(places, rounds, strict=True))
    fixed = [frozenset(k for k in shared if not was[k].correct and now[k].correct)
             for was, now in zip(before, answers, strict=True)]  # fmt: skip
    broken = [frozenset(k for k in shared if was[k].correct and not now[k].correct)
              for was, now in zip(before, answers, strict=True)]  # fmt: skip
    changed = tuple(
        Changed(fixed[i], broken[i], fixed[i].difference(*(f for j, f in enumerate(fixed) if j != i)))
        for i in range(len(places))
    )
    knobs = list(dict.fromkeys(knob for report in reports for knob in report["config"]))
    values = {knob: tuple(report["config"].get(knob) for report in reports) for knob in knobs}
    differing = {knob: found for knob, found in values.items() if any(value != found[0] for value in found)}
    left_out = len({key for test in tests for key in test} - set(shared))
    return Compared(names, reports, shared, left_out, changed, answers, differing)


def _answers(place: Path, number: int) -> dict[str, Sample]:
    return {sample.problem_id: sample for sample in folder.read_lines(place / f"round-{number}" / "test.jsonl", Sample)}
