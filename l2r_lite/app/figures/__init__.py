"""Figures of a run: functions that take data and return a matplotlib Figure."""

from l2r_lite.app.figures.base import Picture, as_html, as_png, save
from l2r_lite.app.figures.losses import losses_by_round
from l2r_lite.app.figures.panels import mistakes_by_fate, runs_compared
from l2r_lite.app.figures.readable import alt_text
from l2r_lite.app.figures.runs import accuracy_by_round, accuracy_by_skill, run_overview

__all__ = [
    "Picture", "accuracy_by_round", "accuracy_by_skill", "alt_text", "as_html", "as_png",
    "losses_by_round", "mistakes_by_fate", "run_overview", "runs_compared", "save",
]
