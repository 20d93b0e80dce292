"""Screenshots of two panels for the READMEs: .venv/bin/python tests/browser/pictures.py (a run of minutes)."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from lab import FLAGS, ROOT, Desk, browser_program, serve
from panels import LoopPanel
from playwright.sync_api import expect, sync_playwright

FIGURES = ROOT / "notebooks" / "figures"
PANEL = """from l2r_lite.app.panels import loop_panel
from l2r_lite.loop.config import LoopConfig

loop_panel(LoopConfig(rounds=3, limit=425, test_limit=204))"""
MISTAKES = """from l2r_lite.app.panels import mistake_browser

mistake_browser("runs/panel")"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as scratch, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_program(), headless=True, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1040})
        with serve(Path(folder), Path(scratch)) as lab:
            desk = Desk(lab, page)
            lab.write("panel.ipynb", [PANEL])
            desk.open("panel.ipynb")
            desk.run_all()
            panel = LoopPanel(desk)
            panel.click("Run")
            panel.expect_status(r"^Running: round 3 of 3 · training: [1-9]")
            page.screenshot(path=FIGURES / "loop-panel.png")
            panel.expect_status("^Finished")
            lab.write("mistakes.ipynb", [MISTAKES])
            desk.open("mistakes.ipynb")
            desk.run_all()
            mistakes = page.locator(".jp-OutputArea .l2r-panel")
            expect(mistakes).to_be_visible()
            mistakes.get_by_label("outcome").select_option("fixed")
            expect(mistakes.get_by_role("img", name=re.compile("fixed"))).to_be_visible()
            page.wait_for_timeout(1000)  # for the layout
            page.screenshot(path=FIGURES / "mistake-browser.png")
            lab.end_kernels()
        browser.close()


if __name__ == "__main__":
    main()
