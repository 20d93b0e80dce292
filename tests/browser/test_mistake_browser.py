"""The mistake browser in JupyterLab: its filters leave the right mistakes, and a mistake tells its whole story."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lab import Desk
from playwright.sync_api import Locator, expect

from l2r_lite.loop import runfolder
from l2r_lite.loop.records import Lesson, Problem, Rejection, Sample

pytestmark = pytest.mark.slow

# Question → right in the exams of rounds 1 and 2, and its skill.
COURSE = {"What is 2 + 3?": ((0, 1), "addition"), "What is 4 + 5?": ((0, 0), "addition"),
          "What is 9 - 2?": ((1, 0), "subtraction"), "What is 8 - 5?": ((1, 1), "subtraction")}  # fmt: skip


def write_run(out: Path) -> None:
    """The files of two exams, as run_rounds writes them."""
    out.mkdir(parents=True)
    problems = [Problem(f"p{n}", text, "5", "number", skill=skill) for n, (text, (_, skill)) in enumerate(COURSE.items())]
    runfolder.write_lines(out / "problems" / "train.jsonl", problems)
    runfolder.write_lines(out / "problems" / "validation.jsonl", problems[:1])
    for number in (1, 2):
        samples = [
            Sample(f"p{n}", 0, f"I say {'5' if right[number - 1] else '3 + 3 = 7'}.", None, bool(right[number - 1]))
            for n, (right, _) in enumerate(COURSE.values())
        ]
        runfolder.write_lines(out / f"round-{number}" / "exam.jsonl", samples)
    runfolder.write_lines(out / "round-1" / "lessons.jsonl", [Lesson("p0", "2 + 3 = 5", "You added wrongly.")])
    runfolder.write_lines(out / "round-1" / "rejected.jsonl", [Rejection("p0", "2 + 3 = 6", "its answer is wrong")])


def expect_listed(panel: Locator, *questions: str) -> None:
    expect(panel.get_by_role("status")).to_contain_text(f"{len(questions)} of 4 questions")
    # ipywidgets puts no-break spaces into options.
    starts = [re.compile(r"^\d+\.\s" + re.escape(question).replace("\\ ", r"\s")) for question in questions]
    expect(panel.get_by_label("mistakes").locator("option")).to_have_text(starts)


def test_filters_leave_the_mistakes_they_name(desk: Desk) -> None:
    write_run(desk.lab.folder / "runs" / "course")
    desk.lab.write("browser.ipynb", ['from l2r_lite.app.panels import mistake_browser\nmistake_browser("runs/course")'])
    desk.open("browser.ipynb")
    desk.run_all()
    expect(desk.page.locator(".jp-OutputArea .l2r-panel").or_(desk.cell_errors()).first).to_be_visible()
    desk.expect_no_cell_failed()
    panel = desk.page.locator(".jp-OutputArea .l2r-panel")
    two, four, nine = list(COURSE)[:3]
    expect_listed(panel, two, four, four, nine)

    fate = panel.get_by_label("outcome")
    for name, wanted in (("fixed", [two]), ("still wrong", [four]), ("newly wrong", [nine]), ("not asked again", [four, nine])):
        fate.select_option(name)
        expect_listed(panel, *wanted)
    panel.get_by_label("skill").select_option("addition")
    expect_listed(panel, four)
    fate.select_option("all")
    panel.get_by_label("round").select_option("1")
    expect_listed(panel, two, four)
    panel.get_by_label("search").fill("ADDED WRONGLY")
    panel.get_by_label("search").press("Enter")
    expect_listed(panel, two)
    story = panel.get_by_role("table").first
    for part in ("What is 2 + 3?", "3 + 3 = 7", "You added wrongly.", "its answer is wrong", "2 + 3 = 6", "I say 5."):
        expect(story).to_contain_text(part)
    expect(story.locator("mark")).to_have_text(re.compile(r"3 \+ 3 = 7"))
    desk.shot("mistake-browser-filtered")
    panel.get_by_label("search").fill("nowhere")
    panel.get_by_label("search").press("Enter")
    expect_listed(panel)
    assert desk.errors == []
