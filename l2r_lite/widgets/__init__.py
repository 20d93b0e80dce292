"""Panels of core ipywidgets for the notebooks."""

from l2r_lite.widgets.compare import compare_panel
from l2r_lite.widgets.explorers import explore, nf4_explorer, planner_explorer, temperature_explorer, triplet_explorer
from l2r_lite.widgets.live import LiveFigure
from l2r_lite.widgets.loop import loop_panel
from l2r_lite.widgets.mistakes import mistake_browser

__all__ = [
    "LiveFigure",
    "compare_panel",
    "explore",
    "loop_panel",
    "mistake_browser",
    "nf4_explorer",
    "planner_explorer",
    "temperature_explorer",
    "triplet_explorer",
]  # fmt: skip
