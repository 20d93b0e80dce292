"""The lab on its held seeds: what is measured, and the bars that were set on seeds 0 to 2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from l2r_course.labs.held import Bar, Numbers
from l2r_course.labs.helping.hints import Hinted
from l2r_course.labs.helping.study import ARMS, study_help

EXPLAINED, ANSWERS, TWICE = ARMS
HELD = (10, 11, 12)
LOG = Path(__file__).with_name("held.jsonl")

MEASURES = {
    "untrained": "untrained: test accuracy",
    **{arm: f"{arm}: test accuracy after 40 steps" for arm in ARMS},
    **{f"{arm}/known": f"{arm}: on the skills it knew" for arm in ARMS},
    **{f"{arm}/forced": f"{arm}: its first word given" for arm in ARMS},
    **{f"{arm}/with step": f"{arm}: texts that write a step" for arm in ARMS},
    "solved with hint": "after a round: wrong answers solved with the hint",
    "solved alone": "after a round: the same, going on without it",
    "untrained solved with hint": "untrained: wrong answers solved with the hint",
    "tokens saved": "after a round: teacher tokens saved by hints first",
    "before": "after a round: test accuracy",
    "more/explanations": "after a round, and 40 steps on explanations",
    "more/hints first": "after a round, and 40 steps on hinted solutions",
}


def measure(seed: int, folder: str | Path, *, progress: bool = True) -> dict[str, float]:
    """The numbers of one seed for the log; shares, none in percent."""
    study = study_help(seed, folder, progress=progress)
    numbers = {"untrained": study.looks[EXPLAINED][0].free}
    for arm, looks in study.looks.items():
        last = looks[-1]
        numbers |= {
            arm: last.free, f"{arm}/known": last.known, f"{arm}/forced": last.forced,
            f"{arm}/with step": last.with_step}
    full, first = study.tokens
    return numbers | {
        "solved with hint": _share(study.taught, "solved"),
        "solved alone": _share(study.taught, "alone"),
        "untrained solved with hint": _share(study.fresh, "solved"),
        "tokens saved": 1 - first / full, "before": study.after["before"],
        "more/explanations": study.after["explanations"],
        "more/hints first": study.after["hints first"]}


def _share(found: Sequence[Hinted], what: str) -> float:
    """The share of the hints after which the student is right."""
    return float(np.mean([getattr(hinted, what) for hinted in found if hinted.hint]))


def _returns(n: Numbers) -> float:
    """How much of the accuracy that answers alone cost returns when the first word is given."""
    return (n[f"{ANSWERS}/forced"] - n[ANSWERS]) / (n["untrained"] - n[ANSWERS])


BARS = (
    Bar("explanations − answers", lambda n: n[EXPLAINED] - n[ANSWERS], low=0.12, points=True),
    Bar("answers − untrained", lambda n: n[ANSWERS] - n["untrained"], high=-0.06, points=True),
    Bar("answers: share of the loss that returns with the first word", _returns, low=0.5),
    Bar("with the hint − without it", lambda n: n["solved with hint"] - n["solved alone"],
        low=0.20, points=True),
    Bar("untrained: solved with the hint", lambda n: n["untrained solved with hint"], high=0.06,
        points=True),
    Bar("teacher tokens saved", lambda n: n["tokens saved"], low=0.10, points=True))
