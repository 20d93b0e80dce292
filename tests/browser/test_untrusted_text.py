"""Whatever a data set, a student or a teacher says is shown as text: it raises no dialog and adds no element."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus import HOSTILE
from lab import Desk
from panels import LoopPanel
from playwright.sync_api import Locator, expect

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
CELLS = [
    f"""import sys
from pathlib import Path
sys.path.insert(0, {str(HERE)!r})
import hostile_run
from corpus import HOSTILE
from l2r_lite.app.panels import *
one = hostile_run.make(Path("runs"))""",
    'loop_panel(one, name="hostile-one")',
    'mistake_browser("runs/hostile-one")',
    'compare_panel(["runs/hostile-one", "runs/hostile-two"], [HOSTILE["image"], HOSTILE["mathjax"]], after=1)',
]
# Elements that the panels themselves have; an image is one that we drew, and nothing has an event handler or a link.
INTRUDERS = """panel => [...panel.querySelectorAll('*')].filter(e =>
  !/^(DIV|SPAN|LABEL|INPUT|SELECT|OPTION|DATALIST|BUTTON|I|IMG|PROGRESS|TABLE|THEAD|TBODY|TR|TH|TD|BR|EM|MARK|STYLE|DETAILS|SUMMARY)$/
    .test(e.tagName)
  || (e.tagName === 'IMG' && !e.src.startsWith('data:image/png;base64,'))
  || (e.tagName === 'STYLE' && !e.textContent.includes('.l2r-panel'))
  || e.getAttributeNames().some(name => name.startsWith('on') || name === 'href' || name === 'srcdoc')
  || e.className.toString().includes('MathJax')
).map(e => e.outerHTML.slice(0, 120))"""
WIDER = "panel => panel.closest('.jp-OutputArea').scrollWidth - panel.closest('.jp-OutputArea').clientWidth"


def expect_untouched(desk: Desk, panel: Locator) -> None:
    assert panel.evaluate(INTRUDERS) == []
    assert panel.evaluate(WIDER) <= 1
    assert desk.page.evaluate("window.obeyed") is None
    assert desk.dialogs == []
    assert desk.foreign == []


def test_hostile_text_changes_nothing_in_the_page(desk: Desk) -> None:
    desk.lab.write("hostile.ipynb", CELLS)
    desk.open("hostile.ipynb")
    desk.run_all()
    loop = LoopPanel(desk)
    panels = desk.page.locator(".jp-OutputArea .l2r-panel")
    expect(panels).to_have_count(3)
    loop.set("problems", HOSTILE["image"])
    expect(loop.box.locator(".l2r-fault").first).to_contain_text("onerror")
    expect_untouched(desk, loop.box)
    loop.box.screenshot(path=desk.shots / "hostile-loop-panel.png")

    browser = panels.nth(1)
    expect(browser.get_by_role("status")).to_contain_text(f"{len(HOSTILE)} of {len(HOSTILE)}")
    entries = browser.get_by_label("mistakes")
    for number, (kind, text) in enumerate(HOSTILE.items()):
        entries.select_option(index=number)
        expect(browser.get_by_role("row", name="Question")).to_contain_text(text[:20].split("\x1b")[0].split("\u202e")[0])
        # As question, as the student's words, as the teacher's, as a lesson, as a rejected one and as its reason.
        shown = browser.get_by_role("table").first.inner_text()
        assert shown.count(text[:30]) >= 5 or kind in ("ansi", "bidi"), kind
        assert "\x1b" not in shown and "\u202e" not in shown
        expect_untouched(desk, browser)
    browser.screenshot(path=desk.shots / "hostile-mistakes.png")

    compare = panels.nth(2)
    compare.scroll_into_view_if_needed()
    expect(compare.get_by_role("table").first).to_contain_text(HOSTILE["image"])
    expect_untouched(desk, compare)
    compare.screenshot(path=desk.shots / "hostile-compare.png")
    assert desk.errors == []
