"""Logs of finished runs: what several seeds of several arms answered, question by question, so that arms can be compared.

An *arm* is one way of training, an *experiment* all runs that differ in nothing but arm and seed.
An arm has a name out of ARMS, or turns knobs of the experiment's main arm: "reflection_weight=0.1",
or several, "margin=0.2,samples=4". A log is one experiment: a JSON Lines file, one line a run, in
notebooks/evidence/ (or any folder). A line, folded here:

    {"arm": "reflection", "seed": 3, "date": "2026-11-23", "commit": "b00d959…", "seconds": 131.5,
     "config": {… every knob of LoopConfig …}, "questions": "425 · 9c1f03d2a7be",
     how many test questions, and a fingerprint of their texts "test": ["0110…", "0111…"],
     one digit a test question, one text a round (round 0 first) "validation": [0.51, 0.79], "kept":
     1,               accuracy a round; the round that validation chose "rounds": [{"teacher_calls":
     200, "lessons": 400, …}],        what each round took, round 1 first "elsewhere": {"new
     skills": "0110…"},                answers of the kept student to questions of another kind
     "environment": {… machine and versions, as in report.json …}}

`from_folder` makes a line of a run folder, `keep` puts it into a log, `read_runs` reads all logs of
a folder. experiments.py makes the runs.
"""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import hashlib
import json
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
from l2r_lite.loop.records import Problem, Sample
from l2r_lite.runs.report import TIMES, read_report
from l2r_lite.runs.show import Table

FOLDER = Path(__file__).parent / "logs"

# Each arm adds one thing to the arm before it, so that each comparison has one meaning.
ARMS = {
    "untrained": "the student as it was pretrained",
    "annotator-once": "lessons on random training questions, written once and for no mistake",
    "annotator": "such lessons each round, as many as the tailored arm gets",
    "tailored": "lessons for the student's own mistakes (λ = 0)",
    "reflection": "tailored, and self-reflection on these mistakes (λ > 0)",
    "replay": "reflection, and replayed lessons and own correct answers",
    "self-training": "no teacher: the student's own correct answers",
}
# The knobs that make an arm, where knobs alone make it.
KNOBS: dict[str, dict[str, Any]] = {
    "untrained": {"rounds": 0},
    "tailored": {"reflection_weight": 0.0, "replay": 0.0},
    "reflection": {"reflection_weight": 0.5, "replay": 0.0},
    "replay": {"reflection_weight": 0.5, "replay": 0.5},
    "annotator": {"annotator": True, "reflection_weight": 0.0, "replay": 0.0},
    "self-training": {"teacher": "none", "reflection_weight": 0.0, "replay": 0.0},
}
# What a log says of each round: the amounts that should be equal between arms, and those that may
# explain a difference.
AMOUNTS = ("teacher_calls", "lessons", "mistakes", "samples", "items", "triplet_share",
           "exam_seconds", "train_seconds")


class EvidenceError(UserError):
    """A log that cannot be used as asked: which file and line, why, and what to do."""


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
    elsewhere: dict[str, str] = dataclasses.field(default_factory=dict)

    def correct(self, after: int | None = None) -> NDArray[np.int64]:
        """Which test questions were right (1) after a round: None the one that was kept, -1 the last."""
        return np.array([int(digit) for digit in self.test[self.kept if after is None else after]])


def knobs(arm: str, config: LoopConfig) -> dict[str, Any]:
    """The knobs of an arm in an experiment with this config (that of the main arm), at equal teacher calls and steps.

    Raises:
        EvidenceError: there is no such arm.
    """
    if arm == "annotator-once":  # as many calls and steps as the others take in all rounds
        return {**KNOBS["annotator"], "rounds": 1,
                "feedback_limit": config.rounds * config.feedback_limit,
                "steps": config.rounds * config.steps}
    if "=" not in _known(arm):
        return KNOBS[arm]
    return {
        name: json.loads(value)
        for name, _, value in (knob.partition("=") for knob in arm.split(","))}


def from_folder(
    out: str | Path, arm: str, commit: str = "",
    elsewhere: dict[str, Sequence[Sample]] | None = None,
) -> Run:
    """A finished run's folder as one record.

    Args:
        elsewhere: what the kept student answered to questions of another kind.

    Raises:
        RunError: a file of the folder is missing or damaged.  EvidenceError: there is no such arm.
    """
    place, report = Path(out), read_report(Path(out))
    problems = runfolder.read_lines(place / "problems" / "test.jsonl", Problem)
    texts = "\n".join(f"{p.question} {p.choices} {p.answer}" for p in problems)
    rounds = report["rounds"]
    answers = [
        runfolder.read_lines(place / f"round-{r['round']}" / "test.jsonl", Sample) for r in rounds]
    return Run(
        _known(arm), report["config"]["seed"], _without_folders(report["config"]),
        f"{len(problems)} · {hashlib.sha256(texts.encode()).hexdigest()[:12]}",
        tuple(map(_digits, answers)), tuple(r["validation_accuracy"] for r in rounds),
        report["best_round"], report["environment"], commit, datetime.date.today().isoformat(),
        round(sum(r.get(name, 0.0) for r in rounds for name in TIMES), 1),
        tuple({name: r[name] for name in AMOUNTS} for r in rounds[1:]),
        {name: _digits(samples) for name, samples in (elsewhere or {}).items()})


def _without_folders(config: dict[str, Any]) -> dict[str, Any]:
    """Files by their names alone: a log is published, and where they lay says nothing to others."""
    kind, _, file = config["teacher"].partition(":")
    named = {k: Path(v).name for k in ("data_dir", "problems", "teacher_cache") if (v := config[k])}
    if Path(config["student"]).is_dir():  # and no hub id
        named["student"] = Path(config["student"]).name
    return {**config, **named,
            "teacher": f"recorded:{Path(file).name}" if kind == "recorded" else config["teacher"]}


def _digits(samples: Sequence[Sample]) -> str:
    return "".join(str(int(s.correct)) for s in samples)


def keep(run: Run, log: str | Path) -> None:
    """Put a run into a log, in the place of an earlier one with its arm and seed. Several processes may do so at once."""
    file = Path(log)
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_name(f".{file.name}.lock")):
        runs = {(r.arm, r.seed): r for r in [*(read_log(file) if file.exists() else ()), run]}
        order = sorted(runs.values(), key=lambda r: (_rank(r.arm), r.arm, r.seed))
        runfolder.write_lines(file, [dataclasses.asdict(r) for r in order])


def _rank(arm: str) -> int:
    return list(ARMS).index(arm) if arm in ARMS else len(ARMS)


def read_runs(folder: str | Path = FOLDER) -> dict[str, list[Run]]:
    """All logs of a folder: name of the experiment → its runs. Without such a folder, or logs in it, an empty dict.

    Raises:
        EvidenceError: a line that cannot be read, an arm and seed that stand twice in a log, or
            runs in one log that sat different tests.
    """
    return {file.stem: read_log(file) for file in sorted(Path(folder).glob("*.jsonl"))}


def read_log(log: str | Path) -> list[Run]:
    """The runs of one log; for what is raised, see `read_runs`."""
    file, runs = Path(log), dict[tuple[str, int], Run]()
    for number, data in enumerate(runfolder.read_lines(file, dict), 1):
        at = f"{file.name}, line {number}"
        wanted = [
            f.name for f in dataclasses.fields(Run)
            if f.default is f.default_factory is dataclasses.MISSING]
        if absent := [name for name in wanted if name not in data]:
            raise EvidenceError(
                f"{at}: no field {', '.join(absent)}; the format stands at the top of "
                "l2r_lite/evidence.py.")
        known = {f.name for f in dataclasses.fields(Run)}
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k in known}
        run = Run(**values)
        if wrong := _misshapen(run):
            raise EvidenceError(
                f"{at}: {wrong}; the format stands at the top of l2r_lite/evidence.py.")
        if (_known(run.arm, at), run.seed) in runs:
            raise EvidenceError(
                f"{at}: the arm {run.arm} with seed {run.seed} stands in this log already.")
        if runs and run.questions != (first := next(iter(runs.values()))).questions:
            raise EvidenceError(
                f"{at}: this run sat another test ({run.questions}) than the first "
                f"({first.questions}).")
        runs[run.arm, run.seed] = run
    return list(runs.values())


def _misshapen(run: Run) -> str:
    """What is wrong with the shape of a line's fields; "" if nothing is."""
    wanted: dict[str, Any] = {"arm": str, "seed": int, "config": dict, "questions": str,
                              "test": tuple, "validation": tuple, "kept": int, "environment": dict,
                              "seconds": (int, float), "rounds": tuple, "elsewhere": dict}
    for name, kind in wanted.items():
        if not isinstance(value := getattr(run, name), kind) or isinstance(value, bool):
            return f"the field {name} cannot be {value!r:.60}"
    if not all(isinstance(digits, str) and set(digits) <= {"0", "1"} for digits in run.test) or len(
        {*map(len, run.test)}) != 1:
        return "the field test must hold one text of 0 and 1 a round, each a digit a question"
    if not all(
        isinstance(digits, str) and set(digits) <= {"0", "1"} for digits in run.elsewhere.values()):
        return "the field elsewhere must hold texts of 0 and 1"
    if not all(isinstance(share, int | float) for share in run.validation):
        return "the field validation must hold a number a round"
    return "" if 0 <= run.kept < len(
        run.test) else f"the field kept is {run.kept}, and test has {len(run.test)} rounds"


def _known(arm: str, at: str = "") -> str:
    turned = [knob.partition("=") for knob in arm.split(",")]
    if all(is_knob and name in {f.name for f in dataclasses.fields(LoopConfig)} and _is_json(v)
           for name, is_knob, v in turned):
        return arm
    if arm not in ARMS:
        close = difflib.get_close_matches(arm, ARMS, 1)
        hint = f' Did you mean "{close[0]}"?' if close else ""
        raise EvidenceError(
            f'{at}{": " * bool(at)}no arm is called "{arm}"; there are: {", ".join(ARMS)}.{hint}')
    return arm


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def what_is_there(runs: Sequence[Run]) -> Table:
    """Every arm with the seeds it was run with, also the arms of which there is nothing."""
    rows = []
    others = dict.fromkeys(
        (r.arm for r in runs if r.arm not in ARMS), "the main arm with these knobs changed")
    for arm, meaning in (ARMS | others).items():
        seeds = sorted(r.seed for r in runs if r.arm == arm)
        rows.append(
            [arm, meaning,
             f"{len(seeds)} ({', '.join(map(str, seeds))})" if seeds else "no run here"])
    return Table(["arm", "what it is", "runs (seeds)"], rows)


def what_differs(runs: Sequence[Run], first: str, second: str) -> dict[str, tuple[Any, Any]]:
    """The knobs in which two arms differ, besides the seed: what a comparison of them compares. Read it before the result."""
    one, two = (
        next((r.config for r in runs if r.arm == arm), {})
        for arm in (_known(first), _known(second)))
    return {
        k: (one.get(k), two.get(k)) for k in one | two if k != "seed" and one.get(k) != two.get(k)}


def paired(
    runs: Sequence[Run], first: str, second: str, after: int | None = None
) -> tuple[list[int], NDArray[np.int64], NDArray[np.int64]]:
    """Two arms as tables that `statistics` compares: the seeds that both have, and for each arm (seeds, questions) of 0 and 1.

    Args:
        first, second: arms. "untrained", if there is no run of it, is round 0 of the other arm.
        after: None takes each run's kept student, -1 that of the last round, n that of round n.

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
    # type: ignore[return-value]
    return seeds, *(np.stack([table[s] for s in seeds]) for table in tables)
