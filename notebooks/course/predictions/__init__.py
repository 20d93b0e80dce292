"""Predictions: choose what a cell will show before running it, and read why.

The questions are in NN.toml beside this file, one file per notebook.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import ipywidgets as w
from markupsafe import Markup

from l2r_course.checks import notes
from l2r_lite.app.panels.base import alive, stack
from l2r_lite.runs.show import html, join

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Question:
    """One prediction.

    Attributes:
        number: notebook and letter, "04.a".
        options: letter → what may be chosen.
        right: the letter of the right option.
        why: letter → why this option is right, or what speaks against it.
    """

    number: str
    question: str
    options: dict[str, str]
    right: str
    why: dict[str, str]


@cache
def all_questions() -> dict[str, Question]:
    """Every prediction of the course by its number, in the course's order."""
    found = {}
    for file in sorted(FOLDER.glob("*.toml")):
        for letter, entry in tomllib.loads(file.read_text(encoding="utf-8")).items():
            number = f"{file.stem}.{letter}"
            found[number] = Question(number, **entry)
    return found


class predict:  # noqa: N801 - used like a function
    """A question with a button for each option; a click explains the option and notes the choice.

    Args:
        number: notebook and letter, as in "04.a".

    Raises:
        ValueError: there is no such prediction.
    """

    def __init__(self, number: str) -> None:
        if number not in all_questions():
            raise ValueError(f"no prediction {number!r}; there are {', '.join(all_questions())}")
        self.asked = all_questions()[number]
        self.verdict = w.HTML()
        self.buttons = {letter: self._button(letter) for letter in self.asked.options}
        beside = w.Layout(align_items="center", grid_gap="8px")
        rows = [
            w.HBox([self.buttons[letter], w.HTML(as_html(option))], layout=beside)
            for letter, option in self.asked.options.items()]
        question = w.HTML(html("<b>Predict.</b> {}", as_html(self.asked.question)))
        self.panel = stack(question, *rows, self.verdict)

    def choose(self, letter: str) -> None:
        """What a click does: note the choice, and explain it."""
        notes.note_prediction(self.asked.number, letter)
        is_right = letter == self.asked.right
        verdict = f"✓ ({letter}) is right." if is_right else f"✗ Not ({letter})."
        self.verdict.value = html("<b>{}</b> {}", verdict, as_html(self.asked.why[letter]))
        for other, button in self.buttons.items():
            button.button_style = "info" if other == letter else ""

    def _button(self, letter: str) -> w.Button:
        button = w.Button(
            description=letter, tooltip=f"choose ({letter})", layout=w.Layout(width="44px"))
        button.on_click(lambda _: self.choose(letter))
        return button

    def _repr_html_(self) -> Markup:
        """What a page without a kernel shows: the options, each with its explanation folded."""
        rows = join(
            html("<details><summary>({}) {}</summary>{} {}</details>", letter, as_html(option),
                 "✓" if letter == self.asked.right else "✗", as_html(self.asked.why[letter]))
            for letter, option in self.asked.options.items())
        question = as_html(self.asked.question)
        return html("<div><p><b>Predict.</b> {}</p>{}</div>", question, rows)

    def __repr__(self) -> str:
        options = "".join(f"\n  ({k}) {text}" for k, text in self.asked.options.items())
        return f"Predict. {' '.join(self.asked.question.split())}{options}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            **alive(self.panel), "text/html": self._repr_html_(), "text/plain": repr(self)}


def as_html(text: str) -> Markup:
    """A sentence as HTML: `code` and *emphasis* are marked, everything else is plain text."""
    return join(map(_marked, re.split(r"(`[^`]+`|\*[^*]+\*)", " ".join(text.split()))))


def _marked(piece: str) -> Markup:
    if len(piece) > 2 and piece[0] == piece[-1] == "`":
        return html("<code>{}</code>", piece[1:-1])
    if len(piece) > 2 and piece[0] == piece[-1] == "*":
        return html("<i>{}</i>", piece[1:-1])
    return html("{}", piece)
