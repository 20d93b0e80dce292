"""Checks of notebook 07: what to replay, and which knobs make a round forget more or less."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from l2r_course.checks.base import exercise, judge, judge_answer

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError
from l2r_lite.runs.show import Table

Pair = tuple[str, str]

_Q = [[("q1", "a"), ("q1", "b"), ("q2", "c"), ("q3", "d")], [("q3", "e"), ("q4", "f"), ("q5", "g")],
      [("q1", "h"), ("q6", "i")]]
_REPLAY_CASES: list[tuple[list[list[Pair]], float]] = [
    ([[("q1", "a"), ("q1", "b"), ("q2", "c")], [("q2", "d"), ("q3", "e")]], 0.5), (_Q, 1.0),
    (_Q, 1.5), (_Q, 0.0), ([_Q[0], [("q4", "x"), ("q4", "y")]], 5.0), (_Q[:1], 1.0),
    ([_Q[0], [("q1", "z")]], 1.0)]


def _replay_fault(
    theirs: Callable[..., Any], rounds: list[list[Pair]], share: float
) -> tuple[Any, str] | None:
    """What the function returned in a case, and a sentence on the first thing that is wrong with it; None: all is well."""
    now = {q for q, _ in rounds[-1]}
    earlier = [pair for lessons in rounds[:-1] for pair in lessons]
    free = {q for q, _ in earlier} - now
    wanted = min(round(share * len(rounds[-1])), len(free))
    seen: set[Pair] = set()
    drawn = []
    for seed in range(60):
        try:
            chosen, again = (theirs(copy.deepcopy(rounds), share, seed) for _ in range(2))
        # noqa: BLE001 - a reader's mistake is shown in a sentence, not as a traceback
        except Exception as error:
            told = f"Your function ended in {type(error).__name__}: {error}."
            if isinstance(error, ValueError) and "arger than" in str(error):
                told += (
                    " There are fewer questions left than lessons wanted: take all of them then.")
            return None, told
        if not isinstance(chosen, list) or not all(
            isinstance(c, tuple) and len(c) == 2 for c in chosen):
            return chosen, "Return a list of (question, lesson) pairs, as they came in."
        asked = [q for q, _ in chosen]
        if set(asked) & now:
            both = sorted(set(asked) & now)[0]
            return chosen, f"{both} has lessons in the current round: it is trained on anyway, so leave its earlier ones out."
        if not set(chosen) <= set(earlier):
            return chosen, "There are pairs in it that are no lesson of an earlier round."
        if len(set(asked)) < len(asked):
            twice = next(q for q in asked if asked.count(q) > 1)
            return chosen, f"Question {twice} is there twice: choose among questions, then one lesson of each."
        if len(chosen) != wanted:
            return chosen, _wrong_count(len(chosen), wanted, share, rounds, len(free))
        if chosen != again:
            return chosen, "Two calls with the same seed chose differently: draw from random.Random(seed)."
        seen |= set(chosen)
        drawn.append(sorted(chosen))
    if 0 < wanted < len(free) and all(d == drawn[0] for d in drawn):
        return drawn[0], "Every seed makes the same choice: draw at random, else the first lessons are replayed in every round."
    if wanted and (never := sorted(free - {q for q, _ in seen})):
        return drawn[0], f"{never[0]} was never chosen with 60 seeds: draw from all earlier rounds."
    return None


def _wrong_count(got: int, wanted: int, share: float, rounds: list[list[Pair]], free: int) -> str:
    if share and got in {round(share * sum(map(len, rounds[:-1]))), round(share * free)}:
        return (
            f"You took the share of the earlier lessons; wanted are {share} a lesson of the "
            f"*current* round: {wanted}.")
    if got > wanted:
        return (
            f"{got} are too many: {share} × {len(rounds[-1])} lessons of the current round, "
            f"{free} questions to choose from.")
    return (
        f"{got} are too few: {share} × {len(rounds[-1])} lessons of the current round, and {free} "
        "questions to choose from.")


@exercise("07.2", "what to replay")
def check_replay(theirs: Callable[..., Any]) -> None:
    if callable(theirs) and any(_quiet(theirs, case) is not None for case in _REPLAY_CASES):
        for rounds, share in _REPLAY_CASES:
            if fault := _replay_fault(theirs, rounds, share):
                shown, told = _Shown(fault[0], rounds, share), fault[1]
                judge_answer("07.2", shown, True, lambda _: told)  # noqa: B023 - called at once
                return
        judge_answer("07.2", True, True)
    else:
        judge("07.2", theirs, theirs, [(*case, 0) for case in _REPLAY_CASES])  # says what it wants


class _Shown:
    """A choice with the case that it was made in."""

    def __init__(self, chosen: Any, rounds: list[list[Pair]], share: float) -> None:
        self.text = f"{'an error' if chosen is None else chosen} for rounds={rounds}, share={share}"

    def __repr__(self) -> str:
        return self.text


def _quiet(function: Callable[..., Any], case: tuple[Any, ...]) -> Any:
    try:
        return function(*copy.deepcopy(case), 0)
    except Exception:  # noqa: BLE001 - what went wrong is told later
        return False


# 27 settings of round 1, measured once, because a reader's two runs would take a minute; the file
# says when and how.
_RUNS = Path(__file__).with_name("forgetting_runs.json")
_KNOBS = ("replay", "epochs", "learning_rate")
_NO_USE = {
    "rounds": "A second round repairs what the first broke; here round 1 is to break less (or more) by itself.",
    "patience": "patience ends a run sooner; it changes nothing in a round.",
    "seed": "Another seed is other luck and no remedy.",
    "samples": "More samples find more mistakes; they were not measured here, and lessons for known skills stay rare.",
    "limit": "The number of questions was held fixed in the measured runs.",
    "reflection_weight": "λ was held at 0.5 in the measured runs. Whether it matters is open: try a run of your own.",
}


def _measured(measured: dict[str, Any], changes: dict[str, Any]) -> dict[str, float]:
    """Accuracies, losses and gains of a measured setting in points, mean over the seeds."""
    wanted = {**measured["start"], **changes}
    runs = [r for r in measured["runs"] if all(r[k] == wanted[k] for k in _KNOBS)]
    mean = {k: 100 * sum(r[k] for r in runs) / len(runs) for k in runs[0] if k not in _KNOBS}
    return {**mean, "lost": mean["known_before"] - mean["known"],
            "gained": mean["withheld"] - mean["withheld_before"]}


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
            told = (
                f"measured are {', '.join(map(str, choices))}" if choices
                else f"measured are only {', '.join(_KNOBS)}")
            return f"{name}: {knob}={value} is not among the measured runs; {told}. {_NO_USE.get(knob, '')}".rstrip()
    if all(measured["start"][k] == v for k, v in changes.items()):
        return f"{name} is the setting that we start from: change something."
    return None


def _knob_fault(measured: dict[str, Any], worse: Any, cured: Any) -> str | None:
    """A sentence on the first thing that is wrong with a reader's two settings; None: all is well."""
    for name, changes in (("worse", worse), ("cured", cured)):
        if fault := _unknown_setting(measured, name, changes):
            return fault
    start, bad, good = _measured(measured, {}), _measured(measured, worse), _measured(
        measured, cured)
    if bad["lost"] <= start["lost"] / 2 and good["lost"] > start["lost"] + 5:
        return "The two are swapped: `worse` loses less than `cured` does."
    if bad["lost"] <= start["lost"] + 5:
        why = "Replay holds the known skills. " if worse.get("replay") else ""
        if worse.get("epochs") == 1 or worse.get("learning_rate") == 0.001:
            why += "Less training is no way to forget more. "
        return f"worse loses {bad['lost']:.0f} points on the known skills, the start {start['lost']:.0f}. {why}".rstrip()
    if good["gained"] < 0.9 * start["gained"]:
        why = "Who does not learn does not forget; that" if good["lost"] <= start[
            "lost"] / 2 else "To learn less"
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
        for name, changes in (("start", {}), ("worse", worse), ("cured", cured)):
            m = _measured(measured, changes)
            rows.append(
                [name, *(f"{m[f'{k}_before']:.0f} → {m[k]:.0f} %" for k in ("known", "withheld"))])
        print(
            f"round 1, mean of {measured['seeds']} seeds, measured on {measured['date']} (not "
            "now):")
        print(Table(["", "known skills", "withheld skills"], rows))
