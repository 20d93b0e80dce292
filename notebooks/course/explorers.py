"""Explorers: a figure with a control per setting and its numbers as a table; four of the course."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as w
from matplotlib.figure import Figure
from torch import Tensor

from l2r_course import figures
from l2r_lite.app.panels.base import Bundle, shown, side_by_side, stack
from l2r_lite.app.planner import CARDS, knobs, plan_memory
from l2r_lite.runs.show import Table
from l2r_lite.students.presets import PRESETS

if TYPE_CHECKING:
    from l2r_course.scores import TokenScores

View = Callable[..., Figure | tuple[Figure, Table]]


class explore:  # noqa: N801 - used like a function
    """A figure with a control per setting; without a kernel, the figure at the first settings.

    As in ipywidgets.interact, (low, high, step) is a slider, a list a menu, True or False a
    checkbox; a widget is used as it is. The label is the name of the argument. Beside a slider is a
    number field with the label, because ipywidgets' sliders have no name for a screen reader.

        explore(figures.stopping_rule, patience=[1, 2, 3], minimal_gain=(0.0, 0.2, 0.05))

    Args:
        view: draws a figure from the settings; may return a table of its numbers with it.
        moving: draw while a slider moves (for fast views), not only when it is released.
        controls: one per argument of `view`.
    """

    def __init__(self, view: View, *, moving: bool = False, **controls: Any) -> None:
        self._view = view
        self.controls: dict[str, Any] = {
            name: w.interactive.widget_from_abbrev(c) for name, c in controls.items()}
        self._picture, self._numbers, self._trouble = w.HTML(), w.HTML(), w.Output()
        self._numbers.layout.display = "none"
        self.numbers_button = w.ToggleButton(
            description="Show the numbers", tooltip="Show the figure as a table", icon="table",
            layout=w.Layout(width="auto", align_self="flex-start"))
        self.numbers_button.observe(self._show_numbers, "value")
        for control in self.controls.values():
            control.observe(lambda _: self._redraw(), "value")
        named = {name.replace("_", " "): control for name, control in self.controls.items()}
        rows = [_labelled(name, control, moving) for name, control in named.items()]
        self.panel = stack(*rows, self._picture, self.numbers_button, self._numbers, self._trouble)

    def look(self) -> tuple[Figure, Table | None]:
        """The figure and the table at the current settings."""
        seen = self._view(**{name: control.value for name, control in self.controls.items()})
        return seen if isinstance(seen, tuple) else (seen, None)

    def _redraw(self) -> None:
        self._trouble.clear_output()
        with self._trouble:  # an exception is shown below the figure
            self._show(*self.look())

    def _show(self, figure: Figure, table: Table | None) -> None:
        self._picture.value = figures.as_html(figure)
        self._numbers.value = table._repr_html_() if table else ""
        self.numbers_button.layout.display = None if table else "none"

    def _show_numbers(self, change: dict[str, Any]) -> None:
        self._numbers.layout.display = None if change["new"] else "none"

    def _repr_mimebundle_(self, **_: Any) -> Bundle:
        figure, table = self.look()
        self._show(figure, table)
        chosen = [[name.replace("_", " "), c.value] for name, c in self.controls.items()]
        return shown(self.panel, figure, table or Table(["setting", "value"], chosen))


def _labelled(name: str, control: Any, moving: bool) -> w.Widget:
    """A control with a visible label, which is also its name for a screen reader."""
    slider = isinstance(control, w.IntSlider | w.FloatSlider)
    field: Any = control
    if slider:
        kind = w.BoundedIntText if isinstance(control, w.IntSlider) else w.BoundedFloatText
        field = kind(control.value, min=control.min, max=control.max, step=control.step)
        w.jslink((control, "value"), (field, "value"))
        control.description, control.readout, control.continuous_update = "", False, moving
        control.layout = w.Layout(width="16em")
    field.description = field.tooltip = name
    field.style.description_width = "13em"
    field.layout.width = "20em" if slider else "32em"
    field.layout.max_width = "100%"
    return side_by_side(field, control) if slider else field


def nf4_explorer(weight: Tensor) -> explore:
    """Blocks of a real matrix in 4 bits: the levels in use, and the cost of an outlier.

    Args:
        weight: the matrix, any shape.
    """
    sizes = [size for size in (16, 32, 64, 128, 256, 512) if size <= weight.numel()]

    def view(block: int, block_size: int, outlier: float) -> tuple[Figure, Table]:
        last = weight.numel() // block_size - 1  # a larger block size leaves fewer blocks
        seen = figures.Block.of(weight, min(block, last), block_size, outlier)
        return figures.one_block(seen), figures.block_table(seen)

    return explore(
        view, moving=True,
        block=w.IntSlider(0, min=0, max=min(200, weight.numel() // sizes[0] - 1)),
        block_size=w.Dropdown(options=sizes, value=min(64, sizes[-1])),
        outlier=w.FloatSlider(8, min=0, max=40, step=2),
    )


def temperature_explorer(scores: TokenScores, place: int = 0) -> explore:
    """Next-token probabilities at each place of a rationale, at temperatures from 0 to 2.

    Args:
        place: the first one shown.
    """

    def view(place: int, temperature: float) -> tuple[Figure, Table]:
        table = figures.next_token_table(scores, place, temperature)
        return figures.next_token(scores, place, temperature), table

    return explore(
        view, moving=True,
        place=w.IntSlider(place, min=0, max=len(scores.tokens) - 1),
        temperature=w.FloatSlider(0.7, min=0, max=2, step=0.1),
    )


def triplet_explorer(items: tuple[Tensor, Tensor] | None = None) -> explore:
    """The triplet loss by margin and angles, and the three vectors after steps downhill.

    Args:
        items: (cos(h, h⁺), cos(h, h⁻)) of real items, each (items,), drawn over the loss.
    """

    def view(**setting: float) -> tuple[Figure, Table]:
        angles = setting["angle_to_h⁺"], setting["angle_to_h⁻"]
        steps = int(setting["steps_downhill"])
        triplet = figures.Triplet.descend(setting["margin"], *angles, steps)
        return figures.triplet_plane(triplet, items), figures.triplet_table(triplet, items)

    return explore(view, moving=True, **{
        "margin": w.FloatSlider(1.0, min=0, max=2, step=0.1),
        "angle_to_h⁺": w.IntSlider(40, min=0, max=180, step=5),
        "angle_to_h⁻": w.IntSlider(70, min=0, max=180, step=5),
        "steps_downhill": w.IntSlider(0, min=0, max=20)})


def planner_explorer(student: str = "consumer", card: int = 12) -> explore:
    """Does a student fit on a card? By items at once and length of a rationale, with remedies.

    The first view of a setting takes seconds, because the memory of a training step is counted;
    later views come from a cache.

    Args:
        student: the first preset shown, any but "pocket".
        card: memory of the first card shown, in GB.
    """
    names = {}
    for name, config in PRESETS.items():
        if config.student != "pocket":
            names[f"{config.student.rpartition('/')[2]} ({name})"] = name

    def view(
        student: str, card_GB: int, items_at_once: int, prompt_tokens: int, rationale_tokens: int,
        recompute_activations: bool,
    ) -> tuple[Figure, Table]:
        config = PRESETS[student].with_(
            batch_size=items_at_once, micro_batch=items_at_once,
            gradient_checkpointing=recompute_activations)
        tokens: dict[str, Any] = {
            "prompt_tokens": prompt_tokens, "rationale_tokens": rationale_tokens}
        plan = plan_memory(config, **tokens)
        table = figures.card_table(plan, card_GB, knobs(config, plan, card_GB, **tokens))
        return figures.card_planner(plan, card_GB), table

    return explore(
        view,
        student=w.Dropdown(options=names, value=student),
        card_GB=w.Dropdown(options=CARDS, value=card),
        items_at_once=w.Dropdown(options=[1, 2, 4, 8, 16], value=2),
        prompt_tokens=w.IntSlider(100, min=50, max=300, step=50),
        rationale_tokens=w.IntSlider(256, min=64, max=512, step=64),
        recompute_activations=w.Checkbox(True),
    )
