"""Every figure: functions that take data and return a matplotlib Figure; notebooks, reports, widgets and README share them."""

from l2r_lite.plots.base import Picture, save
from l2r_lite.plots.runs import accuracy_by_round, accuracy_by_skill, loss_curves, round_diagram, run_overview

__all__ = ["Picture", "accuracy_by_round", "accuracy_by_skill", "loss_curves", "round_diagram", "run_overview", "save"]
