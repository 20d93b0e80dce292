"""Panels of core ipywidgets for the notebooks."""

from l2r_lite.widgets.base import LiveFigure, explore, loop_sliders

__all__ = ["LiveFigure", "explore", "loop_sliders"]
