"""Logs of finished runs: the test answers of every arm and seed, to compare arms.

An *arm* is one way of training, a name in ARMS. An *experiment* is all runs that differ only in arm
and seed. A log is one experiment: a JSON Lines file in `logs/` beside this module (or any folder),
one line per run. A line, folded here:

    {"arm": "reflection", "seed": 3, "date": "2026-11-23", "commit": "b00d959…", "seconds": 131.5,
     "config": {… every knob of LoopConfig …},
     "questions": "425 · 9c1f03d2a7be",         number of test questions, fingerprint of their texts
     "test": ["0110…", "0111…"],                per round, from round 0: a digit per question
     "validation": [0.51, 0.79], "kept": 1,     accuracy per round; the round that validation chose
     "rounds": [{"teacher_calls": 200, …}],     what each round cost, from round 1
     "environment": {… machine and versions, as in report.json …}}

`from_folder` turns a run folder into a line, `keep` adds it to a log, `read_runs` reads all logs of
a folder. experiments.py makes the runs.
"""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from l2r_lite.loop import runfolder
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import UserError
from l2r_lite.loop.records import Sample
from l2r_lite.runs.reading import read_problems, read_test
from l2r_lite.runs.report import TIMES, read_report
from l2r_lite.runs.show import Table

FOLDER = Path(__file__).parent / "logs"

# Every arm differs from "tailored" in one thing, so that each comparison has one meaning.
ARMS = {
    "untrained": "the pretrained student, before any lesson",
    "tailored": "rounds of lessons for the student's own mistakes (λ = 0)",
    "random lessons": "the same rounds, but lessons on random questions, not for mistakes",
    "one shot": "all lessons of the tailored rounds in a single round of equally many steps",
    "little reflection": "tailored, plus a little self-reflection (λ = 0.1)",
    "reflection": "tailored, plus the paper's self-reflection (λ = 0.5)",
    "no memory": "tailored, but each round has only its own lessons, at a constant learning rate",
}
ONE_SHOT = "one shot"  # its lessons come from the run of "tailored" with its seed (experiments.py)
KNOBS: dict[str, dict[str, Any]] = {
    "untrained": {"rounds": 0},
    "tailored": {"reflection_weight": 0.0},
    "random lessons": {"annotator": True, "reflection_weight": 0.0},
    "little reflection": {"reflection_weight": 0.1},
    "reflection": {"reflection_weight": 0.5},
    "no memory": {"reflection_weight": 0.0, "replay": 0.0, "rate_decay": 1.0},
}
# Logged per round: amounts that should be equal between arms, and those that may explain a result.
AMOUNTS = ("teacher_calls", "lessons", "mistakes", "samples", "items", "triplet_share",
           "exam_seconds", "train_seconds")
_FORMAT = "the format is described at the top of l2r_course/research/evidence.py."


class EvidenceError(UserError):
    """A log that cannot be used: which file and line, why, and what to do."""


@dataclass(frozen=True)
class Run:
    """One finished run: a line of a log."""

    arm: str
    seed: int
    config: dict[str, Any]
    questions: str
    test: tuple[str, ...]
    validation: tuple[float, ...]
    kept: int
    environment: dict[str, Any]
    commit: str = ""
    date: str = ""
    seconds: float = 0.0
    rounds: tuple[dict[str, float], ...] = ()

    def correct(self, after: int | None = None) -> NDArray[np.int64]:
        """1 per test question answered right after a round (None: the kept one, -1: the last)."""
        answers = self.test[self.kept if after is None else after]
        return np.array([int(digit) for digit in answers])


def knobs(arm: str, config: LoopConfig) -> dict[str, Any]:
    """The knobs of an arm, with the number of steps of `config` (the tailored arm's).

    Raises:
        EvidenceError: there is no such arm.
    """
    if _known(arm) == ONE_SHOT:
        return {**KNOBS["tailored"], "rounds": 1, "steps": config.rounds * config.steps}
    return KNOBS[arm]


def from_folder(out: str | Path, arm: str, commit: str = "") -> Run:
    """A finished run's folder as one record.

    Raises:
        RunError: a file of the folder is missing or damaged.  EvidenceError: there is no such arm.
    """
    place, report = Path(out), read_report(Path(out))
    problems = read_problems(place, "test")
    texts = "\n".join(f"{p.question} {p.choices} {p.answer}" for p in problems)
    rounds = report["rounds"]
    answers = [
        list(read_test(place, entry["round"], problems).values()) for entry in rounds]
    seconds = sum(r.get(name, 0.0) for r in rounds for name in TIMES)
    config = {**LoopConfig().to_json(), **report["config"]}  # an older run lacks newer knobs
    return Run(
        arm=_known(arm), seed=config["seed"], config=_without_folders(config),
        questions=f"{len(problems)} · {hashlib.sha256(texts.encode()).hexdigest()[:12]}",
        test=tuple(map(_digits, answers)), kept=report["best_round"],
        validation=tuple(r["validation_accuracy"] for r in rounds),
        rounds=tuple({name: r[name] for name in AMOUNTS} for r in rounds[1:]),
        environment=report["environment"], commit=commit,
        date=datetime.date.today().isoformat(), seconds=round(seconds, 1))


def _without_folders(config: dict[str, Any]) -> dict[str, Any]:
    """Files by name only: a log is published, and the names of their folders are private."""
    files = ("data_dir", "problems", "teacher_cache")
    named = {knob: Path(config[knob]).name for knob in files if config[knob]}
    if os.path.isdir(config["student"]):  # not a hub id
        named["student"] = Path(config["student"]).name
    kind, _, file = config["teacher"].partition(":")
    if kind == "recorded":
        named["teacher"] = f"recorded:{Path(file).name}"
    return {**config, **named}


def _digits(samples: Sequence[Sample]) -> str:
    return "".join(str(int(s.correct)) for s in samples)


def keep(run: Run, log: str | Path) -> None:
    """Add a run to a log; it replaces one of the same arm and seed. Several processes may do so."""
    file = Path(log)
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_name(f".{file.name}.lock")):
        earlier = read_log(file) if file.exists() else []
        runs = {(r.arm, r.seed): r for r in [*earlier, run]}
        arms = list(ARMS)
        order = sorted(runs.values(), key=lambda r: (arms.index(r.arm), r.seed))
        runfolder.write_lines(file, [dataclasses.asdict(r) for r in order])


def read_runs(folder: str | Path = FOLDER) -> dict[str, list[Run]]:
    """All logs of a folder: name of the experiment → its runs; {} without logs.

    Raises:
        EvidenceError: a line cannot be read, a log has an arm and seed twice, or runs in one log
            have different test questions.
    """
    return {file.stem: read_log(file) for file in sorted(Path(folder).glob("*.jsonl"))}


def read_log(log: str | Path) -> list[Run]:
    """The runs of one log. Raises the errors of `read_runs`."""
    file, runs = Path(log), dict[tuple[str, int], Run]()
    fields, missing = {f.name: f for f in dataclasses.fields(Run)}, dataclasses.MISSING
    required = [n for n, f in fields.items() if f.default is f.default_factory is missing]
    for number, data in enumerate(runfolder.read_lines(file, dict), 1):
        at = f"{file.name}, line {number}"
        if absent := [name for name in required if name not in data]:
            raise EvidenceError(f"{at}: no field {', '.join(absent)}; {_FORMAT}")
        # Fields of a later version are ignored.
        known = {name: value for name, value in data.items() if name in fields}
        lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        run = Run(**(known | lists))
        if wrong := _misshapen(run):
            raise EvidenceError(f"{at}: {wrong}; {_FORMAT}")
        if (_known(run.arm, f"{at}: "), run.seed) in runs:
            raise EvidenceError(
                f"{at}: the arm {run.arm} with seed {run.seed} is already in this log.")
        first = next(iter(runs.values()), run)
        if run.questions != first.questions:
            raise EvidenceError(
                f"{at}: this run has other test questions ({run.questions}) than the first one "
                f"({first.questions}).")
        runs[run.arm, run.seed] = run
    return list(runs.values())


_TYPES: dict[str, Any] = {
    "arm": str, "seed": int, "config": dict, "questions": str, "test": tuple, "validation": tuple,
    "kept": int, "environment": dict, "seconds": (int, float), "rounds": tuple,
}


def _misshapen(run: Run) -> str:
    """Which field of a line has the wrong shape, and why; "" if none has."""
    for name, kind in _TYPES.items():
        value = getattr(run, name)
        if not isinstance(value, kind) or isinstance(value, bool):
            return f"the field {name} cannot be {value!r:.60}"
    if not all(map(_are_digits, run.test)) or len({len(digits) for digits in run.test}) != 1:
        return "the field test needs one string of 0 and 1 per round, with a digit per question"
    if not all(isinstance(share, int | float) for share in run.validation):
        return "the field validation needs one number per round"
    if not 0 <= run.kept < len(run.test):
        return f"the field kept is {run.kept}, and test has {len(run.test)} rounds"
    return ""


def _are_digits(value: Any) -> bool:
    return isinstance(value, str) and set(value) <= {"0", "1"}


def _known(arm: str, at: str = "") -> str:
    """The arm, if it exists; otherwise an error that begins with `at`."""
    if arm in ARMS:
        return arm
    close = difflib.get_close_matches(arm, ARMS, 1)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    raise EvidenceError(f'{at}no arm is called "{arm}"; the arms are: {", ".join(ARMS)}.{hint}')


def what_is_there(runs: Sequence[Run]) -> Table:
    """Every arm with its seeds, including arms without a run."""
    rows = []
    for arm, meaning in ARMS.items():
        seeds = sorted(r.seed for r in runs if r.arm == arm)
        listed = ", ".join(map(str, seeds))
        rows.append([arm, meaning, f"{len(seeds)} ({listed})" if seeds else "no run here"])
    return Table(["arm", "how it trains", "runs (seeds)"], rows)


def what_differs(runs: Sequence[Run], first: str, second: str) -> dict[str, tuple[Any, Any]]:
    """The knobs in which two arms differ, except the seed. Read it before you compare results."""
    one, two = (
        next((r.config for r in runs if r.arm == arm), {})
        for arm in (_known(first), _known(second)))
    both = {knob: (one.get(knob), two.get(knob)) for knob in one | two if knob != "seed"}
    return {knob: values for knob, values in both.items() if values[0] != values[1]}


def paired(
    runs: Sequence[Run], first: str, second: str, after: int | None = None
) -> tuple[list[int], NDArray[np.int64], NDArray[np.int64]]:
    """Two arms as tables that `statistics` compares.

    Args:
        first, second: arms. "untrained", if there is no run of it, is round 0 of the other arm.
        after: None takes each run's kept student, -1 that of the last round, n that of round n.

    Returns:
        The seeds that both arms have, and for each arm a table (seeds, questions) of 0 and 1.

    Raises:
        EvidenceError: the arms have no seed in common.
    """
    tables = [
        {r.seed: r.correct(after) for r in runs if r.arm == _known(arm)} for arm in (first, second)]
    for table, arm, other in zip(tables, (first, second), (second, first), strict=True):
        if arm == "untrained" and not table:
            table.update({r.seed: r.correct(0) for r in runs if r.arm == other})
    seeds = sorted(tables[0].keys() & tables[1].keys())
    if not seeds:
        raise EvidenceError(
            f"{first} and {second} have no seed in common: {sorted(tables[0])} and "
            f"{sorted(tables[1])}.")
    one, two = (np.stack([table[s] for s in seeds]) for table in tables)
    return seeds, one, two
