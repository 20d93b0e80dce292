"""What a learner has solved and predicted, kept in one file for all kernels and folders."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

# What this kernel noted: in a read-only home it lives as long as the kernel.
_solved: set[str] = set()
_predicted: dict[str, str] = {}


def notes_file() -> Path:
    """Where notes are kept: the home folder, or the file that L2R_PROGRESS names."""
    chosen = os.environ.get("L2R_PROGRESS")
    return Path(chosen) if chosen else Path.home() / ".l2r-lite-progress.json"


def solved() -> set[str]:
    """Numbers of the exercises solved, in this kernel or an earlier one."""
    kept = _read().get("solved")
    kept = kept if isinstance(kept, list) else []
    return _solved | {number for number in kept if isinstance(number, str)}


def predicted() -> dict[str, str]:
    """The first choice of each prediction, as number → option."""
    kept = _read().get("predicted")
    kept = kept if isinstance(kept, dict) else {}
    sound = {n: choice for n, choice in kept.items() if isinstance(choice, str)}
    return _predicted | sound


def note_solved(number: str) -> None:
    _solved.add(number)
    _write()


def note_prediction(number: str, choice: str) -> None:
    """Note a choice, unless there is an earlier one: only a first guess is a prediction."""
    if number not in predicted():
        _predicted[number] = choice
        _write()


def _read() -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(notes_file().read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}


def _write() -> None:
    file = notes_file()
    notes = {"solved": sorted(solved()), "predicted": predicted()}
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_suffix(".writing")
        scratch.unlink(missing_ok=True)
        with scratch.open("x", encoding="utf-8") as handle:  # "x" follows no link
            handle.write(json.dumps(notes, indent=1))
        scratch.replace(file)
