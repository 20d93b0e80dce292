"""The loop panel's fields: one per setting, with its help and, before a run, what is wrong."""

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
from l2r_lite.runs.same_run import MAY_CHANGE
from l2r_lite.runs.show import Table, safe
from l2r_lite.students.sources import SHORT_NAMES
from l2r_lite.teachers.cost import CostError, Price, price_of

LABELS = {
    "student": "student", "problems": "problems", "teacher": "teacher",
    "base_url": "teacher's address", "price": "price", "budget": "budget in US dollars",
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
_NO_KEY = "not written anywhere"
_LOOK: dict[str, Any] = {
    "continuous_update": False, "style": {"description_width": "11.5em"},
    "layout": {"width": "100%"},
}


def folder_for(folder: Path, name: str, start: LoopConfig, config: LoopConfig) -> tuple[Path, str]:
    """The run folder for some settings, and a sentence where it is not the plain one.

    It is named by what differs from the settings `start`; where another run lies there already,
    by what differs from that one, too.
    """
    out = folder / (name + _differences(start, config))
    if (out / "config.json").exists():
        more = _differences(read_config(out / "config.json"), config)
        if more:
            other = folder / (out.name + more)
            return other, (
                f"{out} holds a run with other settings, so this one goes into {other}.")
    if out.name != name:
        return out, f"These settings make a run of their own: it goes into {out}."
    return out, ""


def _differences(one: LoopConfig, other: LoopConfig) -> str:
    """What makes two configs different runs, as part of a folder's name: "-lambda0-seed1"."""
    parts = []
    for knob in _KNOBS:
        value = getattr(other, knob)
        if knob not in MAY_CHANGE and value != getattr(one, knob):
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
    # Two paths may end alike: a digest tells them apart.
    return f"-{plain}-{hashlib.sha256(value.encode()).hexdigest()[:4]}"


class Settings:
    """Fields for the settings of the panel; all others are those of the config `start`.

    Attributes:
        box: the widgets.
        fields: setting → its widget.
        key: the teacher's key from the password box, kept in memory only; None takes the
            environment's.
    """

    def __init__(self, start: LoopConfig, on_change: Callable[[], object]) -> None:
        self.start, self._on_change, self._quiet = start, on_change, False
        self.key: str | None = None
        self.fields = {knob: _field(knob, getattr(start, knob)) for knob in LABELS}
        self._key_box = w.Password(
            description="key", placeholder=_NO_KEY,
            tooltip="the teacher's key, kept in memory only", **_LOOK)
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
        """Back to the config that the panel was made with."""
        self._quiet = True
        for knob, field in self.fields.items():
            value = getattr(self.start, knob)
            field.value = _as_text(value) if isinstance(field, w.Text | w.Combobox) else value
        self._quiet = False
        self.key, self._key_box.placeholder = None, _NO_KEY
        self._changed()

    def table(self) -> Table:
        """The settings with their meaning."""
        values = {knob: self.fields[knob].value for knob in LABELS}
        rows = [
            [LABELS[knob], value, _KNOBS[knob].metadata["help"]]
            for knob, value in values.items() if value != ""]
        return Table(["setting", "value", "meaning"], rows)

    def enable(self, on: bool) -> None:
        """Let the fields be changed, or not while a run is at work."""
        for field in (*self.fields.values(), self._key_box):
            field.disabled = not on

    def _changed(self) -> None:
        if self._quiet:
            return
        faults = self.faults()
        for knob, below in self._below.items():
            about = "the teacher's; empty: that of the environment"
            if knob in _KNOBS:
                about = _KNOBS[knob].metadata["help"]
            line = say(safe(about), "help")
            if knob in faults:
                line = say(f'<span role="alert">⚠ {safe(faults[knob])}</span>', "fault")
            # Unchanged text is not sent again: screen readers would say it again.
            if below.value != line:
                below.value = line
        paid = str(self.fields["teacher"].value).startswith("openai:")
        for knob in _OF_A_PAID_TEACHER:
            self._cells[knob].layout.display = None if paid or knob in faults else "none"
        self._on_change()

    def config(self) -> LoopConfig:
        """The settings as they stand.

        Raises:
            ConfigError: they cannot be run.
        """
        for fault in self.faults().values():
            raise ConfigError(fault)
        return self._unchecked()[0]

    def faults(self) -> dict[str, str]:
        """Setting → what is wrong with it, as far as this machine can tell without the network."""
        config, found = self._unchecked()
        # A check ends at its first fault: note it, replace that setting, and check again.
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
        return {**_of_sources(config), **_of_teacher(config, self.key), **found}

    def _unchecked(self) -> tuple[LoopConfig, dict[str, str]]:
        """The settings as a config, and the faults of fields that cannot be read."""
        changes: dict[str, Any] = {}
        unread = {}
        for knob, field in self.fields.items():
            try:
                changes[knob] = _read(knob, field.value)
            except ValueError:
                unread[knob] = f"{knob} = {field.value!r}: must be a number, or empty for none"
        return dataclasses.replace(self.start, **changes), unread


def _field(knob: str, value: Any) -> Any:
    look = {"description": LABELS[knob], "tooltip": _KNOBS[knob].metadata["help"], **_LOOK}
    if _TYPES[knob] is int:
        return w.IntText(value=value, **look)
    if _TYPES[knob] is float:
        return w.FloatText(value=value, step=0.1, **look)
    look |= {"value": _as_text(value), "placeholder": "none" if value is None else ""}
    if knob in CHOICES:
        return w.Combobox(options=CHOICES[knob], ensure_option=False, **look)
    return w.Text(**look)


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _read(knob: str, value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if not isinstance(value, str):
        return value
    text = value.strip()
    if float in typing.get_args(_TYPES[knob]):  # a number or None
        return float(text) if text else None
    return text or (None if getattr(LoopConfig(), knob) is None else "")


def _exists(name: str, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(Path(name).expanduser())
    except (OSError, ValueError, RuntimeError):  # too long, with a NUL, the home of nobody
        return False


def _of_sources(config: LoopConfig) -> dict[str, str]:
    """What is wrong with student and problems, without loading them."""
    found, student, problems = {}, config.student, config.problems
    a_path = Path(student).is_absolute() or student.startswith((".", "~"))
    if not student or (a_path and not _exists(student, Path.is_dir)):
        known = ", ".join(SHORT_NAMES)
        found["student"] = f'student "{student}": there is no such folder; known are {known}.'
    if problems not in PROBLEM_NAMES and not _exists(problems, Path.is_file):
        known = ", ".join(PROBLEM_NAMES)
        found["problems"] = f'problems "{problems}": no such file, and known are {known}.'
    return found


def _of_teacher(config: LoopConfig, key: str | None) -> dict[str, str]:
    """What is wrong with the teacher, without asking it."""
    teacher = config.teacher
    kind, _, rest = teacher.partition(":")
    if teacher in ("scripted", "none"):
        return {}
    if kind == "recorded" and rest:
        if _exists(rest, Path.is_file):
            return {}
        return {
            "teacher": f'teacher "{teacher}": there is no such file; it holds what an LLM wrote.'}
    if kind != "openai" or not rest:
        known = "scripted, recorded:FILE, openai:MODEL and none"
        return {"teacher": f'teacher "{teacher}": known are {known}.'}
    found = {}
    kept = config.teacher_cache and _exists(config.teacher_cache, Path.is_file)
    if not (config.base_url or key or os.environ.get("OPENAI_API_KEY") or kept):
        found["key"] = (
            "OpenAI asks for a key: type it here, or set OPENAI_API_KEY before Jupyter is started.")
    try:
        price = None
        if config.price:
            price = Price.parse(config.price)
        elif config.base_url is None:
            price = price_of(rest)
        if config.budget is not None and price is None:
            found["price"] = (
                f"the price of {rest} is not known, and a budget needs it: as INPUT,OUTPUT, e.g. "
                "0.15,0.60.")
    except CostError as error:
        found["price"] = str(error)
    return found
