"""The lab on its held seeds: what is measured, and the bars that were set on seeds 0 to 2."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from l2r_course.labs.held import Bar
from l2r_course.labs.search.choose import CHOICES
from l2r_course.labs.search.study import SAMPLES, STUDENTS, study_students

BEFORE, AFTER = STUDENTS
HELD = (10, 11, 12)
LOG = Path(__file__).with_name("held.jsonl")
_WAYS = ("greedy", "no rationale", "demonstrations", "repair", "beam over steps", *CHOICES)
_OTHER = {
    "true but wrong": "wrong samples whose equations all hold",
    "verifier AUC": "trained verifier, AUC over all samples",
    "verifier AUC per question": "trained verifier, AUC within a question"}
ACCURACIES = {
    f"{student}/{way}": f"{student}: {way}" + (f", {SAMPLES} samples" if way in CHOICES else "")
    for student in STUDENTS for way in _WAYS}
MEASURES = {
    **ACCURACIES,
    **{f"{name}/tokens": f"{text}: tokens" for name, text in ACCURACIES.items()},
    **{f"{student}/{name}": f"{student}: {text}"
       for student in STUDENTS for name, text in _OTHER.items()}}


def measure(seed: int, folder: str | Path, *, progress: bool = True) -> dict[str, float]:
    """The numbers of one seed for the log: accuracies and tokens of every way and student."""
    numbers: dict[str, float] = {}
    for name, study in study_students(seed, folder, progress=progress).items():
        for result in study.results():
            numbers[f"{name}/{result.name}"] = result.accuracy
            numbers[f"{name}/{result.name}/tokens"] = result.tokens
        numbers[f"{name}/true but wrong"] = study.true_but_wrong()
        pooled, within = study.verifier_auc()
        numbers |= {f"{name}/verifier AUC": pooled, f"{name}/verifier AUC per question": within}
    return numbers


def _gain(student: str, way: str, other: str = "greedy") -> Bar:
    """A bar without bounds on accuracy(way) − accuracy(other)."""
    return Bar(
        f"{student}: {way} − {other}",
        lambda n: n[f"{student}/{way}"] - n[f"{student}/{other}"], points=True)


BARS = (
    dataclasses.replace(_gain(AFTER, "no rationale"), high=-0.30),
    dataclasses.replace(_gain(BEFORE, "vote"), low=-0.03, high=0.03),
    dataclasses.replace(_gain(AFTER, "oracle"), low=0.06),
    dataclasses.replace(_gain(AFTER, "trained verifier", "vote"), high=-0.05),
    Bar(f"{AFTER}: wrong rationales whose equations all hold",
        lambda n: n[f"{AFTER}/true but wrong"], low=0.60, points=True))
