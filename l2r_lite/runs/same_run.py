"""Check that a folder's run has the requested settings."""

import dataclasses
from pathlib import Path
from typing import Any

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import RunError
from l2r_lite.runs import guard
from l2r_lite.runs.config_file import read_config

# Settings that do not affect results: they may change when a run is resumed.
MAY_CHANGE = (
    "rounds", "patience", "exam_rows", "student_url", "base_url", "teacher_cache", "budget",
    "price", "concurrency")


def differs(name: str, there: Any, asked: Any) -> bool:
    """Whether a run with this setting is another one; prompt = "auto" takes what a run has."""
    return there != asked and (name, asked) != ("prompt", "auto")


def check_same_run(out: str | Path, config: LoopConfig) -> None:
    """Check that a run in the folder has this config, except for MAY_CHANGE.

    Raises:
        RunError: the folder has another run, or one of an earlier version, or its config.json was
            edited.
    """
    file, made = Path(out) / "config.json", guard.sealed_config(Path(out))
    if made and "rate_decay" not in made:
        raise RunError(
            f"{out} holds a run of an earlier l2r_lite, which trained differently: all rounds at "
            "one learning rate, and with another kind of replay. Its report and panels still open; "
            "for new rounds, use another folder.")
    there = read_config(file).to_json() if file.exists() else made
    names = [f.name for f in dataclasses.fields(config)]
    deciding = [name for name in names if name in there and name not in MAY_CHANGE]
    for name in deciding:
        if made.get(name, there[name]) != there[name]:
            raise RunError(
                f"{file}: was edited by hand: {name} = {there[name]!r} there, and the run was made "
                f"with {made[name]!r}. Put that back, or use another folder for other settings.")
    differing = [name for name in deciding if differs(name, there[name], getattr(config, name))]
    if differing:
        told = ", ".join(
            f"{name} = {there[name]!r} there, {getattr(config, name)!r} asked for"
            for name in differing)
        raise RunError(
            f"{out} holds a run with other settings: {told}. Use another folder, or those "
            "settings.")
