"""Runs in processes that can really be killed, and that start fast: the process they fork from has imported everything.

Imported by multiprocessing's fork server before it forks, so that a run starts in a tenth of a second.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NoReturn

import accelerate.utils  # noqa: F401
import bitsandbytes  # noqa: F401
import peft  # noqa: F401
import pytest
import torch  # noqa: F401
import transformers.models.llama.modeling_llama  # noqa: F401

import l2r_lite.students.loading  # noqa: F401
import l2r_lite.teachers.openai_teacher  # noqa: F401
from l2r_lite.loop import runfolder, training
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import UserError
from l2r_lite.runs import run
from l2r_lite.teachers.scripted import ScriptedTeacher

FORKS = multiprocessing.get_context("forkserver")
FILE_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}


def start(
    config: LoopConfig, out: Path, *, die_at: int | str = 0, told: Path | None = None, said: Path | None = None,
    **environment: str,
) -> Any:  # fmt: skip
    """Start a run in a process of its own: a multiprocessing.Process.

    Args:
        die_at: it kills itself, with no chance to clean up, right before its n-th touch of a file of the run or the cache, or
            in the middle of a stage, as in "2/exam": exam, feedback, training, saving, evaluation or report.
        told: a file that gets {"events": how many touches there were, "seconds": of the processor, "error": what the run was
            refused for}.
        said: a file that gets what the process writes to standard error.
        environment: variables of the process, beside ours.
    """
    with pytest.MonkeyPatch.context() as patch:  # Python 3.11's fork server does not take over sys.path
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        FORKS.set_forkserver_preload(["killing"])
        forkserver.ensure_running()
    arguments = (config.to_json(), str(out), die_at, str(told or ""), str(said or ""), environment)
    process = FORKS.Process(target=_run, args=arguments)
    process.start()
    return process


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _run(config: dict[str, Any], out: str, die_at: int | str, told: str, said: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    if said:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    places, count = (out, str(config["teacher_cache"])), 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in FILE_EVENTS and str(arguments[0]).startswith(places):
            count += 1
            if count == die_at:
                _die()

    sys.addaudithook(watch)
    if isinstance(die_at, str):
        number, stage = die_at.split("/")
        _die_in(stage, Path(out) / f"round-{number}")
    began = time.process_time()
    error = ""
    try:
        run.run_rounds(LoopConfig(**config), out, progress=False)
    except UserError as refused:
        error = str(refused)
    if told:
        Path(told).write_text(json.dumps({"events": count, "seconds": time.process_time() - began, "error": error}))


def _die_in(stage: str, place: Path) -> None:
    """Let this process die in the middle of a stage of the round whose folder is `place`."""
    append, teach, step, rename, write = (
        runfolder.Growing.append, ScriptedTeacher.teach, training.train_step, Path.rename, run.write_json)
    calls = {"exam": 0, "step": 0}

    def torn_append(self: runfolder.Growing, records: Any) -> None:
        if stage == "exam" and self.file == place / "exam.jsonl":
            calls["exam"] += 1
            if calls["exam"] == 2:
                with self.partial.open("a") as handle:
                    handle.write(json.dumps(dataclasses.asdict(list(records)[0]))[:40])
                _die()
        append(self, records)
        if stage == "evaluation" and self.file == place / "test.jsonl":
            _die()

    def teach_a_little(self: ScriptedTeacher, mistakes: Any, count: int) -> Any:
        for number, reply in enumerate(teach(self, mistakes, count)):
            if stage == "feedback" and number == 3 and place.exists():
                _die()
            yield reply

    def step_once(*args: Any, **kwargs: Any) -> Any:
        calls["step"] += (place / "lessons.jsonl").exists()
        if stage == "training" and calls["step"] == 2:
            _die()
        return step(*args, **kwargs)

    def rename_never(self: Path, target: Any) -> Any:
        if stage == "saving" and Path(target) == place / "adapter":
            _die()
        return rename(self, target)

    def write_never(file: Path, data: Any) -> None:
        if stage == "report" and file.name == "report.json" and (place / "test.jsonl").exists():
            _die()
        write(file, data)

    runfolder.Growing.append, ScriptedTeacher.teach, training.train_step = torn_append, teach_a_little, step_once
    Path.rename, run.write_json = rename_never, write_never
