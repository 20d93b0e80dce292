"""Panels of core ipywidgets for the notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets as w
from IPython.display import display

from l2r_lite import plots
from l2r_lite.config import LoopConfig
from l2r_lite.rounds import run_rounds


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
