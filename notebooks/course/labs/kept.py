"""Finished stages of a lab, kept as JSON and safetensors: an interrupted lab resumes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from l2r_lite.loop.errors import RunError
from l2r_lite.loop.runfolder import read_json, read_lines, write_json, write_lines
from l2r_lite.loop.student import Student
from l2r_lite.students.adapters import load_adapter, save_adapter

Record = TypeVar("Record")


class Kept:
    """A lab's folder. Each stage is done once, and read from its file afterwards.

    Args:
        folder: one per lab and seed.
        settings: what the stages depend on, as JSON.

    Raises:
        RunError: the folder was made with other settings.
    """

    def __init__(self, folder: str | Path, settings: dict[str, Any]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "settings.json"
        if file.exists() and read_json(file) != settings:
            raise RunError(
                f"{self.folder}: was made with other settings ({file.name} has them). Remove the "
                "folder, or name another.")
        write_json(file, settings)

    def lines(
        self, name: str, record: type[Record], make: Callable[[], Iterable[Record]]
    ) -> list[Record]:
        """A stage whose result is a list of records (`record` may be dict)."""
        file = self.folder / f"{name}.jsonl"
        if not file.exists():
            write_lines(file, list(make()))
        return read_lines(file, record)

    def json(self, name: str, make: Callable[[], Any]) -> Any:
        """A stage whose result is JSON: numbers, lists, dicts with texts as keys."""
        file = self.folder / f"{name}.json"
        if not file.exists():
            write_json(file, make())
        return read_json(file)

    def adapter(self, name: str, student: Student, train: Callable[[], object]) -> None:
        """A stage that trains the student. Its adapter is loaded if the stage is done."""
        folder = self.folder / name
        if folder.exists():
            load_adapter(student, folder)
        else:
            train()
            save_adapter(student, folder)
