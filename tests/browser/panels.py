"""What a user does with a panel in a page: its fields and buttons by their names, and how long they take."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from lab import Desk
from playwright.sync_api import Locator, expect

# A run of seconds: its accuracy means nothing, its parts are all there.
SMALL = "limit=40, validation_limit=12, test_limit=24, samples=1, epochs=1"
SETUP = f"""from l2r_lite.loop.config import LoopConfig
from l2r_lite.app.panels import *
config = LoopConfig(rounds=1, {SMALL})"""

# Milliseconds in the page's own clock, so that neither Playwright nor this process is in them.
WATCH = """(panel, what) => {
  window.l2rTimes = {};
  const button = [...panel.querySelectorAll('button')].find(b => b.textContent.trim() === what.button);
  button.addEventListener('click', () => {
    const began = performance.now();
    const before = panel.querySelector('img')?.src;
    const watcher = new MutationObserver(() => {
      const image = panel.querySelector('img')?.src;
      const text = panel.querySelector('[role=status]')?.textContent || '';
      if (what.until === 'redraw' ? image && image !== before : text.startsWith(what.until)) {
        window.l2rTimes[what.button] = performance.now() - began;
        watcher.disconnect();
      }
    });
    watcher.observe(panel, {subtree: true, childList: true, attributes: true, characterData: true});
  }, {once: true, capture: true});
}"""


class LoopPanel:
    """A loop panel in a page, the n-th of its notebook."""

    def __init__(self, desk: Desk, number: int = 0) -> None:
        self.desk, self.box = desk, desk.page.locator(".jp-OutputArea .l2r-panel").nth(number)
        expect(self.box.or_(desk.cell_errors()).first).to_be_visible()
        desk.expect_no_cell_failed()
        expect(self.button("Run")).to_be_visible()

    def button(self, name: str) -> Locator:
        # The icon's private-use character stands before the word.
        return self.box.get_by_role("button", name=re.compile(rf"(^|\W){name}$"))

    def set(self, label: str, value: object) -> None:
        """Type a value into a field, and leave it."""
        field = self.box.get_by_label(label, exact=True)
        field.fill(str(value))
        field.press("Tab")

    def click(self, name: str) -> None:
        expect(self.button(name)).to_be_enabled()
        self.button(name).click()

    def expect_status(self, pattern: str) -> None:
        expect(self.box.get_by_role("status").first).to_have_text(re.compile(pattern))

    def click_and_time(self, name: str, until: str) -> float:
        """Click, and seconds until the status begins with `until`, or, for "redraw", until a figure is drawn."""
        expect(self.button(name)).to_be_enabled()
        self.box.evaluate(WATCH, {"button": name, "until": until})
        self.button(name).click()
        times = self.desk.page.wait_for_function("name => window.l2rTimes[name]", arg=name)
        return float(times.json_value()) / 1000


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


def file_times(folder: Path) -> dict[str, int]:
    return {str(f.relative_to(folder)): f.stat().st_mtime_ns for f in sorted(folder.rglob("*")) if f.is_file()}
