"""A run's numbers for TensorBoard, trackio or Weights & Biases, through accelerate's trackers.

    with Tracker("tensorboard", out, config) as tracker:
        run_rounds(config, out, on_step=tracker.step, on_round=tracker.round)
"""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError, printable

KINDS = ("tensorboard", "trackio", "wandb")
PROJECT = "l2r-lite"


class Tracker:
    """Gives what a run logs to a tool; numbers of an interrupted run continue where they ended.

    A tool that fails never ends the run: it is told once and left alone.

    Args:
        kind: one of KINDS; None does nothing. TensorBoard's files are in `out`/tensorboard; the
            others have the run under its folder's name in the project "l2r-lite".
        out: the run's folder; nothing is written before the run has made it.
        config: the settings, shown beside the numbers.

    Raises:
        ConfigError: the tool is not installed.
    """

    def __init__(self, kind: str | None, out: str | Path, config: LoopConfig) -> None:
        if kind not in (*KINDS, None):
            raise ConfigError(f"report_to = {kind!r}: must be one of {', '.join(KINDS)}")
        if kind and importlib.util.find_spec(kind) is None:
            raise ConfigError(f"report_to = {kind}: it is not installed; run: pip install {kind}")
        self.kind, self.out, self.config = kind, Path(out), config
        self._tool: Any = None
        self._off = kind is None  # nothing to report to, or it has failed
        logs = self.out.glob("round-*/losses.jsonl") if kind else ()
        self._steps = sum(_lines(file) for file in logs if file.is_file())
        self._rounds = len(list(self.out.glob("round-*/test.jsonl")))

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._tool is not None:
            self._try(self._tool.finish)

    def step(self, logged: dict[str, float]) -> None:
        """A training step's values: `on_step` of `run_rounds`."""
        self._steps += 1
        self._log({f"training/{name}": value for name, value in logged.items()})

    def round(self, report: dict[str, Any]) -> None:
        """A round's numbers once it is evaluated: `on_round` of `run_rounds`."""
        if len(report["rounds"]) <= self._rounds:
            return  # finished, and logged, before the run was resumed
        self._rounds = len(report["rounds"])
        entry = report["rounds"][-1]
        numbers = {f"round/{n}": v for n, v in entry.items() if isinstance(v, int | float)}
        skills = {f"skill/{name}": share for name, share in entry["by_skill"].items()}
        self._log(numbers | skills)

    def _log(self, values: dict[str, float]) -> None:
        if self._tool is None and not self._off:
            self._try(self._start)
        if self._tool is not None:
            self._try(lambda: self._tool.log(values, step=self._steps))

    def _start(self) -> None:
        from accelerate import PartialState
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        PartialState()  # accelerate's trackers ask which process they are in
        if self.kind == "tensorboard":
            tool = LOGGER_TYPE_TO_CLASS[self.kind]("tensorboard", logging_dir=self.out)
        else:
            place = {"dir": str(self.out)} if self.kind == "wandb" else {}
            name = self.out.absolute().name
            tool = LOGGER_TYPE_TO_CLASS[self.kind](PROJECT, name=name, **place)
        tool.start()
        self._tool = tool
        tool.store_init_configuration(self.config.to_json())

    def _try(self, work: Any) -> None:
        try:
            work()
        except Exception as error:  # a service may raise anything, and the run goes on
            self._tool, self._off = None, True
            told = " ".join(str(error).split())[:200]
            warnings.warn(printable(
                f"{self.kind}: {told or type(error).__name__}. The run goes on without it; all its "
                "numbers are in its folder."), stacklevel=4)


def _lines(file: Path) -> int:
    with file.open("rb") as handle:
        return sum(1 for line in handle if line.strip())
