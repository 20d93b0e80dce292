"""Notebooks 00 and 07 as a reader meets them: found in the file browser, opened, run from top to bottom, and played with."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from lab import ROOT, Desk
from panels import LoopPanel, report
from playwright.sync_api import expect

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Course:
    """A notebook, and the settings of its run in a smaller size: tests/test_notebooks.py runs it in full."""

    name: str
    settings: str
    small: str
    panels: int
    button: str = "Run"
    run: str = "notebook-08-panel*"


COURSES = [
    Course("00_the_whole_loop.ipynb", "LoopConfig(rounds=3,",
           "LoopConfig(rounds=1, samples=1, limit=85, validation_limit=17, test_limit=85, epochs=1,", 4,  # 3 are predictions
           button="Continue", run="notebook-00-seed0"),  # its panel shows the notebook's own run
    Course("08_rounds.ipynb", "LoopConfig(rounds=2, samples=1, limit=255, test_limit=255, replay=0.0, rate_decay=1.0,",
           "LoopConfig(rounds=2, samples=1, limit=51, validation_limit=17, test_limit=34, epochs=1, "
           "replay=0.0, rate_decay=1.0,", 10),  # 6 of them are predictions
]  # fmt: skip


@pytest.mark.parametrize("course", COURSES, ids=lambda c: c.name[:2])
def test_a_notebook_opened_from_the_file_browser_runs_and_its_panel_runs_two_rounds(desk: Desk, course: Course) -> None:
    text = (ROOT / "notebooks" / course.name).read_text(encoding="utf-8")
    assert text.count(course.settings) == 1, "the notebook's settings have changed: change them here, too"
    (desk.lab.folder / course.name).write_text(text.replace(course.settings, course.small), encoding="utf-8")
    desk.open_from_file_browser(course.name)
    desk.run_all()
    desk.wait_until_all_cells_ran()
    desk.expect_no_cell_failed()
    expect(desk.page.locator(".jp-OutputArea .l2r-panel")).to_have_count(course.panels)

    panel = LoopPanel(desk, course.panels - 1)
    panel.set("rounds", 2)
    panel.click(course.button)
    panel.expect_status("^Finished: 2 rounds")
    panel.box.get_by_role("img").first.scroll_into_view_if_needed()
    desk.shot(f"course-{course.name[:2]}")
    (out,) = (desk.lab.folder / "runs").glob(course.run)
    assert [r["round"] for r in report(out)["rounds"]] == [0, 1, 2]
    assert desk.errors == []
    assert {urlsplit(url).netloc for url in desk.foreign} == {"colab.research.google.com", "mybinder.org"}  # the two badges
