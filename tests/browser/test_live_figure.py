"""The long cell of notebook 00: how far the run is can be seen without scrolling."""

from __future__ import annotations

import pytest
from lab import Desk
from playwright.sync_api import expect

pytestmark = pytest.mark.slow

BEFORE = "# text above\n" * 30
CELL = """
import time
from l2r_lite.app.panels import LiveFigure
from l2r_lite.loop.stages import Progress

config = "a cell of ten lines"

with LiveFigure(rounds=3) as live:
    live.progress(Progress(1, "exam", 40, 850))
    while True:
        time.sleep(1)
"""
AFTER = ["# what the figure shows\n\n", "# text below\n" * 40]


def test_bar_and_figure_are_in_view_after_a_cell_is_run_with_shift_enter(desk: Desk) -> None:
    name = desk.lab.write("live-figure.ipynb", [BEFORE, CELL.strip(), *AFTER])
    desk.open(name)
    cells = "jupyterapp.shell.currentWidget.content"
    desk.page.evaluate(f"{cells}.activeCellIndex = 0; {cells}.activate()")
    desk.page.keyboard.press("Escape")
    desk.page.keyboard.press("Shift+Enter")
    desk.page.keyboard.press("Shift+Enter")
    bar = desk.page.locator(".l2r-live progress")
    expect(bar).to_have_attribute("value", "40")
    expect(bar).to_be_in_viewport(ratio=1)
    expect(desk.page.locator(".jp-OutputArea-output img")).to_be_in_viewport(ratio=0.95)
    desk.shot("live-figure")
