"""What a lab measured, seed by seed, against bars that were set on other seeds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from l2r_lite.loop.runfolder import read_lines, write_lines
from l2r_lite.runs.show import Table
from l2r_lite.runs.statistics import mean_interval

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Bar:
    """A bound that a lab's result must keep on every held seed.

    Attributes:
        text: what is measured.
        value: computes it from the measures of a seed.
        low, high: the bounds, in the unit of `value`.
        points: shares shown as percentage points.
    """

    text: str
    value: Callable[[Numbers], float]
    low: float = -math.inf
    high: float = math.inf
    points: bool = False

    def holds(self, numbers: Numbers) -> bool:
        return self.low <= self.value(numbers) <= self.high

    def told(self, value: float, sign: str = "+") -> str:
        """A value in the unit of the table."""
        text = f"{100 * value:{sign}.0f}" if self.points else f"{value:{sign}.2f}"
        return text.replace("-", "−")

    @property
    def bound(self) -> str:
        unit = " points" if self.points else ""
        if self.low == -math.inf:
            return f"≤ {self.told(self.high, '')}{unit}"
        if self.high == math.inf:
            return f"≥ {self.told(self.low, '')}{unit}"
        return f"{self.told(self.low)} to {self.told(self.high)}{unit}"


@dataclass(frozen=True)
class Measured:
    """The measures of one seed: a line of a lab's log."""

    seed: int
    numbers: dict[str, float]
    settings: dict[str, Any]
    environment: dict[str, Any]
    commit: str = ""
    date: str = ""
    seconds: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)


def read_log(file: Path) -> list[Measured]:
    """The log's lines by seed; none if there is no file. Raises RunError for a damaged line."""
    return read_lines(file, Measured) if file.exists() else []


def keep(line: Measured, file: Path) -> None:
    """Add a line to a log; it replaces the one of the same seed."""
    lines = {known.seed: known for known in [*read_log(file), line]}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_lines(file, [dataclasses.asdict(lines[seed]) for seed in sorted(lines)])


def bars_table(bars: Sequence[Bar], log: Sequence[Measured]) -> Table:
    """Each bar with its value per seed, the mean with its 95 % t interval, and whether it holds."""
    rows = []
    for bar in bars:
        values = [bar.value(line.numbers) for line in log]
        mean, half = mean_interval(values)
        spread = "" if math.isnan(half) else f" ± {bar.told(half, '')}"
        kept = sum(bar.holds(line.numbers) for line in log)
        rows.append([bar.text, bar.bound, *map(bar.told, values), f"{bar.told(mean)}{spread}",
                     f"{kept} of {len(log)}"])
    seeds = [f"seed {line.seed}" for line in log]
    return Table(["measured", "bar", *seeds, "mean ± 95 % (t)", "holds in"], rows)


def numbers_table(texts: Mapping[str, str], log: Sequence[Measured]) -> Table:
    """The measures behind the bars, per seed, and their mean with its 95 % t interval.

    Args:
        texts: a measure's name → what it is.
    """
    rows = []
    for name, text in texts.items():
        values = [line.numbers[name] for line in log]
        mean, half = mean_interval(values)
        spread = "" if math.isnan(half) else f" ± {half:.2f}"
        # + 0 turns −0.0 into 0.0.
        cells = [f"{round(value, 2) + 0:.2f}" for value in (*values, mean)]
        rows.append([text, *cells[:-1], cells[-1] + spread])
    return Table(["measured", *(f"seed {line.seed}" for line in log), "mean ± 95 % (t)"], rows)
