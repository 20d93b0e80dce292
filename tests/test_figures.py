"""Figures for every reader: text with enough contrast, and alternative text."""

from __future__ import annotations

import functools
import inspect
import re
from pathlib import Path

import matplotlib
import nbformat
import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from nbformat.v4 import new_code_cell, new_notebook

from drawn_figures import DRAWN
from l2r_course import figures
from l2r_lite.app.figures.base import COLOURS, new_figure, style
from l2r_lite.app.figures.readable import ENOUGH, LONGEST, alt_text, contrast, describe, text_on
from l2r_lite.app.panels.base import LOOK
from run_notebooks import run_notebook

COMMITTED = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@functools.cache
def drawn(name: str) -> Figure:
    return DRAWN[name]()


def test_every_figure_function_of_the_course_is_in_these_tests() -> None:
    functions = {
        name for name, value in vars(figures).items()
        if inspect.isfunction(value) and str(inspect.signature(value).return_annotation).endswith(("Figure", "Figure'>"))
    }  # fmt: skip
    assert set(DRAWN) == functions


# --- contrast ---


def faint(figure: Figure) -> list[str]:
    """Texts whose contrast with more than a quarter of the pixels behind them is below 4.5."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    looks = [(t.get_text(), to_rgb(t.get_color()), t.get_alpha(), t.get_window_extent()) for t in texts]
    for text in texts:
        text.set_color("none")  # its box, if it has one, stays
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3] / 255
    height, width = pixels.shape[:2]
    found = []
    for text, colour, alpha, box in looks:
        rows = slice(max(round(height - box.y1), 0), max(round(height - box.y0), 0))
        behind = pixels[rows, max(round(box.x0), 0) : min(max(round(box.x1), 0), width)]
        if not behind.size:
            continue  # outside the figure, as the labels of ticks beyond an axis are
        ink = np.array(colour) * (alpha or 1) + behind * (1 - (alpha or 1))
        ratio = wcag(ink, behind)
        if (ratio < ENOUGH).mean() > 0.25:
            found.append(f"{np.median(ratio):.1f}: {text!r}")
    return found


def wcag(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Contrast of two arrays of colours (…, 3) in [0, 1], computed apart from the library's own function."""
    light = [
        np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ np.array([0.2126, 0.7152, 0.0722]) + 0.05
        for c in (one, other)
    ]  # fmt: skip
    return np.maximum(*light) / np.minimum(*light)


@pytest.mark.parametrize("name", DRAWN)
def test_all_text_of_a_figure_stands_out_from_what_is_behind_it(name: str) -> None:
    assert faint(drawn(name)) == []


def test_the_contrast_test_sees_orange_on_white_and_white_on_orange() -> None:
    plain = Figure()  # not a Picture, which darkens the palette's colours
    plain.text(0.2, 0.5, "orange", color="#E69F00")
    axes = plain.add_axes((0.5, 0.2, 0.4, 0.4), facecolor="#E69F00")
    axes.text(0.5, 0.5, "white", color="white")
    assert sorted(faint(plain)) == ["2.3: 'orange'", "2.3: 'white'"]


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("black", "white") == pytest.approx(21)
    assert contrast("#E69F00", "white") == pytest.approx(2.25, abs=0.01)
    assert contrast("#767676", "#777777") == pytest.approx(1, abs=0.02)


def test_text_on_a_mark_and_text_in_its_colour_are_readable() -> None:
    for colour in [*COLOURS, "#56B4E9", "#F0E442"]:
        assert contrast(text_on(colour), colour) >= ENOUGH
        with style():
            figure = new_figure(2, 2)
            text = figure.text(0.5, 0.5, "a", color=colour)
        figure._repr_png_()
        assert contrast(matplotlib.colors.to_hex(text.get_color()), "white") >= ENOUGH
        assert contrast(matplotlib.colors.to_hex(text.get_color()), "#f4f4f4") >= ENOUGH


def test_fallback_colours_of_panels_stand_out_from_a_white_page() -> None:
    fallbacks = re.findall(r"[;{ ]color: var\(--jp-[\w-]+, (#\w+)\)", LOOK)
    assert len(fallbacks) >= 3
    assert [c for c in fallbacks if contrast(c, "white") < ENOUGH] == []
    colours = set(re.findall(r"(?<!, )#[0-9a-f]{3,6}\b", LOOK))
    assert not colours, "a colour without a variable does not follow JupyterLab's theme"


# --- alternative text ---


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_says_in_words_what_it_shows(name: str) -> None:
    words = alt_text(drawn(name))
    assert 40 <= len(words) <= LONGEST and "\n" not in words
    titles = [drawn(name).get_suptitle(), *(a.get_title(loc="left") or a.get_title() for a in drawn(name).axes)]
    first = next(" ".join(t.split()) for t in titles if t.strip()) if any(t.strip() for t in titles) else ""
    assert words.startswith(first[:60])


def test_a_figure_brings_its_words_to_every_kind_of_page() -> None:
    with style():
        figure = new_figure(3, 2)
        figure.subplots().set(title="Skills <b>", ylabel="count")
    data, about = DisplayFormatter().format(figure)
    assert about["image/png"] == {"alt": "Skills <b>. Vertical: count"}  # nbconvert, and what a notebook keeps
    assert 'alt="Skills &lt;b&gt;. Vertical: count"' in data["text/html"]  # JupyterLab
    assert data["text/plain"] == "Figure: Skills <b>. Vertical: count"  # MyST and terminals
    describe(figure, "All are equal")
    assert alt_text(figure) == "Skills <b>. All are equal"


def test_an_executed_notebook_keeps_each_figure_as_one_picture_with_its_words(tmp_path: Path) -> None:
    draw = "from l2r_course import figures\nfigure = figures.round_diagram()\nfigure"
    live = "from IPython.display import display\nhandle = display(figure, display_id=True)\nhandle.update(figure)"
    nbformat.write(new_notebook(cells=[new_code_cell(draw), new_code_cell(live)]), tmp_path / "small.ipynb")
    cells = run_notebook(tmp_path / "small.ipynb", tmp_path).cells
    for cell in cells:
        (output,) = cell.outputs
        assert set(output.data) == {"image/png", "text/plain"}
        assert output.metadata["image/png"]["alt"].startswith("One round of tailored learning")


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: file.stem[:2])
def test_every_picture_of_a_committed_notebook_has_words(file: Path) -> None:
    for cell in nbformat.read(file, as_version=4).cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                assert len(output.metadata.get("image/png", {}).get("alt", "")) >= 20, cell.source[:80]
            assert not re.search(r"<img(?![^>]* alt=.)", output.get("data", {}).get("text/html", "")), cell.source[:80]
