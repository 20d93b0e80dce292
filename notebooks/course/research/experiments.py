"""`make evidence`: every arm with every seed, at equal teacher calls and training steps.

    make evidence                   # default, pocket and causes: the pocket world, 2 hours
    make evidence ARGS="pocket --seeds 3"
    make evidence ARGS="multiarith --data-dir DIR --teacher recorded:FILE"  # SmolLM2, an hour

The logs lie in notebooks/course/research/logs/. What is in a log is not run again, and a run that
was stopped or killed resumes when it is started again. Several processes share the runs.
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from l2r_course.research import causes, evidence
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import UserError
from l2r_lite.loop.records import Lesson
from l2r_lite.loop.runfolder import SCRATCH, read_json, read_lines, write_json, write_lines
from l2r_lite.runs import guard
from l2r_lite.runs.config_file import read_config
from l2r_lite.runs.report import environment
from l2r_lite.runs.run import run_rounds
from l2r_lite.runs.same_run import differs
from l2r_lite.students.presets import PRESETS

# Knobs that act only after a run's first exam: runs that differ in nothing else begin alike.
LATER = frozenset({
    "annotator", "rounds", "reflection_weight", "margin", "replay", "rate_decay", "check_steps",
    "feedback_limit", "lessons", "mistakes_per_question", "epochs", "steps", "learning_rate",
    "batch_size", "micro_batch", "patience"})


@dataclass(frozen=True)
class Experiment:
    """The runs of one log.

    Attributes:
        log: its name. Two experiments on one test may share a log, so that arms can be compared.
        arms: names in evidence.ARMS.
        seeds, first: how many seeds each arm has, and the first of them.
    """

    log: str
    config: LoopConfig
    arms: Sequence[str]
    seeds: int
    first: int = 0


# Amounts that all arms share are written out: a later default must not make a log incomparable.
# 120 questions a round are as many as a good student still gets wrong in its third exam.
_POCKET = PRESETS["pocket"].with_(
    test_limit=1020, feedback_limit=120, steps=75, batch_size=16, replay=1.0, rate_decay=0.5)
_ARMS = ("tailored", "one shot", "random lessons", "little reflection", "reflection")
# SmolLM2 on a CPU: a round is an exam of 100 questions, 50 of them taught, and 15 steps.
_SMOL = PRESETS["smol"].with_(
    rounds=3, samples=1, reflection_weight=0.0, replay=1.0, rate_decay=0.5, limit=100,
    feedback_limit=50, steps=15, batch_size=8, validation_limit=30, test_limit=120)
# GPT-3.5 wrote up to three rationales for a question of SVAMP: each lesson has a right partner.
_SVAMP = _SMOL.with_(problems="svamp", lessons=3)
EXPERIMENTS = {
    # The default as it is run, as many steps as its mistakes bring, beside the paper's way.
    "default": Experiment("default", PRESETS["pocket"], ("tailored", "no memory"), 10),
    "pocket": Experiment("pocket", _POCKET, _ARMS, 10, first=20),
    "multiarith": Experiment("multiarith", _SMOL, ("tailored", "one shot"), 3),
    "svamp": Experiment("svamp", _SVAMP, ("tailored", "one shot", "reflection"), 3),
}
# Inside a round (causes.py): what self-reflection does to a student that trains on mistakes alone.
INSIDE = Experiment(
    "causes", PRESETS["pocket"].with_(replay=0.0, feedback_limit=160, steps=40, batch_size=32),
    ("tailored", "reflection"), 5)
NAMES = (*EXPERIMENTS, "causes")
WITHOUT_DATA = ("default", "pocket", "causes")


def config_of(experiment: Experiment, arm: str, seed: int) -> LoopConfig:
    """One run's config: the experiment's with the arm's knobs."""
    base = experiment.config.with_(seed=seed)
    return base.with_(**evidence.knobs(arm, base))


def run_experiment(
    experiment: Experiment, runs: Path, logs: Path, *, only: Sequence[str] = (),
    seeds: int | None = None, **changes: Any,
) -> int:
    """Run what is not in the log yet, seed by seed, so that an incomplete log is balanced.

    Args:
        runs, logs: folder of the run folders, folder of the logs.
        only: these arms of the experiment (default: all).
        seeds: how many, instead of the experiment's number.
        changes: knobs for all arms, such as where the data lies.

    Returns:
        How many runs are left to another process, which holds them or what they need.
    """
    log, left = logs / f"{experiment.log}.jsonl", 0
    arms = [arm for arm in experiment.arms if not only or arm in only]
    wanted = [(seed, arm) for seed in _seeds(experiment, seeds) for arm in arms]
    bar = tqdm(wanted, desc=experiment.log, unit="run", disable=None)
    for seed, arm in bar:
        bar.set_postfix_str(f"{arm}, seed {seed}")
        out = runs / experiment.log / _folder(arm, seed)
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(out.with_name(f".{out.name}.lock"), blocking=False):
                done = evidence.read_log(log) if log.exists() else []
                if any((r.arm, r.seed) == (arm, seed) for r in done):
                    continue
                config = config_of(experiment, arm, seed).with_(**changes)
                begin_alike(config, out)
                if arm == evidence.ONE_SHOT and not take_lessons(out):
                    left += 1
                    continue
                if run_rounds(config, out, progress=sys.stderr.isatty())["stopped"] == "user":
                    raise KeyboardInterrupt
                evidence.keep(evidence.from_folder(out, arm, code_commit()), log)
        except Timeout:
            left += 1
    return left


def begin_alike(config: LoopConfig, out: Path) -> None:
    """Copy the first exam of a run beside `out` that began alike: the result is the same."""
    if out.exists():
        return
    beginning = {k: v for k, v in config.to_json().items() if k not in LATER}
    for settings in sorted(out.parent.glob("*/config.json")):
        other, theirs = settings.parent, read_config(settings).to_json()
        exam = other / "round-1" / "exam.jsonl"
        if not exam.exists() or any(differs(k, theirs[k], value) for k, value in beginning.items()):
            continue
        scratch = out.with_name(f"{SCRATCH}{out.name}")
        shutil.rmtree(scratch, ignore_errors=True)  # of a process that was killed here
        for folder in ("problems", "round-0"):
            shutil.copytree(other / folder, scratch / folder)
        if config.rounds:
            first = scratch / "round-1"
            first.mkdir()
            shutil.copy(exam, first / exam.name)
            stages = read_json(exam.with_name("stages.json"))
            write_json(first / "stages.json", {"exam": stages["exam"]})
        guard.Checksums(scratch, config.to_json()).sweep()
        scratch.rename(out)
        return


def take_lessons(out: Path) -> bool:
    """Give a run of "one shot", whose first exam is there, all lessons of the tailored rounds.

    Returns:
        False if the run of "tailored" with its seed is not finished.
    """
    tailored = out.with_name(out.name.replace(_folder(evidence.ONE_SHOT), _folder("tailored")))
    if (out / "round-1" / "lessons.jsonl").exists():
        return True
    report = tailored / "report.json"
    if not (report.exists() and read_json(report)["stopped"] == "rounds"):
        return False
    rounds = sorted(tailored.glob("round-*/lessons.jsonl"))
    lessons = {(x.problem_id, x.rationale): x for f in rounds for x in read_lines(f, Lesson)}
    sent = sum(read_json(f.with_name("feedback.json"))["teacher_calls"] for f in rounds)
    place = out / "round-1"
    write_lines(place / "rejected.jsonl", [])
    write_json(place / "feedback.json", {"teacher_calls": sent, "without_lesson": {}})
    write_lines(place / "lessons.jsonl", list(lessons.values()))
    config = read_json(out / "seals.json")["config"]
    guard.Checksums(out, config).sweep()
    return True


def _folder(arm: str, seed: int | str = "") -> str:
    return f"{arm.replace(' ', '-')}-seed{seed}"


def run_causes(log: Path, *, only: Sequence[str] = (), seeds: int | None = None) -> None:
    """Watch the first round's training (causes.py) of arms that differ in self-reflection only."""
    wanted = [(seed, arm) for seed in _seeds(INSIDE, seeds) for arm in only or INSIDE.arms]
    bar = tqdm(wanted, desc="causes", unit="round", disable=None)
    for seed, arm in bar:
        bar.set_postfix_str(f"{arm}, seed {seed}")
        there, config = causes.read_log(log), config_of(INSIDE, arm, seed)
        if not any((w.arm, w.seed) == (arm, seed) for w in there):
            looks = causes.watch(config, progress=sys.stderr.isatty())
            new = causes.Watched(arm, seed, config.reflection_weight, tuple(looks), environment(),
                                 code_commit(), datetime.date.today().isoformat())
            causes.write_log(log, [*there, new])


def _seeds(experiment: Experiment, how_many: int | None) -> range:
    return range(experiment.first, experiment.first + (how_many or experiment.seeds))


def code_commit() -> str:
    """The commit of the code, with "+" if files differ from it; "" outside a repository."""
    here = str(Path(__file__).parent)

    def git(*words: str) -> str:
        command = ["git", "-C", here, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "--short", "HEAD")
    return f"{commit}+" if git("status", "--porcelain", "--", here) else commit


def main(argv: list[str] | None = None) -> int:
    """`python -m l2r_course.research.experiments`.

    Returns:
        The exit status: 0 done, 2 bad input, 130 stopped.
    """
    parser = argparse.ArgumentParser(
        prog="make evidence", description="Runs every arm with every seed and logs the results.")
    option = parser.add_argument
    option("names", nargs="*", metavar="NAME",
           help=f"of {', '.join(NAMES)} (default: {' '.join(WITHOUT_DATA)})")
    option("--seeds", type=int, metavar="N", help="seeds per arm (default: the experiment's own)")
    option("--arms", nargs="*", default=(), metavar="ARM", help="only these arms")
    option("--data-dir", metavar="DIR", help="folder with the benchmarks' original files")
    option("--teacher", metavar="NAME", help="recorded:FILE, for real questions")
    option("--runs", type=Path, default=Path("runs/evidence"), metavar="DIR",
           help="folder of the run folders (default: runs/evidence)")
    option("--logs", type=Path, default=evidence.FOLDER, metavar="DIR",
           help="folder of the logs (default: logs/ beside this module)")
    given = parser.parse_args(argv)
    changes = {knob: getattr(given, knob) for knob in ("data_dir", "teacher")}
    changes = {knob: value for knob, value in changes.items() if value is not None}
    try:
        for name in given.names or WITHOUT_DATA:
            if name == "causes":
                log = given.logs / "causes" / causes.LOG.name
                run_causes(log, only=given.arms, seeds=given.seeds)
                print(log)
                continue
            if name not in EXPERIMENTS:
                raise evidence.EvidenceError(
                    f'no experiment is called "{name}"; there are: {", ".join(NAMES)}.')
            experiment = EXPERIMENTS[name]
            left = run_experiment(experiment, given.runs, given.logs, only=given.arms,
                                  seeds=given.seeds, **changes)
            told = f"   ({left} runs belong to another process)" if left else ""
            print(f"{given.logs / experiment.log}.jsonl{told}")
    except KeyboardInterrupt:
        print("Stopped. Run the same command to resume.", file=sys.stderr)
        return 130
    except UserError as error:
        print(f"make evidence: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
