"""Shared by all stages of a run: when to stop, how far they are, and how long they took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from l2r_lite.loop.errors import Stopped
from l2r_lite.loop.runfolder import read_json, write_json


@dataclass(frozen=True)
class Progress:
    """How far a stage is, in questions, mistakes or steps; loading has a total of 0."""

    round: int
    stage: str
    done: int
    total: int


@dataclass
class Stages:
    """Wraps each stage of the run in the folder `out`."""

    out: Path
    stop: Callable[[], bool] = lambda: False  # called often; True ends the run
    on_progress: Callable[[Progress], object] = lambda progress: None
    still_ours: Callable[[], object] = lambda: None  # raises if the folder was removed
    seal: Callable[[], object] = lambda: None  # called when a stage's files are finished
    _waited: float = 0.0  # seconds in `stop`, where a paused run waits; not part of a stage's time

    def asked_to_stop(self) -> bool:
        began = time.monotonic()
        answer = self.stop()
        self._waited += time.monotonic() - began
        return answer

    def check(self) -> None:
        """Raises Stopped if the user asked for it."""
        if self.asked_to_stop():
            raise Stopped
        self.still_ours()

    def between(self) -> None:
        """Call this before each stage."""
        self.still_ours()
        self.seal()
        self.check()

    @contextmanager
    def stage(
        self, number: int, name: str, total: int, done: float = 0
    ) -> Iterator[Callable[[float], None]]:
        """Report a stage, and add its seconds to its round's stages.json unless it is interrupted.

        Yields a function; call it with the number of parts done since the last call.
        """

        def advance(more: float) -> None:
            nonlocal done
            done += more
            self.on_progress(Progress(number, name, min(int(done), total), total))

        began = time.monotonic() - self._waited
        advance(0)
        yield advance
        took = time.monotonic() - self._waited - began
        file = self.out / f"round-{number}" / "stages.json"
        seconds = read_json(file) if file.exists() else {}
        seconds[name] = round(seconds.get(name, 0.0) + took, 2)
        write_json(file, seconds)
