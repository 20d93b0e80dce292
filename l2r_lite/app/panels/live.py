"""A run in a thread of its own: started, paused, stopped, resumed and watched."""

import contextvars
import threading
import time
from collections.abc import Callable
from pathlib import Path

from l2r_lite.loop.errors import RunError
from l2r_lite.loop.stages import Progress

Stop = Callable[[], bool]
AT_WORK = ("running", "pausing", "paused", "stopping")
# The stages of a round, in their order; round 0 has the last two.
STAGES = ("exam", "feedback", "training", "validation", "test")


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
        self._on_change = on_change
        self._go = threading.Event()  # cleared while the run is to pause
        self._stopping = False
        self._seconds_paused = 0.0

    def start(self, work: Callable[[Stop], object], folder: Path, who: str) -> None:
        """Call `work` in a thread of its own; it gets a `stop` to ask between its steps.

        Args:
            folder: the run folder; no other run of this kernel may be at work in it.
            who: whose run this is, for the message to another panel.

        Raises:
            RunError: this run or another one is at work already.
        """
        with self.lock:
            if self.state in AT_WORK:
                raise RunError("the run is at work already; stop it first.")
            _claim(folder, who)
            self._stopping, self._seconds_paused, self.error = False, 0.0, None
            self._go.set()
            self._become("running")
        # With the caller's context, what a library prints goes to the cell that started the run.
        context = contextvars.copy_context()
        threading.Thread(
            target=context.run, args=(self._run, work, folder), daemon=True,
            name=f"l2r-lite {folder}").start()

    def _run(self, work: Callable[[Stop], object], folder: Path) -> None:
        try:
            work(self._should_stop)
            outcome = "idle"
        except BaseException as error:  # noqa: BLE001 - whatever it is, the panel has to say it
            self.error, outcome = error, "failed"
        finally:
            _release(folder)
        with self.lock:
            self._become(outcome)

    def _should_stop(self) -> bool:
        """The run asks this between its steps; while it is paused, the answer waits."""
        if not self._go.is_set():
            with self.lock:
                if self.state == "pausing":
                    self._become("paused")
            began = time.monotonic()
            self._go.wait()
            self._seconds_paused += time.monotonic() - began
        return self._stopping

    def _become(self, state: str) -> None:
        with self.lock:
            self.state = state
            try:
                self._on_change()
            finally:
                self.lock.notify_all()

    def pause(self) -> None:
        """Pause the run at its next step; nothing is lost, and the student stays in memory."""
        with self.lock:
            if self.state == "running":
                self._go.clear()
                self._become("pausing")

    def go_on(self) -> None:
        """Resume a paused run."""
        with self.lock:
            if self.state in ("pausing", "paused"):
                self._become("running")
                self._go.set()

    def stop(self) -> None:
        """End the run at its next step; it can be resumed from its folder."""
        with self.lock:
            if self.state in AT_WORK:
                self._stopping = True
                self._become("stopping")
                self._go.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the run is paused or has ended, at most so many seconds; whether it is."""
        with self.lock:
            return self.lock.wait_for(
                lambda: self.state not in AT_WORK or self.state == "paused", seconds)

    def clock(self) -> float:
        """Seconds on a clock that stands still while the run is paused."""
        return time.monotonic() - self._seconds_paused


_CLAIMED: dict[Path, str] = {}  # folders in which a run of this kernel is at work, and whose it is
_CLAIMING = threading.Lock()


def _claim(folder: Path, who: str) -> None:
    with _CLAIMING:
        holder = _CLAIMED.get(folder.resolve())
        if holder:
            raise RunError(
                f"{folder} is in use by {holder}; stop that run, or give this panel another name.")
        _CLAIMED[folder.resolve()] = who


def _release(folder: Path) -> None:
    with _CLAIMING:
        _CLAIMED.pop(folder.resolve(), None)


class Forecast:
    """How long a run will still take, from what its stages took so far."""

    def __init__(self) -> None:
        self.now: Progress | None = None
        self._since = 0.0
        self._seconds: dict[str, float] = {}
        self._parts: dict[str, int] = {}  # parts of a stage that these seconds were for
        self._size: dict[str, int] = {}  # parts of a stage when it was last begun

    def tell(self, progress: Progress, clock: float) -> None:
        """Note how far the run is, by a clock that stands still while it is paused."""
        last, stage = self.now, progress.stage
        if last and (last.round, last.stage) == (progress.round, stage):
            self._seconds[stage] = self._seconds.get(stage, 0.0) + clock - self._since
            self._parts[stage] = self._parts.get(stage, 0) + progress.done - last.done
        self._size[stage] = progress.total
        self.now, self._since = progress, clock

    def left(self, rounds: int) -> tuple[float, list[str]]:
        """Seconds until the last round is evaluated, and stages without a measurement yet.

        The latter are not included in the seconds.
        """
        now = self.now
        if now is None or now.stage not in STAGES:
            return 0.0, list(STAGES)
        here = STAGES.index(now.stage)
        seconds, unknown = 0.0, []
        for number, stage in enumerate(STAGES):
            times = max(rounds - now.round, 0)  # once in every round to come …
            in_this_round = now.round > 0 or number >= STAGES.index("validation")
            if number > here and in_this_round:
                times += 1
            parts = times * self._size.get(stage, 0)
            if number == here:
                parts += now.total - now.done  # … and what is left of this one
            if self._parts.get(stage):
                seconds += parts * self._seconds[stage] / self._parts[stage]
            elif times or parts:
                unknown.append(stage)
        return seconds, unknown


class DrawBudget:
    """Decides when to draw, so that drawing takes at most `share` of the time."""

    def __init__(self, share: float = 0.02) -> None:
        self.share, self._next = share, 0.0

    def due(self) -> bool:
        return time.monotonic() >= self._next

    def draw(self, how: Callable[[], object]) -> None:
        """Draw now; the longer it takes, the later the next drawing is due."""
        began = time.monotonic()
        how()
        now = time.monotonic()
        self._next = now + (now - began) / self.share
