"""Runs in processes of their own that can be killed for real, and quickly: they are forked from one that has imported it all.

Imported by multiprocessing's fork server before it forks, so that a run starts in a tenth of a second.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import bitsandbytes  # noqa: F401
import l2r_lite.openai_teacher  # noqa: F401
import l2r_lite.student  # noqa: F401
import peft  # noqa: F401
import pytest
import torch  # noqa: F401
import transformers.models.llama.modeling_llama  # noqa: F401

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import UserError
from l2r_lite.runs.run import run_rounds

FORKS = multiprocessing.get_context("forkserver")
FILE_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}


def start(config: LoopConfig, out: Path, *, die_at: int = 0, told: Path | None = None) -> Any:
    """Start a run in a process of its own: a multiprocessing.Process.

    Args:
        die_at: it kills itself, with no chance to clean up, right before its n-th touch of a file of the run or the cache.
        told: a file that gets {"events": how many touches there were, "seconds": of the processor, "error": what the run was
            refused for}.
    """
    with pytest.MonkeyPatch.context() as patch:  # Python 3.11's fork server does not take over sys.path
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        FORKS.set_forkserver_preload(["killing"])
        forkserver.ensure_running()
    process = FORKS.Process(target=_run, args=(config.to_json(), str(out), die_at, str(told or "")))
    process.start()
    return process


def _run(config: dict[str, Any], out: str, die_at: int, told: str) -> None:
    places, count = (out, str(config["teacher_cache"])), 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in FILE_EVENTS and str(arguments[0]).startswith(places):
            count += 1
            if count == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    began = time.process_time()
    error = ""
    try:
        run_rounds(LoopConfig(**config), out, progress=False)
    except UserError as refused:
        error = str(refused)
    if told:
        Path(told).write_text(json.dumps({"events": count, "seconds": time.process_time() - began, "error": error}))
