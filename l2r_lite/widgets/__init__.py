"""Panels of core ipywidgets for the notebooks."""

from l2r_lite.widgets.base import LiveFigure, loop_sliders
from l2r_lite.widgets.explorers import explore, nf4_explorer, planner_explorer, temperature_explorer, triplet_explorer

__all__ = [
    "LiveFigure",
    "explore",
    "loop_sliders",
    "nf4_explorer",
    "planner_explorer",
    "temperature_explorer",
    "triplet_explorer",
]  # fmt: skip
