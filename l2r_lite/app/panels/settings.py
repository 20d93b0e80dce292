"""The loop panel's fields: one per setting, with its help text and what is wrong with its value."""

import dataclasses
import hashlib
import re
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as w

from l2r_lite.app.panels.base import say, side_by_side
from l2r_lite.app.panels.faults import in_sources, in_teacher
from l2r_lite.data.problems import PROBLEM_NAMES
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError
from l2r_lite.runs.config_file import read_config
from l2r_lite.runs.same_run import MAY_CHANGE, differs
from l2r_lite.runs.show import Table, html
from l2r_lite.students.sources import SHORT_NAMES

LABELS = {
    "student": "student", "problems": "problems", "teacher": "teacher",
    "base_url": "teacher's URL", "price": "price", "budget": "budget in US dollars",
    "rounds": "rounds", "samples": "samples per question",
    "reflection_weight": "reflection weight λ", "margin": "margin ρ", "replay": "replay",
    "rate_decay": "rate decay", "seed": "seed",
}
CHOICES = {
    "student": tuple(SHORT_NAMES), "problems": PROBLEM_NAMES,
    "teacher": ("scripted", "recorded:FILE", "openai:gpt-4o-mini", "none"),
}
_SHORT = {"reflection_weight": "lambda", "margin": "rho"}  # in folder names
_OF_A_PAID_TEACHER = ("base_url", "price", "budget", "key")
_KNOBS = {field.name: field for field in dataclasses.fields(LoopConfig)}
_TYPES = typing.get_type_hints(LoopConfig)
_NO_KEY = "not saved anywhere"
_LOOK: dict[str, Any] = {
    "continuous_update": False, "style": {"description_width": "11.5em"},
    "layout": {"width": "100%"},
}


def folder_for(folder: Path, name: str, start: LoopConfig, config: LoopConfig) -> tuple[Path, str]:
    """The run folder for some settings, and a sentence if it is not folder/name.

    The folder's name gets a suffix for each setting that differs from `start`; if that folder holds
    a run with other settings, also one for each setting that differs from that run.
    """
    out = folder / (name + _differences(start, config))
    if (out / "config.json").exists():
        more = _differences(read_config(out / "config.json"), config)
        if more:
            other = folder / (out.name + more)
            return other, (
                f"{out} holds a run with other settings, so this run will be in {other}.")
    if out.name != name:
        return out, f"These settings make a new run. It will be in {out}."
    return out, ""


def _differences(one: LoopConfig, other: LoopConfig) -> str:
    """The settings that make two configs different runs, as a suffix: "-lambda0-seed1"."""
    parts = []
    for knob in _KNOBS:
        value = getattr(other, knob)
        if knob not in MAY_CHANGE and differs(knob, getattr(one, knob), value):
            parts.append(f"-{_SHORT.get(knob, knob.replace('_', '-'))}{_slug(value)}")
    return "".join(parts)


def _slug(value: Any) -> str:
    if value is None:
        return "-none"
    if isinstance(value, bool):
        return "-on" if value else "-off"
    if not isinstance(value, str):
        return f"{value:g}"
    plain = re.sub(r"[^\w.]+", "-", Path(value).name).strip("-.")[:24]
    if plain == value:
        return f"-{plain}"
    # Two paths may have the same last part: a digest tells them apart.
    return f"-{plain}-{hashlib.sha256(value.encode()).hexdigest()[:4]}"


class Settings:
    """Fields for the settings of the panel; settings without a field keep their value in `start`.

    Attributes:
        box: the widgets.
        fields: setting → its widget.
        key: the teacher's API key from the password box, kept in memory only; None: the key in
            the environment.
    """

    def __init__(self, start: LoopConfig, on_change: Callable[[], object]) -> None:
        self.start, self._on_change, self._quiet = start, on_change, False
        self.key: str | None = None
        self.fields = {knob: _field(knob, getattr(start, knob)) for knob in LABELS}
        self._key_box = w.Password(
            description="key", placeholder=_NO_KEY,
            tooltip="API key of the teacher, kept in memory only", **_LOOK)
        self._key_box.observe(self._take_key, "value")
        for field in self.fields.values():
            field.observe(lambda _: self._changed(), "value")
        first, rest = list(LABELS)[:3], list(LABELS)[3:]
        self._below = {knob: w.HTML() for knob in (*first, "key", *rest)}
        width = {"width": "22em", "max_width": "100%"}
        self._cells = {}
        for knob, below in self._below.items():
            field = self.fields.get(knob, self._key_box)
            self._cells[knob] = w.VBox([field, below], layout=w.Layout(**width))
        self.box = side_by_side(*self._cells.values())
        self._changed()

    def _take_key(self, change: dict[str, Any]) -> None:
        if change["new"]:
            self.key = change["new"].strip()
            # A widget's value can be saved with the notebook; the key must not be.
            self._key_box.value = ""
            self._key_box.placeholder = "kept in memory"
            self._changed()

    def reset(self) -> None:
        """Put all fields back to the config that the panel was made with."""
        self._quiet = True
        for knob, field in self.fields.items():
            value = getattr(self.start, knob)
            field.value = _as_text(value) if isinstance(field, w.Text | w.Combobox) else value
        self._quiet = False
        self.key, self._key_box.placeholder = None, _NO_KEY
        self._changed()

    def table(self) -> Table:
        """The settings with their meaning."""
        config, _ = self._unchecked()
        values = {knob: getattr(config, knob) for knob in LABELS}
        rows = [
            [LABELS[knob], value, _KNOBS[knob].metadata["help"]]
            for knob, value in values.items() if value not in ("", None)]
        return Table(["setting", "value", "meaning"], rows)

    def enable(self, on: bool) -> None:
        """Enable the fields, or disable them while a run is at work."""
        for field in (*self.fields.values(), self._key_box):
            field.disabled = not on

    def _changed(self) -> None:
        if self._quiet:
            return
        faults = self.faults()
        for knob, below in self._below.items():
            about = "API key of the teacher; empty: the key in the environment"
            if knob in _KNOBS:
                about = _KNOBS[knob].metadata["help"]
            line = say(about, "help")
            if knob in faults:
                line = say(html('<span role="alert">⚠ {}</span>', faults[knob]), "fault")
            # Unchanged text is not sent again, or screen readers would repeat it.
            if below.value != line:
                below.value = line
        paid = str(self.fields["teacher"].value).startswith("openai:")
        for knob in _OF_A_PAID_TEACHER:
            self._cells[knob].layout.display = None if paid or knob in faults else "none"
        self._on_change()

    def config(self) -> LoopConfig:
        """The settings in the fields.

        Raises:
            ConfigError: no run is possible with them.
        """
        for fault in self.faults().values():
            raise ConfigError(fault)
        return self._unchecked()[0]

    def faults(self) -> dict[str, str]:
        """Setting → what is wrong with it, found without using the network."""
        config, found = self._unchecked()
        if config.rounds == 0:
            found.setdefault("rounds", "rounds = 0: nothing would be trained. Enter 1 or more.")
        # check() stops at the first fault: note it, replace that setting, and check again.
        while True:
            try:
                config.check()
                break
            except ConfigError as error:
                knob = str(error).split()[0]
                if knob not in LABELS or knob in found:
                    break
                found[knob] = str(error)
                config = dataclasses.replace(config, **{knob: getattr(LoopConfig(), knob)})
        return {**in_sources(config), **in_teacher(config, self.key), **found}

    def _unchecked(self) -> tuple[LoopConfig, dict[str, str]]:
        """The settings as a config, and what is wrong with fields that cannot be read."""
        changes: dict[str, Any] = {}
        unread = {}
        for knob, field in self.fields.items():
            try:
                changes[knob] = _read(knob, field.value)
            except ValueError as error:
                unread[knob] = str(error)
        return dataclasses.replace(self.start, **changes), unread


def _field(knob: str, value: Any) -> Any:
    look = {"description": LABELS[knob], "tooltip": _KNOBS[knob].metadata["help"], **_LOOK}
    if _TYPES[knob] in (int, float):
        # Not IntText, which would cut 2.7 to 2 in the browser, without a word.
        return w.FloatText(value=value, step=1 if _TYPES[knob] is int else 0.1, **look)
    look |= {"value": _as_text(value), "placeholder": "none" if value is None else ""}
    if knob in CHOICES:
        return w.Combobox(options=CHOICES[knob], ensure_option=False, **look)
    return w.Text(**look)


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _read(knob: str, value: Any) -> Any:
    """A field's value as the config has it. Raises ValueError with a sentence."""
    if _TYPES[knob] is int:
        if not value.is_integer():
            raise ValueError(f"{knob} = {value:g}: must be a whole number.")
        return int(value)
    if isinstance(value, float):
        return round(value, 6)
    text = value.strip()
    if float in typing.get_args(_TYPES[knob]):  # a number or None
        try:
            return float(text) if text else None
        except ValueError:
            raise ValueError(f"{knob} = {text!r}: must be a number, or empty for none.") from None
    return text or (None if getattr(LoopConfig(), knob) is None else "")
