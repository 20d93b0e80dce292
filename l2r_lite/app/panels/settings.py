"""The loop panel's fields: one for each knob, with its help, and with what is wrong beside it before a run is started."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as w

from l2r_lite.app.panels.base import say, side_by_side
from l2r_lite.data.problems import PROBLEM_NAMES
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError
from l2r_lite.runs.config_file import read_config
from l2r_lite.runs.run import MAY_CHANGE
from l2r_lite.runs.show import Table, safe
from l2r_lite.students.sources import SHORT_NAMES
from l2r_lite.teachers.cost import CostError, Price, price_of

LABELS = {
    "student": "student", "problems": "problems", "teacher": "teacher", "base_url": "teacher's address", "price": "price",
    "budget": "budget in US dollars", "rounds": "rounds", "samples": "samples a question",
    "reflection_weight": "reflection weight λ", "margin": "margin ρ", "replay": "replay", "seed": "seed",
}  # fmt: skip
CHOICES = {
    "student": tuple(SHORT_NAMES), "problems": PROBLEM_NAMES,
    "teacher": ("scripted", "recorded:FILE", "openai:gpt-4o-mini", "none"),
}  # fmt: skip
_SHORT = {"reflection_weight": "lambda", "margin": "rho"}
_OF_A_PAID_TEACHER = ("base_url", "price", "budget")
_KNOBS = {field.name: field for field in dataclasses.fields(LoopConfig)}
_TYPES = typing.get_type_hints(LoopConfig)


def folder_for(folder: Path, name: str, start: LoopConfig, config: LoopConfig) -> tuple[Path, str]:
    """The run folder of some settings, and a sentence where it is not the plain one.

    Named by what differs from the settings `start`; where another run lies there already, by what differs from it, too.
    """
    out = folder / (name + _differences(start, config))
    if (out / "config.json").exists() and (more := _differences(read_config(out / "config.json"), config)):
        return (other := folder / (out.name + more)), f"{out} holds a run with other settings, so this one goes into {other}."
    return out, f"These settings make a run of their own: it goes into {out}." if out.name != name else ""


def _differences(one: LoopConfig, other: LoopConfig) -> str:
    """What makes two configs different runs, short and fit for a folder's name: "-lambda0-seed1"."""
    parts = []
    for knob in _KNOBS:
        value = getattr(other, knob)
        if knob not in MAY_CHANGE and value != getattr(one, knob):
            parts.append(f"-{_SHORT.get(knob, knob.replace('_', '-'))}{_slug(value)}")
    return "".join(parts)


def _slug(value: Any) -> str:
    if not isinstance(value, str):
        return {True: "-on", False: "-off", None: "-none"}[value] if isinstance(value, bool | None) else f"{value:g}"
    plain = re.sub(r"[^\w.]+", "-", Path(value).name).strip("-.")[:24]
    # Two paths may end alike.
    return f"-{plain}" if plain == value else f"-{plain}-{hashlib.sha256(value.encode()).hexdigest()[:4]}"


class Settings:
    """Fields for the knobs that the panel turns; all others are as in the config that it was made with.

    Attributes:
        box: the widgets.  fields: knob → its widget.
        key: the teacher's key from the password box, in memory only; None takes the environment's.
    """

    def __init__(self, start: LoopConfig, on_change: Callable[[], object]) -> None:
        self.start, self._on_change, self._quiet = start, on_change, False
        self.key: str | None = None
        self.fields = {knob: _field(knob, getattr(start, knob)) for knob in LABELS}
        self._below = {knob: w.HTML() for knob in (*LABELS, "key")}
        self._key_box = w.Password(
            description="key", placeholder="not written anywhere", continuous_update=False, style=_STYLE, layout=_LAYOUT,
            tooltip="the teacher's key, kept in memory only",
        )  # fmt: skip
        self._key_box.observe(self._take_key, "value")
        self._cells = {
            knob: w.VBox([field, self._below[knob]], layout=w.Layout(width="22em", max_width="100%"))
            for knob, field in (*self.fields.items(), ("key", self._key_box))
        }
        for field in self.fields.values():
            field.observe(lambda _: self._changed(), "value")
        order = [*list(LABELS)[:3], "key", *list(LABELS)[3:]]
        self.box = side_by_side(*(self._cells[knob] for knob in order))
        self._changed()

    def _take_key(self, change: dict[str, Any]) -> None:
        if change["new"]:
            self.key = change["new"].strip()
            self._key_box.value = ""  # a widget's value can be saved with the notebook; the key must not be
            self._key_box.placeholder = "kept in memory"
            self._changed()

    def reset(self) -> None:
        """Back to the config that the panel was made with."""
        self.set(self.start)
        self.key, self._key_box.placeholder = None, "not written anywhere"
        self._changed()

    def set(self, config: LoopConfig) -> None:
        """Put a config's values into the fields."""
        self._quiet = True
        for knob, field in self.fields.items():
            value = getattr(config, knob)
            field.value = _as_text(value) if isinstance(field, w.Text | w.Combobox) else value
        self._quiet = False
        self._changed()

    def table(self) -> Table:
        """The settings with their meaning."""
        rows = [[LABELS[knob], self.fields[knob].value, _KNOBS[knob].metadata["help"]] for knob in LABELS]
        return Table(["setting", "value", "meaning"], [row for row in rows if row[1] != ""])

    def enable(self, on: bool) -> None:
        """Let the fields be changed, or not while a run is at work."""
        for field in (*self.fields.values(), self._key_box):
            field.disabled = not on

    def _changed(self) -> None:
        if self._quiet:
            return
        faults = self.faults()
        for knob, below in self._below.items():
            help_text = _KNOBS[knob].metadata["help"] if knob in _KNOBS else "the teacher's; empty: that of the environment"
            told = say(safe(help_text), "help")
            if knob in faults:
                told = say(f'<span role="alert">⚠ {safe(faults[knob])}</span>', "fault")
            if below.value != told:
                below.value = told
        paid = str(self.fields["teacher"].value).startswith("openai:")
        for knob in (*_OF_A_PAID_TEACHER, "key"):
            self._cells[knob].layout.display = None if paid or knob in faults else "none"
        self._on_change()

    def config(self) -> LoopConfig:
        """The settings as they stand.

        Raises:
            ConfigError: they cannot be run.
        """
        for fault in self.faults().values():
            raise ConfigError(fault)
        return self._config()[0]

    def faults(self) -> dict[str, str]:
        """Knob → what is wrong with it. Looks at this machine only: files, folders, the environment."""
        config, found = self._config()
        while True:  # a check ends at its first fault: note it, put that knob right, and check again
            try:
                config.check()
                break
            except ConfigError as error:
                knob = str(error).split()[0]
                if knob not in LABELS or knob in found:
                    break
                found[knob] = str(error)
                config = dataclasses.replace(config, **{knob: getattr(LoopConfig(), knob)})
        return {**_of_sources(config), **_of_teacher(config, self.key), **found}

    def _config(self) -> tuple[LoopConfig, dict[str, str]]:
        """The settings as a config, not checked, and the fields that hold no value at all."""
        changes: dict[str, Any] = {}
        unread = {}
        for knob, field in self.fields.items():
            try:
                changes[knob] = _read(knob, field.value)
            except ValueError:
                unread[knob] = f"{knob} = {field.value!r}: must be a number, or empty for none"
        return dataclasses.replace(self.start, **changes), unread


_STYLE = {"description_width": "10.5em"}
_LAYOUT = {"width": "100%"}


def _field(knob: str, value: Any) -> Any:
    kind = {int: w.IntText, float: w.FloatText}.get(_TYPES[knob], w.Combobox if knob in CHOICES else w.Text)
    more: dict[str, Any] = {"value": _as_text(value) if kind in (w.Text, w.Combobox) else value}
    if kind is w.Combobox:
        more |= {"options": CHOICES[knob], "ensure_option": False}
    if kind is w.FloatText:
        more["step"] = 0.1
    if kind in (w.Text, w.Combobox):
        more["placeholder"] = "none" if value is None else ""
    return kind(description=LABELS[knob], tooltip=_KNOBS[knob].metadata["help"], continuous_update=False, style=_STYLE,
                layout=_LAYOUT, **more)  # fmt: skip


def _as_text(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _read(knob: str, value: Any) -> Any:
    if not isinstance(value, str):
        return round(value, 6) if isinstance(value, float) else value
    text = value.strip()
    if float in typing.get_args(_TYPES[knob]):
        return float(text) if text else None
    return text or (None if getattr(LoopConfig(), knob) is None else "")


def _there(name: str, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(Path(name).expanduser())
    except (OSError, ValueError, RuntimeError):  # too long, with a NUL, the home of nobody
        return False


def _of_sources(config: LoopConfig) -> dict[str, str]:
    """What can be said of a student and of problems without loading them."""
    found = {}
    a_path = Path(config.student).is_absolute() or config.student.startswith((".", "~"))
    if not config.student or (a_path and not _there(config.student, Path.is_dir)):
        found["student"] = f'student "{config.student}": there is no such folder; known are {", ".join(SHORT_NAMES)}.'
    if config.problems not in PROBLEM_NAMES and not _there(config.problems, Path.is_file):
        found["problems"] = f'problems "{config.problems}": no such file, and known are {", ".join(PROBLEM_NAMES)}.'
    return found


def _of_teacher(config: LoopConfig, key: str | None) -> dict[str, str]:
    """What can be said of a teacher without asking it."""
    kind, _, rest = config.teacher.partition(":")
    if config.teacher in ("scripted", "none"):
        return {}
    if kind == "recorded" and rest:
        if not _there(rest, Path.is_file):
            return {"teacher": f'teacher "{config.teacher}": there is no such file; it holds what an LLM wrote.'}
        return {}
    if kind != "openai" or not rest:
        return {"teacher": f'teacher "{config.teacher}": known are scripted, recorded:FILE, openai:MODEL and none.'}
    found = {}
    kept = config.teacher_cache and _there(config.teacher_cache, Path.is_file)
    if not (config.base_url or key or os.environ.get("OPENAI_API_KEY") or kept):
        found["key"] = "OpenAI asks for a key: type it here, or set OPENAI_API_KEY before Jupyter is started."
    try:
        known = Price.parse(config.price) if config.price else price_of(rest) if config.base_url is None else None
        if config.budget is not None and known is None:
            found["price"] = f"the price of {rest} is not known, and a budget needs it: as INPUT,OUTPUT, e.g. 0.15,0.60."
    except CostError as error:
        found["price"] = str(error)
    return found
