"""The compare panel: runs side by side, and what each fixed that another did not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ipywidgets as w
from matplotlib.figure import Figure

from l2r_lite.app import figures
from l2r_lite.app.panels.base import Panel, say, side_by_side, stack
from l2r_lite.loop.errors import printable
from l2r_lite.runs.compare import compare_runs
from l2r_lite.runs.show import Table

_MOST = 40  # questions in one table


class compare_panel(Panel):  # noqa: N801 - used like a function
    """Two or more runs side by side: curves with intervals, the settings that differ, and what each fixed.

        compare_panel(["runs/plain", "runs/replay"], labels=["replay 0", "replay 1"])

    Fixed and broken compare a run's student (the one kept, or that of a round) with the untrained one, on the test questions
    that all runs share.

    Args:
        run_folders: runs of which at least the first evaluation is finished.  labels: what to call them.
        after: the round whose students are compared first; None: those that the runs kept.

    Raises:
        RunError: fewer than two runs, or runs that cannot be compared; the message says why.
    """

    def __init__(self, run_folders: Sequence[str | Path], labels: Sequence[str] = (), after: int | None = None) -> None:
        self._folders, self._labels = list(run_folders), list(labels)
        self.found = compare_runs(self._folders, self._labels, after)
        names = [(printable(label)[:40], number) for number, label in enumerate(self.found.labels)]
        look = {"style": {"description_width": "8.5em"}, "layout": {"width": "24em", "max_width": "100%"}}
        self.by = w.Dropdown(description="fixed by", options=names, value=0, tooltip="right now, wrong before", **look)
        self.not_by = w.Dropdown(description="and not by", options=names, value=1, tooltip="still wrong there", **look)
        self._questions = w.HTML()
        rounds = range(1, min(len(report["rounds"]) for report in self.found.reports))
        # 0 stands for the students kept: ipywidgets shows an option whose value is None as an empty menu.
        self.after = w.Dropdown(
            description="students", options=[("kept (best on validation)", 0), *((f"after round {n}", n) for n in rounds)],
            tooltip="which student of each run is compared", value=after or 0, **look,
        )  # fmt: skip
        for menu in (self.by, self.not_by):
            menu.observe(lambda _: self._list(), "value")
        self.after.observe(lambda _: self._draw(), "value")
        self._picture = w.HTML(layout=w.Layout(width="800px", max_width="100%"))
        self._reached = w.HTML()
        self.panel = stack(
            self.after, self._picture, w.HTML(say(self._caution())), self._reached, side_by_side(self.by, self.not_by),
            self._questions,
        )  # fmt: skip
        self._draw()

    def figure(self) -> Figure:
        """Accuracy by round of all runs, beside what each fixed and broke."""
        return figures.runs_compared(self.found.reports, self.found.labels, self.found.changed, self.after.value or None)

    def table(self) -> Table:
        """One row a run: the settings in which the runs differ, and what it reached, fixed and broke."""
        rows, differing = [], self.found.differing
        for i, (label, report, changed) in enumerate(
            zip(self.found.labels, self.found.reports, self.found.changed, strict=True)
        ):
            settings = ["–" if values[i] is None else values[i] for values in differing.values()]
            number = self.after.value or report["best_round"]
            reached = report["rounds"][number]
            interval = " – ".join(f"{bound:.1%}" for bound in reached["ci95"])
            counts = len(changed.fixed), len(changed.only), len(changed.broken)
            rows.append([label, *settings, number, f"{reached['accuracy']:.1%}", interval, *counts])
        head = ["run", *differing, "student of round", "test accuracy", "95 % interval", "fixed", "by it alone", "broken"]
        return Table(head, rows)

    def questions(self) -> Table:
        """Test questions that the one run fixed and the other did not, with what both students wrote."""
        by, other = self.by.value, self.not_by.value
        keys = sorted(self.found.changed[by].fixed - self.found.changed[other].fixed)
        answers = self.found.answers
        rows = [
            [self.found.problems[k].skill, self.found.problems[k].question, self.found.problems[k].answer,
             answers[by][k].rationale, answers[other][k].rationale]
            for k in keys[:_MOST]
        ]  # fmt: skip
        if len(keys) > _MOST:
            rows.append(["…", f"and {len(keys) - _MOST} more", "", "", ""])
        labels = self.found.labels
        return Table(["skill", "question", "answer", f"{labels[by]} writes", f"{labels[other]} writes"], rows)

    def _draw(self) -> None:
        self.found = compare_runs(self._folders, self._labels, self.after.value or None)
        self._picture.value = figures.as_html(self.figure())
        self._reached.value = self.table()._repr_html_()
        self._list()

    def _list(self) -> None:
        table = self.questions()
        by, other = self.found.changed[self.by.value], self.found.changed[self.not_by.value]
        told = f'<div role="status">{len(by.fixed - other.fixed)} of {len(by.fixed)} fixed questions are not fixed there.</div>'
        self._questions.value = say(told) + (table._repr_html_() if table.rows else "")

    def _caution(self) -> str:
        left_out = f" ({self.found.left_out} that not all of them have are left out)" if self.found.left_out else ""
        differ = "" if self.found.differing else " No setting differs."
        return (f"{len(self.found.problems)} test questions that all runs share{left_out}.{differ} One run of each setting "
                "decides nothing: another seed may turn the order round (notebook 08).")  # fmt: skip
