"""Start or resume a run: put together everything that the loop needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from l2r_lite.data.answers import read
from l2r_lite.data.benchmarks import SPLITS
from l2r_lite.data.problems import load_split
from l2r_lite.data.verify import verify
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import RunError, Stopped
from l2r_lite.loop.grading import one_answer_each
from l2r_lite.loop.parts import Parts
from l2r_lite.loop.protocols import Teacher
from l2r_lite.loop.records import Lesson, Problem
from l2r_lite.loop.rounds import Loop
from l2r_lite.loop.runfolder import read_lines, write_json, write_lines
from l2r_lite.loop.stages import Progress, Stages
from l2r_lite.runs import guard
from l2r_lite.runs.config_file import read_config
from l2r_lite.runs.reading import read_problems
from l2r_lite.runs.report import build_report
from l2r_lite.runs.same_run import check_same_run
from l2r_lite.students.chat import auto_prompt
from l2r_lite.students.devices import join
from l2r_lite.students.packing import packed_loss
from l2r_lite.students.run_student import RunStudent
from l2r_lite.teachers.demonstrations import make_demonstrations
from l2r_lite.teachers.open import open_teacher

# The parts of a run, unless a lab replaces some.
USUAL = Parts(read=read, judge=one_answer_each(read), verify=verify, objective=packed_loss)

OnRound = Callable[[dict[str, Any]], object]


def run_rounds(
    config: LoopConfig, out: str | Path, *, teacher: Teacher | None = None, parts: Parts = USUAL,
    stop: Callable[[], bool] = lambda: False, on_round: OnRound = lambda report: None,
    on_step: Callable[[dict[str, float]], object] = lambda logged: None,
    on_progress: Callable[[Progress], object] = lambda progress: None, progress: bool = True,
) -> dict[str, Any]:
    """Run the loop in the folder `out`, or resume it.

    A finished run continues if it is given more `rounds`. Processes that accelerate started do one
    run together: each calls this, and only the arguments of the first count.

    Args:
        teacher: None opens the one that the config names.
        parts: what a lab replaces: `dataclasses.replace(USUAL, judge=majority)`. The folder does
            not record it: give a lab's run a folder of its own.
        stop: called between tokens and steps; True ends the run, ready to be resumed.
        on_round: called with the report so far after each evaluation.
        on_step: called with the logged values of each training step.
        on_progress: called when a stage begins and as it advances.
        progress: show a bar for each stage.

    Returns:
        The report, as in `out`/report.json. The best student's adapter by validation accuracy (the
        untrained one if no round was better) is in `out`/student.

    Raises:
        UserError: one sentence on what is wrong; nothing is lost.
    """
    config.check()
    out, team = Path(out), join()
    if config.check_steps and parts.verify is verify:
        parts = dataclasses.replace(parts, verify=partial(verify, check_steps=True))
    alone = parts.objective is not USUAL.objective or parts.prompt is not USUAL.prompt
    if team and alone:  # the other processes would use the usual ones
        raise RunError(
            "a lab's own objective or prompt needs a single process; start it without accelerate.")
    if team and team.rank:
        return team.help()

    def work() -> dict[str, Any]:
        # Teacher and problems come first: a run that cannot start leaves no folder behind.
        opened = teacher or open_teacher(config, stop)
        guard.refuse_links(out)
        check_same_run(out, config)
        problems = {split: _problems(config, out, split) for split in SPLITS}
        settled = _settled(config, out)
        stages = Stages(out, stop, on_progress)

        def loading(number: int) -> None:
            on_progress(Progress(number, "loading", 0, 0))

        students = RunStudent(settled, out, problems, parts, team, loading)
        loop = Loop(
            settled, problems, students, opened, stages, parts=parts, on_step=on_step,
            progress=progress)
        with guard.hold(out) as held:
            try:
                return _go(loop, students, held, on_round)
            finally:
                students.close()

    return team.lead(work) if team else work()


def _go(
    loop: Loop, students: RunStudent, held: guard.HeldFolder, on_round: OnRound
) -> dict[str, Any]:
    """Do the run, in a folder that this process holds."""
    config, out = loop.config, loop.stages.out
    check_same_run(out, config)  # again: another process may have begun a run there since
    if not (out / "config.json").exists():
        students.load()  # a student that fails to load must not leave a folder behind either
    checksums = guard.Checksums(out, config.to_json())
    checksums.check()
    loop.stages.still_ours, loop.stages.seal = held.check, checksums.sweep
    write_json(out / "config.json", config.to_json())
    for split, problems in loop.problems.items():
        if not _problem_file(out, split).exists():
            write_lines(_problem_file(out, split), problems)

    def report(stopped: str) -> dict[str, Any]:
        return build_report(out, config, stopped)

    def evaluated(number: int) -> None:
        so_far = report("user")
        write_json(out / "report.json", so_far)
        on_round(so_far)

    loop.on_evaluated = evaluated
    try:
        if config.demonstrations:
            loop.stages.check()
            students.demonstrations = _demonstrations(loop)
        stopped = loop.run()
    except (Stopped, KeyboardInterrupt):
        stopped = "user"
    final = report(stopped)
    held.check()
    checksums.sweep()
    best = students.adapter(final["best_round"])
    if best.exists():
        guard.copy_folder(best, out / "student")
    write_json(out / "report.json", final)
    return final


def _settled(config: LoopConfig, out: Path) -> LoopConfig:
    """The config with prompt = "auto" replaced: by what the folder's run has, or the student's."""
    if config.prompt != "auto":
        return config
    made = guard.sealed_config(out)
    if (out / "config.json").exists():
        return config.with_(prompt=read_config(out / "config.json").prompt)
    return config.with_(prompt=made.get("prompt", "plain") if made else auto_prompt(config.student))


def _problems(config: LoopConfig, out: Path, split: str) -> list[Problem]:
    """A split's problems, from the run folder if it has them."""
    file = _problem_file(out, split)
    return list(read_problems(out, split)) if file.exists() else load_split(config, split)


def _problem_file(out: Path, split: str) -> Path:
    return out / "problems" / f"{split}.jsonl"


def _demonstrations(loop: Loop) -> list[tuple[Problem, str]]:
    """The teacher's worked examples; their problems are removed from the training set."""
    file, train = loop.stages.out / "demonstrations.jsonl", loop.problems["train"]
    if not file.exists():
        made = make_demonstrations(
            loop.teacher, train, loop.config.demonstrations, seed=loop.config.seed,
            read=loop.parts.read, verify=loop.parts.verify)
        write_lines(file, made)
    shown = {lesson.problem_id: lesson.rationale for lesson in read_lines(file, Lesson)}
    remaining = [p for p in train if p.id not in shown]
    loop.problems["train"] = remaining
    return [(p, shown[p.id]) for p in train if p.id in shown]
