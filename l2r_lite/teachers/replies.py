"""The teacher's replies, kept: one JSON line each, written on arrival, never asked for twice.

    {"key": …, "endpoint": …, "model": …, "problem_id": …, "question": …, "mistake": …, …}

The key is a hash of endpoint, model, messages and parameters. With the file a class needs no API
key, and RecordedTeacher reads it too (`--teacher recorded:FILE`).
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from l2r_lite.data.answers import extract_answer
from l2r_lite.loop.errors import UserError
from l2r_lite.loop.records import Mistake, Problem
from l2r_lite.loop.runfolder import not_a_link

# Between two fsyncs. One per reply would cost a fifth more time (1,000 replies: 3.06 s, not 2.54).
SYNC_SECONDS = 0.2


def key_of(
    endpoint: str, model: str, messages: Sequence[dict[str, str]], parameters: dict[str, Any]
) -> str:
    """A hash of all that decides a reply."""
    asked = [endpoint, model, list(messages), parameters]
    text = json.dumps(asked, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class ReplyCache:
    """Replies by key.

    Args:
        file: where replies are kept; None keeps them in memory only.

    Attributes:
        damaged: lines left out because they cannot be read, such as a last one torn by a kill.

    Raises:
        UserError: the file holds something else. Nothing is ever appended to such a file.
    """

    def __init__(self, file: str | Path | None = None) -> None:
        self.file = Path(os.path.expanduser(file)) if file is not None else None
        self.entries: dict[str, dict[str, Any]] = {}
        self.damaged = 0
        self._torn, self._synced = False, 0.0
        plain = self.file and self.file.is_file() and not self.file.is_symlink()
        if self.file and os.path.lexists(self.file) and not plain:
            raise UserError(
                f"{self.file}: is a link, a folder or a device, so replies could land anywhere. "
                "Name a plain file with --teacher-cache.")
        if self.file and plain:
            data = self.file.read_bytes()
            self._torn = bool(data) and not data.endswith(b"\n")
            for line in data.split(b"\n"):
                self._read(line)
            ours = self.entries or data.startswith(b'{"key":')  # the latter: a torn first line
            if data.strip() and not ours:
                raise UserError(
                    f"{self.file}: is not a cache of teacher replies and was not changed. Name "
                    "another file with --teacher-cache.")

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
        """The mistakes that were asked about, each once, so that they can be asked again.

        Replies on other problems are left out, and those to an annotator, who saw no mistake.
        """
        known = {(p.id, p.question): p for p in problems}
        found: dict[tuple[Problem, str], Mistake] = {}
        for entry in self.entries.values():
            wrong = entry.get("mistake")
            problem = known.get((str(entry.get("problem_id")), str(entry.get("question"))))
            if problem and isinstance(wrong, str) and (problem, wrong) not in found:
                answer = extract_answer(wrong, problem.kind, problem.choices)
                found[problem, wrong] = Mistake(problem, wrong, answer)
        return list(found.values())

    def put(self, key: str, entry: dict[str, Any]) -> None:
        """Append an entry. Once this returns, it is in the file."""
        entry = {"key": key, **entry}
        self.entries[key] = entry
        if self.file is None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(entry, ensure_ascii=False)
        line = text.encode("utf-8", "backslashreplace") + b"\n"
        with open(self.file, "ab", opener=not_a_link) as handle:
            # One write per line, so that the lines of two processes do not mix.
            handle.write(b"\n" + line if self._torn else line)
            handle.flush()  # now it outlives this process
            if time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(handle.fileno())  # and now a power cut
                self._synced = time.monotonic()
        self._torn = False
