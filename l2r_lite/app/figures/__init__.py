"""Figures of a run: functions that take data and return a matplotlib Figure."""

from l2r_lite.app.figures.base import Picture, as_html, save
from l2r_lite.app.figures.panels import losses_by_round, mistakes_by_fate, runs_compared
from l2r_lite.app.figures.runs import accuracy_by_round, accuracy_by_skill, run_overview

__all__ = [
    "Picture", "accuracy_by_round", "accuracy_by_skill", "as_html", "losses_by_round",
    "mistakes_by_fate", "run_overview", "runs_compared", "save",
]
