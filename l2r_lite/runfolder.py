"""The run folder: every step of a run as JSON Lines, written so that a reader sees the old file or the new one, never half.

    runs/NAME/config.json  problems/{train,validation,test}.jsonl
              round-0/{validation,test}.jsonl
              round-1/{exam,lessons,rejected,training,losses,validation,test}.jsonl  adapter/  stages.json
              student/ (the best adapter)  report.json  report.png
              run.lock  running.json  seals.json (guard.py)
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from l2r_lite.errors import UserError
from l2r_lite.records import from_json, to_json

Record = TypeVar("Record")
SCRATCH = ".scratch-"  # names of folders that are being written begin so


class RunError(UserError):
    """A run folder that cannot be used as asked: which file, why, and what to do."""


def write_json(file: Path, data: Any) -> None:
    """Write JSON whole: to a file beside it first, then in one move."""
    _write(file, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def write_lines(file: Path, records: Iterable[Any]) -> None:
    """Write records (or dicts) as JSON Lines, whole."""
    _write(file, "".join(_line(record) for record in records))


def _line(record: Any) -> str:
    return json.dumps(record if isinstance(record, dict) else to_json(record), ensure_ascii=False) + "\n"


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)  # not its parents: a run folder that was removed must not come back empty
    scratch = file.with_name(f".{file.name}.writing")
    with scratch.open("w", encoding="utf-8", errors="backslashreplace") as handle:  # half a character: \ud800, as in JSON
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    scratch.replace(file)


def read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{file}: cannot be read ({error}); remove its stage's file to have the stage done again.") from error


def read_lines(file: str | Path, cls: type[Record]) -> list[Record]:
    """Records of a finished JSON Lines file.

    Raises:
        RunError: names the file and line that cannot be read.
    """
    return _parsed(Path(file), cls, torn_end=False)


def _parsed(file: Path, cls: type[Record], *, torn_end: bool) -> list[Record]:
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise RunError(f"{file}: cannot be read ({error}).") from error
    records: list[Any] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
            if not isinstance(data, dict):
                raise TypeError("not a JSON object")
            records.append(data if cls is dict else from_json(cls, data))
        except (ValueError, TypeError, RecursionError) as error:
            if torn_end and number == len(lines):
                break  # the process was killed while it wrote this line; everything before it is sound
            raise RunError(
                f"{file}, line {number}: is damaged ({error}). Remove the file to have its stage done again."
            ) from error
    return records


def copy_folder(source: Path, target: Path) -> None:
    """Put a copy of `source` in the place of `target`; the copy appears whole."""
    scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=target.parent))
    shutil.copytree(source, scratch / "copy")
    if target.exists():
        target.rename(scratch / "old")
    (scratch / "copy").rename(target)
    shutil.rmtree(scratch)


def clear_scratch(out: Path) -> None:
    """Remove what a killed process left half-written: files and folders that never got their name."""
    for left in [*out.rglob(f"{SCRATCH}*"), *out.rglob(".*.writing")]:
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


class Growing:
    """A JSON Lines file that grows while its stage runs (FILE.partial) and gets its name when the stage is done.

    After a kill, `taken` holds what was written before; a torn last line is left out.
    """

    def __init__(self, file: Path, cls: type[Record]) -> None:
        self.file, self.partial = file, file.with_name(file.name + ".partial")
        file.parent.mkdir(exist_ok=True)
        self.taken: list[Any] = []
        if self.partial.exists():
            self.taken = list(_parsed(self.partial, cls, torn_end=True))
        write_lines(self.partial, self.taken)

    def append(self, records: Iterable[Any]) -> None:
        with self.partial.open("a", encoding="utf-8", errors="backslashreplace") as handle:
            handle.write("".join(_line(r) for r in records))
            handle.flush()
            os.fsync(handle.fileno())

    def finish(self, records: Iterable[Any]) -> None:
        """Write the stage's records in their final order under the final name."""
        write_lines(self.file, records)
        self.partial.unlink(missing_ok=True)

