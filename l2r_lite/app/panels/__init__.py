"""Panels of core ipywidgets for notebooks."""

from l2r_lite.app.panels.compare import compare_panel
from l2r_lite.app.panels.live import LiveFigure
from l2r_lite.app.panels.loop import loop_panel
from l2r_lite.app.panels.mistakes import mistake_browser

__all__ = ["LiveFigure", "compare_panel", "loop_panel", "mistake_browser"]
