"""The compare panel: runs side by side, and the questions that one fixed and another did not."""

from collections.abc import Sequence
from pathlib import Path

import ipywidgets as w
from matplotlib.figure import Figure

from l2r_lite.app import figures
from l2r_lite.app.panels.base import Panel, say, side_by_side, stack
from l2r_lite.loop.errors import printable
from l2r_lite.runs.compare import compare_runs
from l2r_lite.runs.show import Table, html

_MOST = 40  # questions in one table
_LOOK = {
    "style": {"description_width": "8.5em"}, "layout": {"width": "24em", "max_width": "100%"}}


class compare_panel(Panel):  # noqa: N801 - used like a function
    """Two or more runs side by side: curves with intervals, differing settings, fixed questions.

        compare_panel(["runs/plain", "runs/replay"], labels=["replay 0", "replay 1"])

    A question is fixed if the untrained student answered it wrong and the compared student answers
    it right, and broken the other way round. All runs are compared on the test questions that they
    share.

    Args:
        run_folders: runs that have at least the first evaluation.
        labels: a name for each run.
        after: the round whose students are compared first; None: the students that the runs kept.

    Raises:
        RunError: fewer than two runs, or runs that cannot be compared; the message says why.
    """

    def __init__(
        self, run_folders: Sequence[str | Path], labels: Sequence[str] = (),
        after: int | None = None,
    ) -> None:
        self._folders, self._labels = list(run_folders), list(labels)
        self.found = compare_runs(self._folders, self._labels, after)
        names = [(printable(label)[:40], i) for i, label in enumerate(self.found.labels)]
        self.by = w.Dropdown(
            description="fixed by", options=names, value=0,
            tooltip="Questions that this run's student answers right and the untrained one wrong",
            **_LOOK)
        self.not_by = w.Dropdown(
            description="and not by", options=names, value=1,
            tooltip="Leave out the questions that this run fixed too", **_LOOK)
        rounds = range(1, min(len(report["rounds"]) for report in self.found.reports))
        # 0 is the students kept: ipywidgets shows the value None as an empty menu.
        students = [("kept (best on validation)", 0), *((f"after round {n}", n) for n in rounds)]
        self.after = w.Dropdown(
            description="students", options=students, value=after or 0,
            tooltip="The student of each run that is compared", **_LOOK)
        for menu in (self.by, self.not_by):
            menu.observe(lambda _: self._list(), "value")
        self.after.observe(lambda _: self._draw(), "value")
        self._picture = w.HTML(layout=w.Layout(width="800px", max_width="100%"))
        self._reached, self._questions = w.HTML(), w.HTML()
        self.panel = stack(
            self.after, self._picture, w.HTML(say(self._caution())), self._reached,
            side_by_side(self.by, self.not_by), self._questions)
        self._draw()

    def figure(self) -> Figure:
        """Accuracy by round of all runs, and the questions that each fixed and broke."""
        found = self.found
        return figures.runs_compared(
            found.reports, found.labels, found.changed, self.after.value or None)

    def table(self) -> Table:
        """One row per run: the differing settings, accuracy, and numbers of fixed and broken."""
        rows, found = [], self.found
        runs = zip(found.labels, found.reports, found.changed, strict=True)
        for i, (label, report, changed) in enumerate(runs):
            values = [of_runs[i] for of_runs in found.differing.values()]
            settings = ["–" if value is None else value for value in values]
            number = self.after.value or report["best_round"]
            reached = report["rounds"][number]
            interval = " – ".join(f"{bound:.1%}" for bound in reached["ci95"])
            counts = len(changed.fixed), len(changed.only), len(changed.broken)
            accuracy = f"{reached['accuracy']:.1%}"
            rows.append([label, *settings, number, accuracy, interval, *counts])
        return Table(
            ["run", *found.differing, "student of round", "test accuracy", "95 % interval",
             "fixed", "fixed by it only", "broken"], rows)

    def questions(self) -> Table:
        """Test questions that one run fixed and the other did not, with both answers."""
        by, other, found = self.by.value, self.not_by.value, self.found
        keys = sorted(found.changed[by].fixed - found.changed[other].fixed)
        rows = []
        for key in keys[:_MOST]:
            problem, answers = found.problems[key], found.answers
            rows.append([
                problem.skill, problem.question, problem.answer, answers[by][key].rationale,
                answers[other][key].rationale])
        if len(keys) > _MOST:
            rows.append(["…", f"and {len(keys) - _MOST} more", "", "", ""])
        writers = [f"student of {found.labels[i]}" for i in (by, other)]
        return Table(["skill", "question", "answer", *writers], rows)

    def _draw(self) -> None:
        self.found = compare_runs(self._folders, self._labels, self.after.value or None)
        self._picture.value = figures.as_html(self.figure())
        self._reached.value = self.table()._repr_html_()
        self._list()

    def _list(self) -> None:
        table = self.questions()
        line = say(html('<div role="status">{}</div>', self._count()))
        self._questions.value = line + table._repr_html_() if table.rows else line

    def _count(self) -> str:
        """How many fixed questions the list shows, in a sentence."""
        by, other = self.by.value, self.not_by.value
        fixed, not_there = (self.found.changed[i].fixed for i in (by, other))
        name, there = (self.found.labels[i] for i in (by, other))
        if not fixed:
            return f"{name} fixed no question."
        if by == other:
            return f"{name} fixed {_questions(len(fixed))}. Choose two different runs."
        count = len(fixed - not_there)
        if len(fixed) == 1:
            which = f"{there} did not fix it" if count else f"{there} fixed it too"
        else:
            which = f"{there} did not fix {count} of them" if count else f"{there} fixed them too"
        return f"{name} fixed {_questions(len(fixed))}; {which}."

    def _caution(self) -> str:
        words = f"All runs share {_questions(len(self.found.problems), 'test question')}."
        if self.found.left_out:
            words += f" {_questions(self.found.left_out)} that some runs do not have are left out."
        if not self.found.differing:
            words += " No setting differs."
        return (
            f"{words} One run per setting is not enough to rank settings: with another seed the "
            "order may change (notebook 10).")


def _questions(count: int, noun: str = "question") -> str:
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"
