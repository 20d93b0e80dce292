"""A run beside the kernel's main thread: started, paused, stopped, gone on with, and watched without slowing it down."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from IPython.display import display

from l2r_lite.app import figures
from l2r_lite.loop.errors import RunError
from l2r_lite.loop.stages import Progress

Stop = Callable[[], bool]
AT_WORK = ("running", "pausing", "paused", "stopping")
STAGES = ("exam", "feedback", "training", "validation", "test")  # of a round, in their order; round 0 has the last two


class LiveFigure:
    """A figure that is drawn anew after each round: pass it to run_rounds as `on_round`."""

    def __init__(self) -> None:
        self.handle: Any = None

    def __call__(self, report: dict[str, Any]) -> None:
        figure = figures.run_overview(report)
        if self.handle is None:
            self.handle = display(figure, display_id=True)
        else:
            self.handle.update(figure)


class Live:
    """One run at a time in a thread of its own.

    Attributes:
        state: "idle", "running", "pausing", "paused", "stopping" or "failed".
        error: why the last run failed.
        lock: held whenever the state changes and while `on_change` is called.
    """

    def __init__(self, on_change: Callable[[], object]) -> None:
        self.lock = threading.Condition(threading.RLock())
        self.state = "idle"
        self.error: BaseException | None = None
        self._on_change, self._go, self._stopping, self._held = on_change, threading.Event(), False, 0.0

    def start(self, work: Callable[[Stop], object], folder: Path, who: str) -> None:
        """Call `work` in a thread of its own; it gets a `stop` to ask between its steps.

        Args:
            folder: the run folder; no other run of this kernel may be at work in it.  who: says whose run this is.

        Raises:
            RunError: this one or another is at work already.
        """
        with self.lock:
            if self.state in AT_WORK:
                raise RunError("the run is at work already; stop it first.")
            _take(folder, who)
            self._stopping, self._held, self.error = False, 0.0, None
            self._go.set()
            self._become("running")
        # With the caller's context, what a library prints goes to the cell that started the run and to no other.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._run, work, folder), daemon=True, name=f"l2r-lite {folder}").start()

    def _run(self, work: Callable[[Stop], object], folder: Path) -> None:
        try:
            work(self._ask)
            outcome = "idle"
        except BaseException as error:  # noqa: BLE001 - whatever it is, the panel has to say it
            self.error, outcome = error, "failed"
        finally:
            _give_back(folder)
        with self.lock:
            self._become(outcome)

    def _ask(self) -> bool:
        """The run asks between its steps whether to stop; a paused run waits here."""
        if not self._go.is_set():
            with self.lock:
                if self.state == "pausing":
                    self._become("paused")
            began = time.monotonic()
            self._go.wait()
            self._held += time.monotonic() - began
        return self._stopping

    def _become(self, state: str) -> None:
        with self.lock:
            self.state = state
            try:
                self._on_change()
            finally:
                self.lock.notify_all()

    def pause(self) -> None:
        """Hold the run at its next step; nothing is lost, and the student stays in memory."""
        with self.lock:
            if self.state == "running":
                self._go.clear()
                self._become("pausing")

    def go_on(self) -> None:
        """Let a paused run go on."""
        with self.lock:
            if self.state in ("pausing", "paused"):
                self._become("running")
                self._go.set()

    def stop(self) -> None:
        """End the run at its next step; it can be gone on with from its folder."""
        with self.lock:
            if self.state in AT_WORK:
                self._stopping = True
                self._become("stopping")
                self._go.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the run is paused or has ended, at most so many seconds; whether it is."""
        with self.lock:
            return self.lock.wait_for(lambda: self.state not in AT_WORK or self.state == "paused", seconds)

    def clock(self) -> float:
        """Seconds on a clock that stands still while the run is paused."""
        return time.monotonic() - self._held


_AT_WORK: dict[Path, str] = {}  # folders in which a run of this kernel is at work, and whose it is
_AT_WORK_LOCK = threading.Lock()


def _take(folder: Path, who: str) -> None:
    with _AT_WORK_LOCK:
        if holder := _AT_WORK.get(folder.resolve()):
            raise RunError(f"{folder} is in use by {holder}; stop that run, or give this panel another name.")
        _AT_WORK[folder.resolve()] = who


def _give_back(folder: Path) -> None:
    with _AT_WORK_LOCK:
        _AT_WORK.pop(folder.resolve(), None)


class Forecast:
    """How long a run will still take, from what its stages took so far."""

    def __init__(self) -> None:
        self.now: Progress | None = None
        self._since = 0.0
        self._seconds: dict[str, float] = {}
        self._parts: dict[str, int] = {}
        self._size: dict[str, int] = {}  # parts of a stage when it was last done

    def tell(self, progress: Progress, clock: float) -> None:
        """Take note of how far the run is, by a clock that stands still while it is paused."""
        last = self.now
        if last and (last.round, last.stage) == (progress.round, progress.stage):
            self._seconds[progress.stage] = self._seconds.get(progress.stage, 0.0) + clock - self._since
            self._parts[progress.stage] = self._parts.get(progress.stage, 0) + progress.done - last.done
        self._size[progress.stage] = progress.total
        self.now, self._since = progress, clock

    def left(self, rounds: int) -> tuple[float, list[str]]:
        """Seconds until the last round is evaluated, and the stages that were not measured yet and are not in them."""
        if self.now is None or self.now.stage not in STAGES:
            return 0.0, list(STAGES)
        here = STAGES.index(self.now.stage)
        seconds, unknown = 0.0, []
        for number, stage in enumerate(STAGES):
            times = max(rounds - self.now.round, 0) + (number > here) - (self.now.round == 0 and here < number < 3)
            parts = times * self._size.get(stage, 0) + (number == here) * (self.now.total - self.now.done)
            if self._parts.get(stage):
                seconds += parts * self._seconds[stage] / self._parts[stage]
            elif times or parts:
                unknown.append(stage)
        return seconds, unknown


class Sparing:
    """Decides when to draw, so that drawing takes at most `share` of the time."""

    def __init__(self, share: float = 0.02) -> None:
        self.share, self._next = share, 0.0

    def due(self) -> bool:
        return time.monotonic() >= self._next

    def draw(self, how: Callable[[], object]) -> None:
        """Draw now, and find out when the next drawing is due."""
        began = time.monotonic()
        how()
        now = time.monotonic()
        self._next = now + (now - began) / self.share
