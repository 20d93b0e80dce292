"""The run folder: every step as JSON Lines; a reader sees the old file or the new one, never a mix.

    runs/NAME/config.json  problems/{train,validation,test}.jsonl
              round-0/{validation,test}.jsonl  adapter/
              round-N/{exam,lessons,rejected,training,losses,validation,test}.jsonl
                      adapter/  stages.json  feedback.json
              student/ (the best adapter)  report.{json,png}  run.lock  {running,seals}.json
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from l2r_lite.loop.errors import RunError
from l2r_lite.loop.records import Problem, Step

Record = TypeVar("Record")
SCRATCH = ".scratch-"  # prefix of a folder's name while it is being written


def write_json(file: Path, data: Any) -> None:
    """Write JSON to a temporary file, then move it into place."""
    _write(file, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def write_lines(file: Path, records: Iterable[Any]) -> None:
    """Write records (or dicts) as JSON Lines, in the same way."""
    _write(file, "".join(_line(record) for record in records))


def read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(
            f"{file}: cannot be read ({error}); remove its stage's file to repeat it.") from error


def read_lines(file: str | Path, cls: type[Record]) -> list[Record]:
    """The records of a finished JSON Lines file (`cls` may be dict), or RunError with the line."""
    return _parse(Path(file), cls, may_be_torn=False)


class Growing:
    """A JSON Lines file that grows while its stage runs, and gets its name at the end.

    `taken` has the records that an interrupted stage wrote, without a torn last line.
    """

    def __init__(self, file: Path, cls: type[Record]) -> None:
        self.file, self.partial = file, file.with_name(file.name + ".partial")
        file.parent.mkdir(exist_ok=True)
        self.taken: list[Any] = []
        if self.partial.exists():
            self.taken = list(_parse(self.partial, cls, may_be_torn=True))
        write_lines(self.partial, self.taken)

    def append(self, records: Iterable[Any]) -> None:
        with open(self.partial, "a", encoding="utf-8", errors="backslashreplace",
                  opener=not_a_link) as handle:
            handle.write("".join(_line(record) for record in records))
            handle.flush()
            os.fsync(handle.fileno())

    def finish(self, records: Iterable[Any]) -> None:
        """Write the records in their final order under the final name."""
        write_lines(self.file, records)
        self.partial.unlink(missing_ok=True)


def _line(record: Any) -> str:
    data = record if isinstance(record, dict) else dataclasses.asdict(record)
    return json.dumps(data, ensure_ascii=False) + "\n"


def not_a_link(name: str, flags: int) -> int:
    """Opener for `open` that raises OSError for a link; Windows has no such flag."""
    return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _write(file: Path, text: str) -> None:
    # Make only the last folder: a run folder that was removed must not come back empty.
    file.parent.mkdir(exist_ok=True)
    scratch = file.with_name(f".{file.name}.writing")
    scratch.unlink(missing_ok=True)  # from a process that was killed; "x" follows no link
    # Half a surrogate pair is escaped as in JSON: \ud800.
    with scratch.open("x", encoding="utf-8", errors="backslashreplace") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    scratch.replace(file)


def _parse(file: Path, cls: type[Record], *, may_be_torn: bool) -> list[Record]:
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
            if may_be_torn and number == len(lines):
                break  # the process was killed while it wrote this line
            raise RunError(
                f"{file}, line {number}: is damaged ({error}). Remove the file to repeat its "
                "stage.") from error
    return records


_FIELD_TYPES: dict[str, Any] = {
    "str": str, "int": int, "bool": bool, "Kind": str, "str | None": (str, type(None))}


def from_json(cls: type, data: dict[str, Any]) -> Any:
    """A record from JSON data, or TypeError. Unknown fields are ignored: newer versions have more.
    """
    types = {f.name: _FIELD_TYPES.get(str(f.type), object) for f in dataclasses.fields(cls)}
    values = {name: value for name, value in data.items() if name in types}
    for name, value in values.items():
        if not isinstance(value, types[name]):
            raise TypeError(f"{name} cannot be {value!r:.60}")
    if cls is Problem:
        values["choices"] = tuple(values.get("choices", ()))
        steps = values.get("program", ())
        values["program"] = tuple(Step(**s) if isinstance(s, dict) else Step(*s) for s in steps)
    return cls(**values)
