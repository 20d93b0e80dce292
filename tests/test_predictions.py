"""Predictions: each is asked once in its notebook, explains every option, and is recorded once."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import nbformat
import pytest

from l2r_course.checks import notes, progress
from l2r_course.predictions import all_questions, as_html, predict
from run_notebooks import NOTEBOOKS

NUMBERS = list(all_questions())


@pytest.fixture(autouse=True)
def own_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2R_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setattr(notes, "_solved", set())
    monkeypatch.setattr(notes, "_predicted", {})


def test_every_prediction_is_asked_once_in_its_own_notebook() -> None:
    asked = []
    for file in NOTEBOOKS.glob("*.ipynb"):
        code = [c.source for c in nbformat.read(file, as_version=4).cells if c.cell_type == "code"]
        here = re.findall(r'predict\("([^"]+)"\)', "\n".join(code))
        assert all(number.startswith(file.name[:2]) for number in here), file.name
        asked += here
    assert Counter(asked) == Counter(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
def test_every_option_is_explained_and_one_is_right(number: str) -> None:
    question = all_questions()[number]
    assert len(question.options) >= 2 and question.options.keys() == question.why.keys()
    assert question.right in question.options
    assert len(set(question.options.values())) == len(question.options)
    assert all(len(why) > 20 for why in question.why.values())


def test_a_click_explains_the_option_and_the_first_one_is_noted() -> None:
    number = NUMBERS[0]
    asked = predict(number)
    wrong = next(letter for letter in asked.asked.options if letter != asked.asked.right)
    asked.buttons[wrong].click()
    assert "✗" in asked.verdict.value and as_html(asked.asked.why[wrong]) in asked.verdict.value
    asked.buttons[asked.asked.right].click()
    assert "✓" in asked.verdict.value
    assert notes.predicted() == {number: wrong}
    assert progress(number[:2]).rows[-1][1].startswith("1 of ")


def test_a_page_without_a_kernel_shows_options_and_folded_explanations() -> None:
    shown = predict(NUMBERS[0])._repr_mimebundle_()
    assert shown["text/html"].count("<details>") == len(predict(NUMBERS[0]).asked.options)
    assert "application/vnd.jupyter.widget-view+json" in shown


def test_text_is_plain_but_for_code_and_emphasis() -> None:
    assert as_html("<b> `x<1` is *so*") == "&lt;b&gt; <code>x&lt;1</code> is <i>so</i>"


def test_an_unknown_prediction_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="no prediction '99.z'"):
        predict("99.z")
