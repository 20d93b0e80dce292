"""Screenshots of two panels for the READMEs: .venv/bin/python tests/browser/pictures.py (a run of minutes)."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from lab import FLAGS, ROOT, Desk, browser_program, serve
from panels import LoopPanel
from playwright.sync_api import expect, sync_playwright

FIGURES = ROOT / "notebooks" / "figures"
CELLS = [
    """from l2r_lite.app.panels import loop_panel, mistake_browser
from l2r_lite.loop.config import LoopConfig

loop_panel(LoopConfig(rounds=3, limit=425, test_limit=204))""",
    'mistake_browser("runs/panel")',
]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as scratch, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_program(), headless=True, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1040})
        with serve(Path(folder), Path(scratch)) as lab:
            desk = Desk(lab, page)
            lab.write("panel.ipynb", CELLS)
            desk.open("panel.ipynb")
            run_cell(desk, 0)
            panel = LoopPanel(desk)
            panel.click("Run")
            panel.expect_status(r"^Running: round 3 of 3 · training: [1-9]")
            page.screenshot(path=FIGURES / "loop-panel.png")
            panel.expect_status("^Finished")
            run_cell(desk, 1)
            mistakes = page.locator(".jp-OutputArea .l2r-panel").nth(1)
            expect(mistakes).to_be_visible()
            mistakes.get_by_label("outcome").select_option("fixed")
            expect(mistakes.get_by_role("img", name=re.compile("fixed"))).to_be_visible()
            page.evaluate("jupyterapp.shell.currentWidget.content.scrollToItem(1, 'start')")
            page.wait_for_timeout(1000)
            page.screenshot(path=FIGURES / "mistake-browser.png")
            lab.end_kernels()
        browser.close()


def run_cell(desk: Desk, number: int) -> None:
    desk.page.evaluate("n => { jupyterapp.shell.currentWidget.content.activeCellIndex = n; }", number)
    desk.page.evaluate("jupyterapp.commands.execute('notebook:run-cell')")
    desk.page.wait_for_function(
        "n => jupyterapp.shell.currentWidget.content.widgets[n].model.executionState === 'idle'"
        " && jupyterapp.shell.currentWidget.content.widgets[n].model.executionCount > 0",
        arg=number,
    )


if __name__ == "__main__":
    main()
