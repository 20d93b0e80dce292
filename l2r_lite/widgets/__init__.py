"""Panels of core ipywidgets for the notebooks."""

from l2r_lite.widgets.explorers import explore, nf4_explorer, planner_explorer, temperature_explorer, triplet_explorer
from l2r_lite.widgets.live import LiveFigure
from l2r_lite.widgets.loop import loop_panel

__all__ = [
    "LiveFigure",
    "explore",
    "loop_panel",
    "nf4_explorer",
    "planner_explorer",
    "temperature_explorer",
    "triplet_explorer",
]  # fmt: skip
