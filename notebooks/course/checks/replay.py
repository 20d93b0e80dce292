"""Checks of notebook 08: what to replay, and which settings make a round forget more or less."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from pathlib import Path
from typing import Any

from l2r_course.checks.base import Program, exercise, judge, judge_answer, outcome
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError
from l2r_lite.runs.show import Table

Pair = tuple[str, str]

_Q = [
    [("q1", "a"), ("q1", "b"), ("q2", "c"), ("q2", "d"), ("q3", "e")],
    [("q2", "c"), ("q4", "f"), ("q5", "g")],
    [("q3", "h"), ("q6", "i")]]
_REPLAY_CASES: list[tuple[list[list[Pair]], float]] = [
    (_Q, 1.0), (_Q, 0.6), (_Q, 0.4), (_Q, 0.0),
    ([_Q[0], [("q1", "b"), ("q4", "x"), ("q4", "y")]], 1.0),
    ([_Q[0], _Q[1], [("q5", "g"), ("q7", "j")]], 0.3),
    (_Q[:1], 1.0), ([_Q[0], []], 0.8), ([_Q[0], _Q[0]], 1.0)]


def _replay_fault(
    theirs: Program, rounds: list[list[Pair]], share: float
) -> tuple[Any, str] | None:
    """What the function returned in a case, and the first fault in it; None: no fault."""
    earlier = [pair for lessons in rounds[:-1] for pair in lessons]
    free = [pair for pair in dict.fromkeys(earlier) if pair not in rounds[-1]]
    wanted = round(share * len(free))
    drawn: list[list[Pair]] = []
    for seed in range(60):
        silent = contextlib.redirect_stdout(io.StringIO()) if seed else contextlib.nullcontext()
        try:
            with silent:  # 120 calls: what the function prints is shown for the first seed only
                chosen, again = (theirs(copy.deepcopy(rounds), share, seed) for _ in range(2))
        except Exception as error:  # noqa: BLE001 - a learner's mistake is told in a sentence
            said = str(error).rstrip(".")
            told = f"Your function raised {type(error).__name__}: {said}."
            if isinstance(error, ValueError) and "arger than" in str(error):
                told += (
                    " You draw more lessons than there are: `share` is the share of the lessons "
                    "that are left to draw from.")
            return None, told
        fault = _choice_fault(chosen, rounds, free, wanted, share)
        if fault is None and chosen != again:
            fault = (
                "Two calls with the same seed chose different lessons: draw with "
                "random.Random(seed).")
        if fault:
            return chosen, fault
        drawn.append(sorted(chosen))
    if 0 < wanted < len(free) and all(d == drawn[0] for d in drawn):
        return drawn[0], (
            "Every seed makes the same choice. Draw at random: else the same first lessons are "
            "replayed in every round.")
    never = sorted(set(free) - {pair for chosen in drawn for pair in chosen})
    if wanted and never:
        return drawn[0], f"{never[0]} was not chosen with any of 60 seeds: draw from all of them."
    return None


def _choice_fault(
    chosen: Any, rounds: list[list[Pair]], free: list[Pair], wanted: int, share: float
) -> str | None:
    """What is wrong with one choice of lessons; None: nothing."""
    pairs = isinstance(chosen, list) and all(isinstance(c, tuple) and len(c) == 2 for c in chosen)
    if not pairs:
        return "Return a list of (question, lesson) pairs, unchanged."
    both = sorted(set(chosen) & set(rounds[-1]))
    if both:
        return (
            f"{both[0]} is a lesson of the current round. It is trained on anyway: leave it out.")
    if not set(chosen) <= set(free):
        return "Your list contains pairs that are not lessons of an earlier round."
    twice = [pair for pair in chosen if chosen.count(pair) > 1]
    if twice:
        return (
            f"{twice[0]} is in your list twice. Two rounds may have the same lesson: remove "
            "duplicates before you draw, and draw without replacement.")
    if len(chosen) != wanted:
        return _wrong_count(len(chosen), wanted, share, rounds, free)
    return None


def _wrong_count(
    got: int, wanted: int, share: float, rounds: list[list[Pair]], free: list[Pair]
) -> str:
    earlier = [pair for lessons in rounds[:-1] for pair in lessons]
    now = {question for question, _ in rounds[-1]}
    other = [(q, text) for q, text in free if q not in now]
    told = f"{got} lessons are too {'many' if got > wanted else 'few'}; it should be {wanted}: "
    if got == int(share * len(free)):
        return told + f"use `round` on {share} × {len(free)}; int() and // cut off the fraction."
    questions = {len({q for q, _ in free}), len({q for q, _ in other})}
    if got in {round(share * n) for n in questions}:
        return told + (
            "did you take one lesson per question? Two different lessons on one question count "
            "twice.")
    if got == round(share * len(other)):
        return told + (
            "did you leave out every question of the current round? Leave out only identical "
            "pairs; another lesson on the same question may be replayed.")
    if got in {round(share * len(earlier)), round(share * len(set(earlier)))}:
        return told + (
            "first remove duplicates and the current round's pairs, then take the share of what is "
            "left.")
    if got == round(share * len(set(rounds[-2]) & set(free))):
        return told + "draw from all earlier rounds, not only from the last one."
    if got == min(round(share * len(rounds[-1])), len(free)):
        return told + (
            f"take the share of the {len(free)} earlier lessons, not of the {len(rounds[-1])} "
            "lessons of the current round.")
    return told + f"{share} × {len(free)} lessons to choose from, rounded."


@exercise("08.2", "what to replay")
def check_replay(theirs: Program) -> None:
    if not callable(theirs) or not any(_returns(theirs, case) for case in _REPLAY_CASES):
        judge("08.2", theirs, theirs, [(*case, 0) for case in _REPLAY_CASES])  # says what is wrong
        return
    for rounds, share in _REPLAY_CASES:
        fault = _replay_fault(theirs, rounds, share)
        if fault:
            chosen, told = fault
            what = "an error" if chosen is None else chosen
            shown = _Shown(f"{what} for rounds={rounds}, share={share}")
            judge_answer("08.2", shown, True, lambda _: told)  # noqa: B023 - called at once
            return
    judge_answer("08.2", True, True)


class _Shown(str):
    """A text that is shown without quotes."""

    __repr__ = str.__str__


def _returns(function: Program, case: tuple[Any, ...]) -> bool:
    """Whether a call returns something, or ends in an exception (reported later)."""
    return outcome(function, (*case, 0)) is not None


# 27 settings of round 1, measured once, because a learner's own runs would take a minute. The file
# says when and how.
_RUNS = Path(__file__).with_name("forgetting_runs.json")
_KNOBS = ("replay", "epochs", "learning_rate")
_NO_USE = {
    "rounds":
        "A second round would repair what the first one broke. The task is to make round 1 itself "
        "break less (or more).",
    "patience": "patience can end a run earlier; it changes nothing within a round.",
    "seed": "Another seed only changes the luck.",
    "samples":
        "More samples find more mistakes, but lessons on known skills stay rare. We did not "
        "measure it.",
    "limit": "All measured runs have the same number of questions.",
    "rate_decay": "It acts from round 2 on; round 1 has the full learning rate.",
    "reflection_weight":
        "λ is 0.5 in all measured runs. Whether it matters here is open: try it in a run of your "
        "own.",
}


def _measured(measured: dict[str, Any], changes: dict[str, Any]) -> dict[str, float]:
    """A measured setting: accuracies, losses and gains in points, mean over the seeds."""
    wanted = {**measured["start"], **changes}
    runs = [r for r in measured["runs"] if all(r[k] == wanted[k] for k in _KNOBS)]
    mean = {k: 100 * sum(r[k] for r in runs) / len(runs) for k in runs[0] if k not in _KNOBS}
    lost = mean["known_before"] - mean["known"]
    return {**mean, "lost": lost, "gained": mean["withheld"] - mean["withheld_before"]}


def _unknown_setting(measured: dict[str, Any], name: str, changes: Any) -> str | None:
    """Why a dict of changes cannot be looked up among the measured runs; None: it can."""
    if not isinstance(changes, dict) or not changes:
        return (
            f"{name} must be a dict with at least one changed setting, such as dict(epochs=1).")
    try:
        LoopConfig().with_(**changes)
    except (ConfigError, TypeError) as error:
        return f"{name}: {str(error).split(';')[0]}; we measured only {', '.join(_KNOBS)}."
    for knob, value in changes.items():
        choices = sorted({r[knob] for r in measured["runs"]}) if knob in _KNOBS else []
        if value not in choices:
            told = ", ".join(map(str, choices)) if choices else f"only {', '.join(_KNOBS)}"
            return (f"{name}: {knob}={value} is not among the measured runs; we measured {told}. "
                    f"{_NO_USE.get(knob, '')}").rstrip()
    if all(measured["start"][k] == v for k, v in changes.items()):
        return f"{name} equals the start: change something."
    return None


def _knob_fault(measured: dict[str, Any], worse: Any, cured: Any) -> str | None:
    """The first fault of a learner's two settings; None: no fault."""
    for name, changes in (("worse", worse), ("cured", cured)):
        if fault := _unknown_setting(measured, name, changes):
            return fault
    start, bad = _measured(measured, {}), _measured(measured, worse)
    good = _measured(measured, cured)
    if bad["lost"] <= start["lost"] / 2 and good["lost"] > start["lost"] + 5:
        return "The two are swapped: `worse` loses less than `cured`."
    if bad["lost"] <= start["lost"] + 5:
        why = "Replay protects the known skills. " if worse.get("replay") else ""
        if worse.get("epochs") == 1 or worse.get("learning_rate") == 0.001:
            why += "Less training does not make a student forget more. "
        if worse.get("epochs", 0) > measured["start"]["epochs"]:
            why += "More passes only repeat the lessons. What makes each step larger? "
        return (f"worse loses {bad['lost']:.0f} points on the known skills, the start "
                f"{start['lost']:.0f}. {why}").rstrip()
    if good["gained"] < 0.8 * start["gained"]:
        keeps = good["lost"] <= start["lost"] / 2
        why = "It forgets little because it learns little: that" if keeps else "Learning less"
        return (
            f"cured loses {good['lost']:.0f} points on the known skills, but it learns less: "
            f"{good['gained']:+.0f} points on the withheld ones, against {start['gained']:+.0f} at "
            f"the start. {why} is no cure.")
    if good["lost"] > start["lost"] / 2:
        return (
            f"cured loses {good['lost']:.0f} points on the known skills; at most half of the "
            f"start's {start['lost']:.0f} is allowed. What keeps the old answers in the loss, or "
            "changes the weights less?")
    return None


@exercise("08.3", "forget more, forget less")
def check_knobs(worse: Any, cured: Any) -> None:
    if any(x is None or x is ... for x in (worse, cured)):
        judge_answer("08.3", None, None)
        return
    measured = json.loads(_RUNS.read_text(encoding="utf-8"))
    fault = _knob_fault(measured, worse, cured)
    judge_answer("08.3", True if fault is None else (worse, cured), True, lambda _: fault)
    if fault is None:
        rows = []
        settings: dict[str, Any] = {"start": {}, "worse": worse, "cured": cured}
        for name, changes in settings.items():
            m = _measured(measured, changes)
            known = f"{m['known_before']:.0f} → {m['known']:.0f} %"
            withheld = f"{m['withheld_before']:.0f} → {m['withheld']:.0f} %"
            rows.append([name, known, withheld])
        seeds, date = measured["seeds"], measured["date"]
        print(f"Round 1, mean of {seeds} seeds, measured on {date} (not now):")
        print(Table(["", "known skills", "withheld skills"], rows))
