"""The capstone's experiment: a plan written down before the runs, and two arms compared in pairs.

    pre_register(folder, "Does a second wording help?", {"two": config, "one": other}, [0, 1, 2])
    found = paired_difference(answers(runs_of_two), answers(runs_of_one))    # research.statistics
    in_words(found, "two", "one")
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2r_course.research.statistics import Difference
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import RunError, UserError
from l2r_lite.loop.runfolder import read_json, write_json
from l2r_lite.runs.reading import read_problems, read_test
from l2r_lite.runs.report import read_report
from l2r_lite.runs.show import Table

FEWEST_SEEDS = 3
RULE = "an arm is better if the 95 % interval of the paired difference excludes 0"


def pre_register(
    folder: str | Path, question: str, arms: Mapping[str, LoopConfig], seeds: Sequence[int], *,
    rule: str = RULE,
) -> Table:
    """Write the plan of an experiment to `folder`/plan.json once, with the date, and show it.

    Args:
        arms: name → settings, two of them; their seeds are ignored.
        rule: which result decides what.

    Raises:
        UserError: not two arms that differ, fewer than three seeds, or the folder has another plan.
    """
    differing = _differing(arms)
    if len(set(seeds)) < FEWEST_SEEDS:
        raise UserError(f"seeds = {list(seeds)}: use at least {FEWEST_SEEDS} different seeds.")
    plan = {
        "question": question, "rule": rule, "seeds": list(seeds),
        "arms": {name: _settings(config) for name, config in arms.items()}}
    file = Path(folder) / "plan.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"date": datetime.date.today().isoformat(), **plan})
    written = read_json(file)
    changed = [name for name, value in plan.items() if written.get(name) != value]
    if changed:
        raise UserError(
            f"{file} was written on {written.get('date')} with other {', '.join(changed)}. A plan "
            "does not change after the fact: put back the old one, or use a new folder for a new "
            "experiment.")
    settings = [
        f"{name}: " + ", ".join(f"{knob} = {values[i]}" for knob, values in differing.items())
        for i, name in enumerate(arms)]
    return Table(["plan", f"written on {written['date']}"], [
        ["question", question], *(["arm", text] for text in settings),
        ["seeds", ", ".join(map(str, seeds))], ["decision", rule]])


def _settings(config: LoopConfig) -> dict[str, Any]:
    return {knob: value for knob, value in config.to_json().items() if knob != "seed"}


def _differing(arms: Mapping[str, LoopConfig]) -> dict[str, tuple[Any, ...]]:
    """Setting → its value in each arm, where the arms differ."""
    if len(arms) != 2:
        raise UserError(f"{len(arms)} arms: compare exactly two.")
    settings = [_settings(config) for config in arms.values()]
    found = {
        knob: tuple(arm[knob] for arm in settings)
        for knob in settings[0] if settings[0][knob] != settings[1][knob]}
    if not found:
        raise UserError("the two arms have the same settings: change one in one of them.")
    return found


def answers(folders: Sequence[str | Path]) -> NDArray[np.int64]:
    """The kept students' test answers, 1 for right: one row per run, one column per question.

    Raises:
        RunError: a run is missing or unfinished, or the runs took different tests.
    """
    tests, rows = [], []
    for folder in map(Path, folders):
        report = read_report(folder)
        if report["stopped"] == "user":
            raise RunError(f"{folder}: this run was interrupted; resume it first.")
        problems = read_problems(folder, "test")
        tests.append([(problem.id, problem.question) for problem in problems])
        answered = read_test(folder, report["best_round"], problems)
        rows.append([int(answered[problem.id].correct) for problem in problems])
    if any(test != tests[0] for test in tests):
        raise RunError(
            f"the runs {', '.join(map(str, folders))} took different tests: they are no pairs.")
    return np.array(rows)


def in_words(found: Difference, first: str, second: str) -> str:
    """The result as a sentence that claims no more than its interval."""
    gain, low, high = (100 * x for x in (found.difference, found.low, found.high))
    result = f"{first} − {second}: {gain:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})."
    if not found.decided:
        return f"{result} Undecided: the interval includes 0."
    return f'{result} In this experiment "{first if gain > 0 else second}" is better.'
