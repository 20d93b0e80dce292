"""Panels of core ipywidgets for the notebooks."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as w
from IPython.display import display

from l2r_lite import plots
from l2r_lite.config import LoopConfig
from l2r_lite.rounds import run_rounds


class explore:  # noqa: N801 - used like a function
    """A figure with a control for each of its settings; on a page without a kernel, the figure at the first setting.

    A control is what ipywidgets makes of it: (low, high, step) a slider, a list a menu, True or False a box; to begin elsewhere
    than in the middle, pass a widget, as ipywidgets.FloatSlider(0.5, min=0, max=1). The argument's name labels it.

        explore(plots.quantisation_error, bits=[2, 3, 4], block_size=(16, 128, 16))
    """

    def __init__(self, draw: Callable[..., Any], **controls: Any) -> None:
        self._draw = draw
        self.panel = w.interactive(lambda **chosen: display(draw(**chosen)), **controls)
        for control in self.panel.kwargs_widgets:
            control.description = control.description.replace("_", " ")
            control.style.description_width = "11em"
            control.layout.width = "32em"
            if hasattr(control, "continuous_update"):
                control.continuous_update = False  # redrawn once, when the slider is let go

    def figure(self) -> Any:
        """The figure at the present setting."""
        return self._draw(**{control._kwarg: control.value for control in self.panel.kwargs_widgets})

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        self.panel.update()
        return {**self.panel._repr_mimebundle_(), "image/png": b64encode(self.figure()._repr_png_()).decode()}


class LiveFigure:
    """A figure that is drawn anew after each round: pass it to run_rounds as `on_round`."""

    def __init__(self) -> None:
        self.handle: Any = None

    def __call__(self, report: dict[str, Any]) -> None:
        figure = plots.run_overview(report)
        if self.handle is None:
            self.handle = display(figure, display_id=True)
        else:
            self.handle.update(figure)


def loop_sliders(config: LoopConfig, folder: str | Path = "runs") -> w.VBox:
    """Rounds, samples and λ as sliders, a button, and the run's figure below.

    Each combination of samples and λ has its own run folder, so that raising the rounds continues a run.
    """
    wide = {"description_width": "11em"}
    rounds = w.IntSlider(config.rounds, 1, 6, description="rounds", style=wide, tooltip="exam, feedback, training")
    samples = w.IntSlider(config.samples, 1, 8, description="samples a question", style=wide)
    weight = w.FloatSlider(config.reflection_weight, min=0, max=1, step=0.1, description="reflection weight λ", style=wide)
    button = w.Button(description="Run the loop", button_style="primary", icon="play", tooltip="starts or continues the run")
    result = w.Output()

    def run(_: w.Button) -> None:
        button.disabled = True
        result.clear_output()
        try:
            with result:
                chosen = config.with_(rounds=rounds.value, samples=samples.value, reflection_weight=round(weight.value, 2))
                out = Path(folder) / f"sliders-samples{chosen.samples}-lambda{chosen.reflection_weight:g}-seed{chosen.seed}"
                run_rounds(chosen, out, on_round=LiveFigure())
        finally:
            button.disabled = False

    button.on_click(run)
    return w.VBox([rounds, samples, weight, button, result])
