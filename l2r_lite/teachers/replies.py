"""The teacher's replies, kept: one readable JSON line each, written the moment it arrives, never asked for twice.

    {"key": …, "endpoint": …, "model": …, "problem_id": …, "question": …, "mistake": …, "feedback": …, "rationales": […], …}

The key is a hash of endpoint, model, messages and parameters. The file can be given to a class: with it no key is needed,
and RecordedTeacher reads it too (`--teacher recorded:FILE`).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from l2r_lite.loop.errors import UserError
from l2r_lite.data.answers import extract_answer
from l2r_lite.loop.records import Mistake, Problem

SYNC_SECONDS = 0.2  # between two fsyncs: one a reply costs a fifth more (1,000 replies: 3.06 s, not 2.54)


def key_of(endpoint: str, model: str, messages: Sequence[dict[str, str]], parameters: dict[str, Any]) -> str:
    """What decides a reply, as a hash."""
    asked = json.dumps([endpoint, model, list(messages), parameters], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class ReplyCache:
    """Replies by key. Lines that cannot be read (a torn last line after a kill) are left out, and counted in `damaged`.

    Args:
        file: where replies are kept; None keeps them for this object's life only.

    Raises:
        UserError: the file holds something else; nothing is ever appended to it.
    """

    def __init__(self, file: str | Path | None = None) -> None:
        self.file = Path(file).expanduser() if file is not None else None
        self.entries: dict[str, dict[str, Any]] = {}
        self.damaged = 0
        self._torn, self._synced = False, 0.0
        if self.file and self.file.is_file():
            data = self.file.read_bytes()
            self._torn = bool(data) and not data.endswith(b"\n")
            for line in data.split(b"\n"):
                self._read(line)
            if data.strip() and not self.entries and not data.startswith(b'{"key":'):  # not even a torn first line of ours
                raise UserError(f"{self.file}: is no cache of a teacher's replies, and is left as it is. Name another file "
                                "with --teacher-cache.")  # fmt: skip

    def _read(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            entry = json.loads(line)
            if not isinstance(entry["key"], str):
                raise TypeError("a key is text")
            self.entries[entry["key"]] = entry
        except (ValueError, KeyError, TypeError, RecursionError):
            self.damaged += 1

    def __len__(self) -> int:
        return len(self.entries)

    def get(self, key: str) -> dict[str, Any] | None:
        return self.entries.get(key)

    def mistakes(self, problems: Iterable[Problem]) -> list[Mistake]:
        """The mistakes that were asked about, each once, so that a class that is given the file can ask the same again.

        Left out are replies to other problems than these, and an annotator's, which knows of no mistake.
        """
        known = {(p.id, p.question): p for p in problems}
        asked = {
            (str(e.get("problem_id")), str(e.get("question")), wrong): None
            for e in self.entries.values() if isinstance(wrong := e.get("mistake"), str)
        }  # fmt: skip
        return [
            Mistake(p, wrong, extract_answer(wrong, p.kind, p.choices))
            for name, question, wrong in asked if (p := known.get((name, question)))
        ]  # fmt: skip

    def put(self, key: str, entry: dict[str, Any]) -> None:
        """Append an entry; when this returns it is in the file."""
        entry = {"key": key, **entry}
        self.entries[key] = entry
        if self.file is None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        with self.file.open("ab") as handle:
            handle.write(b"\n" + line if self._torn else line)  # one write: two processes do not mix their lines
            handle.flush()  # from here on it outlives this process
            if time.monotonic() - self._synced > SYNC_SECONDS:  # and from here on a power cut
                os.fsync(handle.fileno())
                self._synced = time.monotonic()
        self._torn = False
