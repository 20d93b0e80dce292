"""Checks of notebook 07: what to replay, and which knobs make a round forget more or less."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from l2r_course.checks.base import Program, exercise, judge, judge_answer, outcome
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError
from l2r_lite.runs.show import Table

Pair = tuple[str, str]

_Q = [
    [("q1", "a"), ("q1", "b"), ("q2", "c"), ("q3", "d")],
    [("q3", "e"), ("q4", "f"), ("q5", "g")],
    [("q1", "h"), ("q6", "i")]]
_REPLAY_CASES: list[tuple[list[list[Pair]], float]] = [
    ([[("q1", "a"), ("q1", "b"), ("q2", "c")], [("q2", "d"), ("q3", "e")]], 0.5), (_Q, 1.0),
    (_Q, 1.5), (_Q, 0.0), ([_Q[0], [("q4", "x"), ("q4", "y")]], 5.0), (_Q[:1], 1.0),
    ([_Q[0], [("q1", "z")]], 1.0)]


def _replay_fault(
    theirs: Program, rounds: list[list[Pair]], share: float
) -> tuple[Any, str] | None:
    """What the function returned in a case, and the first fault in it; None: all is well."""
    earlier = [pair for lessons in rounds[:-1] for pair in lessons]
    free = {q for q, _ in earlier} - {q for q, _ in rounds[-1]}
    wanted = min(round(share * len(rounds[-1])), len(free))
    drawn: list[list[Pair]] = []
    for seed in range(60):
        try:
            chosen, again = (theirs(copy.deepcopy(rounds), share, seed) for _ in range(2))
        except Exception as error:  # noqa: BLE001 - a learner's mistake is told in a sentence
            told = f"Your function ended in {type(error).__name__}: {error}."
            if isinstance(error, ValueError) and "arger than" in str(error):
                told += (
                    " There are fewer questions left than lessons wanted: take all of them then.")
            return None, told
        fault = _choice_fault(chosen, rounds, wanted, share, len(free))
        if fault is None and chosen != again:
            fault = (
                "Two calls with the same seed chose differently: draw from random.Random(seed).")
        if fault:
            return chosen, fault
        drawn.append(sorted(chosen))
    if 0 < wanted < len(free) and all(d == drawn[0] for d in drawn):
        return drawn[0], (
            "Every seed makes the same choice: draw at random, else the first lessons are "
            "replayed in every round.")
    never = sorted(free - {q for chosen in drawn for q, _ in chosen})
    if wanted and never:
        return drawn[0], f"{never[0]} was never chosen with 60 seeds: draw from all earlier rounds."
    return None


def _choice_fault(
    chosen: Any, rounds: list[list[Pair]], wanted: int, share: float, free: int
) -> str | None:
    """What is wrong with one choice of lessons; None: nothing."""
    pairs = isinstance(chosen, list) and all(isinstance(c, tuple) and len(c) == 2 for c in chosen)
    if not pairs:
        return "Return a list of (question, lesson) pairs, as they came in."
    asked = [q for q, _ in chosen]
    both = sorted({q for q, _ in rounds[-1]} & set(asked))
    if both:
        return (f"{both[0]} has lessons in the current round: it is trained on anyway, so leave "
                "its earlier ones out.")
    if not set(chosen) <= {pair for lessons in rounds[:-1] for pair in lessons}:
        return "There are pairs in it that are no lesson of an earlier round."
    twice = [q for q in asked if asked.count(q) > 1]
    if twice:
        return (f"Question {twice[0]} is there twice: choose among questions, then one lesson of "
                "each.")
    if len(chosen) != wanted:
        return _wrong_count(len(chosen), wanted, share, rounds, free)
    return None


def _wrong_count(got: int, wanted: int, share: float, rounds: list[list[Pair]], free: int) -> str:
    if share and got in {round(share * sum(map(len, rounds[:-1]))), round(share * free)}:
        return (
            f"You took the share of the earlier lessons; wanted are {share} per lesson of the "
            f"*current* round: {wanted}.")
    what = "too many" if got > wanted else "too few"
    return (
        f"{got} are {what}: {share} × {len(rounds[-1])} lessons of the current round, and {free} "
        "questions to choose from.")


@exercise("07.2", "what to replay")
def check_replay(theirs: Program) -> None:
    if not callable(theirs) or not any(_returns(theirs, case) for case in _REPLAY_CASES):
        judge("07.2", theirs, theirs, [(*case, 0) for case in _REPLAY_CASES])  # says what it wants
        return
    for rounds, share in _REPLAY_CASES:
        fault = _replay_fault(theirs, rounds, share)
        if fault:
            chosen, told = fault
            what = "an error" if chosen is None else chosen
            shown = _Shown(f"{what} for rounds={rounds}, share={share}")
            judge_answer("07.2", shown, True, lambda _: told)  # noqa: B023 - called at once
            return
    judge_answer("07.2", True, True)


class _Shown(str):
    """A text that is shown without quotes."""

    __repr__ = str.__str__


def _returns(function: Program, case: tuple[Any, ...]) -> bool:
    """Whether a call returns something, or ends in an exception, which is told later."""
    return outcome(function, (*case, 0)) is not None


# 27 settings of round 1, measured once: a learner's two runs would take a minute. The file says
# when and how.
_RUNS = Path(__file__).with_name("forgetting_runs.json")
_KNOBS = ("replay", "epochs", "learning_rate")
_NO_USE = {
    "rounds":
        "A second round repairs what the first broke; here round 1 is to break less (or more) by "
        "itself.",
    "patience": "patience ends a run sooner; it changes nothing in a round.",
    "seed": "Another seed is other luck and no remedy.",
    "samples":
        "More samples find more mistakes; they were not measured here, and lessons for known "
        "skills stay rare.",
    "limit": "The number of questions was held fixed in the measured runs.",
    "reflection_weight":
        "λ was held at 0.5 in the measured runs. Whether it matters is open: try a run of your "
        "own.",
}


def _measured(measured: dict[str, Any], changes: dict[str, Any]) -> dict[str, float]:
    """Accuracies, losses and gains of a measured setting in points, mean over the seeds."""
    wanted = {**measured["start"], **changes}
    runs = [r for r in measured["runs"] if all(r[k] == wanted[k] for k in _KNOBS)]
    mean = {k: 100 * sum(r[k] for r in runs) / len(runs) for k in runs[0] if k not in _KNOBS}
    lost = mean["known_before"] - mean["known"]
    return {**mean, "lost": lost, "gained": mean["withheld"] - mean["withheld_before"]}


def _unknown_setting(measured: dict[str, Any], name: str, changes: Any) -> str | None:
    """A sentence if a dict of changes cannot be looked up among the measured runs."""
    if not isinstance(changes, dict) or not changes:
        return (
            f"{name} is to be a dict of changed knobs with at least one in it, such as "
            "dict(epochs=6).")
    try:
        LoopConfig().with_(**changes)
    except (ConfigError, TypeError) as error:
        return f"{name}: {str(error).split(';')[0]}; measured are only {', '.join(_KNOBS)}."
    for knob, value in changes.items():
        choices = sorted({r[knob] for r in measured["runs"]}) if knob in _KNOBS else []
        if value not in choices:
            told = ", ".join(map(str, choices)) if choices else f"only {', '.join(_KNOBS)}"
            return (f"{name}: {knob}={value} is not among the measured runs; measured are {told}. "
                    f"{_NO_USE.get(knob, '')}").rstrip()
    if all(measured["start"][k] == v for k, v in changes.items()):
        return f"{name} is the setting that we start from: change something."
    return None


def _knob_fault(measured: dict[str, Any], worse: Any, cured: Any) -> str | None:
    """The first fault of a learner's two settings; None: all is well."""
    for name, changes in (("worse", worse), ("cured", cured)):
        if fault := _unknown_setting(measured, name, changes):
            return fault
    start, bad = _measured(measured, {}), _measured(measured, worse)
    good = _measured(measured, cured)
    if bad["lost"] <= start["lost"] / 2 and good["lost"] > start["lost"] + 5:
        return "The two are swapped: `worse` loses less than `cured` does."
    if bad["lost"] <= start["lost"] + 5:
        why = "Replay holds the known skills. " if worse.get("replay") else ""
        if worse.get("epochs") == 1 or worse.get("learning_rate") == 0.001:
            why += "Less training is no way to forget more. "
        return (f"worse loses {bad['lost']:.0f} points on the known skills, the start "
                f"{start['lost']:.0f}. {why}").rstrip()
    if good["gained"] < 0.9 * start["gained"]:
        keeps = good["lost"] <= start["lost"] / 2
        why = "Who does not learn does not forget; that" if keeps else "To learn less"
        return (
            f"cured loses {good['lost']:.0f} points on the known skills, but it learns less: "
            f"{good['gained']:+.0f} points on the withheld ones, the start "
            f"{start['gained']:+.0f}. {why} is no cure.")
    if good["lost"] > start["lost"] / 2:
        return (
            f"cured loses {good['lost']:.0f} points on the known skills; half of the start's "
            f"{start['lost']:.0f} is allowed. What keeps the old answers in the loss, or changes "
            "the weights less?")
    return None


@exercise("07.3", "forget more, forget less")
def check_knobs(worse: Any, cured: Any) -> None:
    if any(x is None or x is ... for x in (worse, cured)):
        judge_answer("07.3", None, None)
        return
    measured = json.loads(_RUNS.read_text(encoding="utf-8"))
    fault = _knob_fault(measured, worse, cured)
    judge_answer("07.3", True if fault is None else (worse, cured), True, lambda _: fault)
    if fault is None:
        rows = []
        settings: dict[str, Any] = {"start": {}, "worse": worse, "cured": cured}
        for name, changes in settings.items():
            m = _measured(measured, changes)
            known = f"{m['known_before']:.0f} → {m['known']:.0f} %"
            withheld = f"{m['withheld_before']:.0f} → {m['withheld']:.0f} %"
            rows.append([name, known, withheld])
        seeds, date = measured["seeds"], measured["date"]
        print(f"round 1, mean of {seeds} seeds, measured on {date} (not now):")
        print(Table(["", "known skills", "withheld skills"], rows))
