"""What a cell shows of a run while it waits for it: how far the run is, and its accuracy."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from IPython.display import HTML, display
from matplotlib.figure import Figure

from l2r_lite.app import figures
from l2r_lite.app.panels import words
from l2r_lite.app.panels.live import Forecast
from l2r_lite.loop.stages import Progress
from l2r_lite.runs.show import html

_REFRESH = 0.3  # seconds between two updates of the status line
_LOOK = (
    ".l2r-live {line-height: 1.5; min-height: 3.2em} "
    ".l2r-live progress {width: 100%; max-width: 42em; height: 14px}")


class LiveFigure:
    """A small figure above a progress bar, both up to date while a run blocks its cell.

        with LiveFigure(config.rounds) as live:
            run_rounds(config, out, on_round=live, on_progress=live.progress, progress=False)

    Figure and bar keep their size and place, so both stay in view in a window of 900 px.

    Args:
        rounds: how many rounds the run will have.
    """

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.report: dict[str, Any] = {"rounds": []}
        self._forecast, self._said = Forecast(), 0.0
        self._line: Any = None
        self._figure: Any = None

    def __enter__(self) -> LiveFigure:
        # The bar comes last: JupyterLab keeps the next cell in place, and what is above it in view.
        self._figure = display(self.figure(), display_id=True)
        self._line = display(self._status(), display_id=True)
        return self

    def __call__(self, report: dict[str, Any]) -> None:
        """Draw the run so far; for `on_round`."""
        new = len(report["rounds"]) > len(self.report["rounds"])
        self.report = report
        if new:
            self._figure.update(self.figure())

    def progress(self, progress: Progress) -> None:
        """Say how far the run is; for `on_progress`."""
        before, now = self._forecast.now, time.monotonic()
        self._forecast.tell(progress, now)
        begins = before is None or progress.stage != before.stage
        if begins or now - self._said > _REFRESH:
            self._said = now
            self._line.update(self._status())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        done = max(len(self.report["rounds"]) - 1, 0)  # the report begins with round 0
        line = f"Done: {min(done, self.rounds)} of {self.rounds} rounds."
        if done < self.rounds:
            line += " Run this cell again to resume."
        self._line.update(HTML(html("<div>{}</div>", line)))

    def figure(self) -> Figure:
        """Accuracy by round, low enough to be in view together with the cell and the bar."""
        figure = figures.accuracy_by_round(self.report, rounds=self.rounds)
        figure.set_size_inches(8, 2.6)
        return figure

    def _status(self) -> HTML:
        line = words.status("running", None, self._forecast, self.rounds, None)
        return HTML(html('<style>{}</style><div class="l2r-live">{}</div>', _LOOK, line))
