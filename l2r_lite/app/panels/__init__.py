"""Panels of core ipywidgets for notebooks, each imported when it is first asked for."""

import importlib
from typing import Any

_PLACES = {
    "LiveFigure": "live_figure",
    "compare_panel": "compare",
    "loop_panel": "loop",
    "mistake_browser": "mistakes",
}
__all__ = ["LiveFigure", "compare_panel", "loop_panel", "mistake_browser"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
