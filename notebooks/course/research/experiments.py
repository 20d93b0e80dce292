"""`make evidence`: every arm with every seed, at equal teacher calls and training steps, logged in notebooks/evidence/.

    make evidence                              # the pocket world: arms, sweeps, an idea on new
    seeds, the default, causes make evidence ARGS="pocket --seeds 3" make evidence ARGS="multiarith
    --data-dir DIR --teacher recorded:FILE"    # SmolLM2 on real questions, hours

Stopped or killed, it goes on where it was when it is started again. What is in the log is not run
again. Several at once (in as many terminals) share the runs out among them.
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
from l2r_course.research import causes, evidence
from tqdm.auto import tqdm

from l2r_lite.data.pocket import world
from l2r_lite.data.problems import load_problems
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import UserError
from l2r_lite.loop.exam import take_exam
from l2r_lite.loop.records import Problem, Sample
from l2r_lite.loop.runfolder import SCRATCH, read_json, write_json
from l2r_lite.runs import guard
from l2r_lite.runs.config_file import read_config
from l2r_lite.runs.report import environment
from l2r_lite.runs.run import USUAL, run_rounds
from l2r_lite.students.presets import PRESETS

MAIN = "replay"  # the arm whose knobs the sweeps turn
# What acts after a run's first exam only: runs that differ in nothing else begin alike.
LATER = frozenset(
    {"annotator", "rounds", "reflection_weight", "margin", "replay", "feedback_limit", "lessons",
     "mistakes_per_question", "epochs", "steps", "learning_rate", "batch_size", "micro_batch",
     "patience"})


@dataclass(frozen=True)
class Experiment:
    """All runs of one log: a config, the arms (evidence.ARMS, or other values of knobs) and how many seeds each has.

    Attributes:
        log: the log's name; two experiments on the same test may share one, so that their arms can
            be compared.
        elsewhere: other questions for the kept student: a benchmark's name, or "new skills" of the
            pocket world.
        first: the first seed.
    """

    log: str
    config: LoopConfig
    arms: Sequence[str]
    seeds: int
    elsewhere: str = ""
    first: int = 0


# Amounts that all arms share are written out, whatever the default is: what is in the log must stay
# comparable with what comes.
_POCKET = PRESETS["pocket"].with_(test_limit=1020, feedback_limit=160, steps=40, batch_size=32)
# Rounds 1 to 5 are read from the runs with six.
SWEEPS = (*(f"reflection_weight={v}" for v in (0, 0.1, 0.25, 1)),
          *(f"margin={v}" for v in (0.5, 1.5)), *(f"samples={v}" for v in (1, 4, 8)),
          *(f"lessons={v}" for v in (1, 4)), "rounds=6", "four_bit=false")
# Recorded rationales are one a question, so that a triplet's second right one is the student's own:
# it takes two samples. More than 240 training questions would only lengthen the exams: 80 of them
# go to the teacher in a round.
_SMOL = PRESETS["smol"].with_(
    rounds=2, samples=2, replay=0.0, steps=20, feedback_limit=80, limit=240)
CAUSES = ("tailored", "reflection")
_ARMS = (
    "annotator-once", "annotator", "tailored", "reflection", "replay", "self-training", "untrained")
_SMOL_ARMS = ("annotator-once", "tailored", "reflection", "untrained")
DEFAULT_ARMS = (MAIN, "reflection_weight=0", "reflection_weight=0.1", "margin=0.2",
                "reflection_weight=0,replay=1")
NEW_SEEDS_ARMS = ("reflection_weight=0", "annotator=true,reflection_weight=0")
EXPERIMENTS = {
    "pocket": Experiment("pocket", _POCKET, _ARMS, 10, "new skills"),
    "sweeps": Experiment("pocket", _POCKET, SWEEPS, 5, "new skills"),
    # An idea that the runs above gave, tried on seeds that had no part in it.
    "new-seeds": Experiment("new-seeds", _POCKET, NEW_SEEDS_ARMS, 10, "new skills", first=10),
    # The default as it is run, with as many steps as its mistakes bring: does λ > 0 earn its place
    # there?
    "default": Experiment("default", PRESETS["pocket"].with_(test_limit=1020), DEFAULT_ARMS, 10),
    "multiarith": Experiment("multiarith", _SMOL, ("annotator", *_SMOL_ARMS), 3, "svamp"),
    "multiarith-template": Experiment("multiarith-template", _SMOL.with_(problems="multiarith-template"), _SMOL_ARMS, 3),
    "svamp": Experiment("svamp", _SMOL.with_(problems="svamp", test_limit=300), _SMOL_ARMS, 3),
}
NAMES = (*EXPERIMENTS, "causes")
WITHOUT_DATA = ("pocket", "sweeps", "new-seeds", "default", "causes")  # what needs no data


def config_of(experiment: Experiment, arm: str, seed: int) -> LoopConfig:
    """One run's config: an arm's own knobs, or the main arm's with those that the arm's name changes."""
    base = experiment.config.with_(seed=seed)
    main = evidence.knobs(MAIN, base) if "=" in arm else {}
    return base.with_(**{**main, **evidence.knobs(arm, base)})


def run_experiment(
    experiment: Experiment, runs: Path, logs: Path, *, only: Sequence[str] = (),
    seeds: int | None = None, **changes: Any,
) -> int:
    """Run what is not in the log yet, seed by seed, so that a log that is not complete is balanced.

    Args:
        runs: folder for the run folders.  logs: folder of the logs.
        only: of the experiment's arms, these.  seeds: how many, instead of the experiment's number.
        changes: knobs for all arms, such as where the data lies.

    Returns:
        How many runs are left to another process that holds them.
    """
    log, left = logs / f"{experiment.log}.jsonl", 0
    wanted = [
        (seed, arm) for seed in _seeds(experiment, seeds) for arm in experiment.arms
        if not only or arm in only]
    for seed, arm in (bar := tqdm(wanted, desc=experiment.log, unit="run", disable=None)):
        bar.set_postfix_str(f"{arm}, seed {seed}")
        out = runs / experiment.log / f"{arm}-seed{seed}"
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(out.with_name(f".{out.name}.lock"), blocking=False):
                if log.exists() and any(
                    (r.arm, r.seed) == (arm, seed) for r in evidence.read_log(log)):
                    continue
                config = config_of(experiment, arm, seed).with_(**changes)
                begin_alike(config, out)
                if run_rounds(config, out, progress=sys.stderr.isatty())["stopped"] == "user":
                    raise KeyboardInterrupt
                answers = answers_elsewhere(experiment.elsewhere, config, out)
                evidence.keep(evidence.from_folder(out, arm, _commit(), answers), log)
        except Timeout:
            left += 1
    return left


def begin_alike(config: LoopConfig, out: Path) -> None:
    """Give a new run the first exam of another run beside it that began alike, as a seed's arms do: the result is the same."""
    for settings in sorted(out.parent.glob("*/config.json")) if not out.exists() else ():
        other, theirs = settings.parent, read_config(settings).to_json()
        exam = other / "round-1" / "exam.jsonl"
        if exam.exists() and all(
            v == theirs[name] for name, v in config.to_json().items() if name not in LATER):
            scratch = out.with_name(f"{SCRATCH}{out.name}")
            # of a process that was killed in the middle of this
            shutil.rmtree(scratch, ignore_errors=True)
            for folder in ("problems", "round-0"):
                shutil.copytree(other / folder, scratch / folder)
            if config.rounds:
                (scratch / "round-1").mkdir()
                shutil.copy(exam, scratch / "round-1" / exam.name)
                write_json(scratch / "round-1" / "stages.json",
                           {"exam": read_json(exam.with_name("stages.json"))["exam"]})
            guard.Checksums(scratch, config.to_json()).sweep()
            scratch.rename(out)
            return


def answers_elsewhere(name: str, config: LoopConfig, out: Path) -> dict[str, Sequence[Sample]]:
    """What the student that a run kept answers to questions of another kind than it was trained on; greedy."""
    if not name:
        return {}
    from l2r_lite.students.adapters import load_adapter
    from l2r_lite.students.loading import student_from

    student = student_from(config)
    load_adapter(student, out / "student")
    exam = take_exam(
        student, _questions(name, config), max_new_tokens=config.max_new_tokens,
        rows=config.exam_rows, describe=name, judge=USUAL.judge, progress=sys.stderr.isatty())
    return {name: exam.samples}


def run_causes(log: Path, *, only: Sequence[str] = (), seeds: int | None = None) -> None:
    """Watch the first round's training (causes.py) of the arms that differ in self-reflection alone, as above, one process."""
    experiment = EXPERIMENTS["pocket"]
    wanted = [(seed, arm) for seed in _seeds(experiment, seeds) for arm in only or CAUSES]
    for seed, arm in (bar := tqdm(wanted, desc="causes", unit="round", disable=None)):
        bar.set_postfix_str(f"{arm}, seed {seed}")
        there, config = causes.read_log(log), config_of(experiment, arm, seed)
        if not any((w.arm, w.seed) == (arm, seed) for w in there):
            looks = causes.watch(config, progress=sys.stderr.isatty())
            new = causes.Watched(arm, seed, config.reflection_weight, tuple(looks), environment(),
                                 _commit(), datetime.date.today().isoformat())
            causes.write_log(log, [*there, new])


def _seeds(experiment: Experiment, how_many: int | None) -> range:
    return range(experiment.first, experiment.first + (how_many or experiment.seeds))


def _questions(name: str, config: LoopConfig) -> list[Problem]:
    if name == "new skills":
        return world.make_problems("test", 510, skills=world.TRANSFER)
    # all of SVAMP: 5 minutes more a run
    return load_problems(name, "test", 300, 0, config.data_dir)


def _commit() -> str:
    """The commit that the code is at, with "+" where files differ from it; "" outside a repository."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        # noqa: S603, S607
        done = subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    return git("rev-parse", "--short", "HEAD") + "+" * bool(
        git("status", "--porcelain", "--", str(here)))


def main(argv: list[str] | None = None) -> int:
    """`python -m l2r_lite.experiments`. Returns the exit status: 0 done, 2 bad input, 130 stopped."""
    parser = argparse.ArgumentParser(
        prog="make evidence", description="Runs of every arm and seed, and their logs.")
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help=f"of {', '.join(NAMES)} ({' '.join(WITHOUT_DATA)})")
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="seeds an arm (each experiment's own number)")
    parser.add_argument("--arms", nargs="*", default=(), metavar="ARM", help="only these arms")
    parser.add_argument(
        "--data-dir", metavar="DIR", help="folder with the benchmarks' original files")
    parser.add_argument("--teacher", metavar="NAME", help="recorded:FILE, for real questions")
    parser.add_argument("--runs", type=Path, default=Path("runs/evidence"), metavar="DIR",
                        help="run folders (runs/evidence)")
    parser.add_argument("--logs", type=Path, default=evidence.FOLDER, metavar="DIR",
                        help="logs (notebooks/evidence)")
    given = parser.parse_args(argv)
    changes = {k: v for k in ("data_dir", "teacher") if (v := getattr(given, k)) is not None}
    try:
        for name in given.names or WITHOUT_DATA:
            if name not in NAMES:
                raise evidence.EvidenceError(
                    f'no experiment is called "{name}"; there are: {", ".join(NAMES)}.')
            if name == "causes":
                run_causes(log := given.logs / "causes" / causes.LOG.name, only=given.arms,
                           seeds=given.seeds)
                print(log)
                continue
            left = run_experiment(EXPERIMENTS[name], given.runs, given.logs, only=given.arms,
                                  seeds=given.seeds, **changes)
            print(
                f"{given.logs / EXPERIMENTS[name].log}.jsonl"
                + f"   ({left} runs belong to another process)" * bool(left))
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return 130
    except UserError as error:
        print(f"make evidence: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
