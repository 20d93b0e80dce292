"""Every panel in JupyterLab: two widths, names for screen readers, the keyboard, both themes, and a silent console."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from lab import Desk, Lab
from panels import SMALL, LoopPanel
from playwright.sync_api import Browser, Locator, expect

pytestmark = pytest.mark.slow

CELLS = [
    f"""import torch
from l2r_lite.loop.config import LoopConfig
from l2r_course.explorers import nf4_explorer, planner_explorer, temperature_explorer, triplet_explorer
from l2r_course.scores import score_tokens
from l2r_lite.students.four_bit import full_weight
from l2r_lite.students.loading import load_student
from l2r_lite.data.problems import load_problems
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.runs.run import run_rounds
from l2r_lite.app.panels import *
config = LoopConfig(rounds=1, reflection_weight=0.5, {SMALL})
student = load_student("pocket")
problem = load_problems("pocket", "train", 1)[0]
for weight in (0.5, 0.0):
    run_rounds(config.with_(reflection_weight=weight), f"runs/lambda{{weight:g}}", progress=False)""",
    'loop_panel(config, name="lambda0.5")',
    'mistake_browser("runs/lambda0.5")',
    'compare_panel(["runs/lambda0.5", "runs/lambda0"], ["λ 0.5", "λ 0"])',
    "nf4_explorer(full_weight(student.model.get_base_model().model.layers[0].self_attn.q_proj.base_layer))",
    "temperature_explorer(score_tokens(student, student_prompt(problem), problem.rationale), 1)",
    "triplet_explorer()",
    "planner_explorer()",
    "from l2r_course import figures\nfigures.round_diagram()",
    'mistake_browser("runs/lambda0.5").table()',
]
PANELS = ("loop", "mistakes", "compare", "nf4", "temperature", "triplet", "planner")

# What reaches over the right edge of its panel, or is cut by a box that hides what does not fit.
CUT = """panel => {
  const edge = panel.closest('.jp-OutputArea').getBoundingClientRect().right + 1;
  const told = e => `${e.tagName} ${e.className} "${(e.innerText || e.value || '').slice(0, 40)}"`;
  return [...panel.querySelectorAll('*')].filter(e => {
    const box = e.getBoundingClientRect();
    if (!box.width || !box.height || e.closest('.slider-container') || e.closest('option')) return false;
    const hides = /hidden|clip/.test(getComputedStyle(e).overflowX);
    return box.right > edge || (hides && e.scrollWidth > e.clientWidth + 1);
  }).map(told);
}"""

# Words of table headings that are broken over two lines.
BROKEN = """page => [...page.querySelectorAll('th')].flatMap(th => {
  const found = [], walker = document.createTreeWalker(th, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    for (const word of node.textContent.matchAll(/\\S+/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].map(r => Math.round(r.top)));
      if (lines.size > 1 && !word[0].includes('-')) found.push(word[0]);
    }
  }
  return found;
})"""

# Entries of a list whose first part, the question, is wider than the list.
HIDDEN = """list => {
  const look = getComputedStyle(list.options[0]), pen = document.createElement('canvas').getContext('2d');
  pen.font = `${look.fontSize} ${look.fontFamily}`;
  return [...list.options].map(o => o.text.split('·')[0])
    .filter(question => pen.measureText(question).width > list.clientWidth - 16);
}"""

# Contrast of each visible piece of text with what lies behind it (WCAG 2: at least 4.5; disabled controls are exempt).
FAINT = """panel => {
  const read = colour => { const n = colour.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const over = (top, below) => top.slice(0, 3).map((v, i) => v * top[3] + below[i] * (1 - top[3]));
  const behind = e => {
    const layers = [];
    for (; e; e = e.parentElement) {
      const c = read(getComputedStyle(e).backgroundColor);
      if (c[3] > 0) layers.push(c);
      if (c[3] === 1) break;
    }
    return layers.reverse().reduce((below, c) => over(c, below), [255, 255, 255]);
  };
  const texts = [...panel.querySelectorAll('*')].filter(e => e.checkVisibility({visibilityProperty: true})
    && !e.matches(':disabled, :disabled *, style, option')
    && (e.matches('input, select') || [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())));
  return texts.map(e => {
    const ground = behind(e), ink = over(read(getComputedStyle(e).color), ground);
    const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), `${e.tagName} ${e.className} "${(e.innerText || e.value || '').slice(0, 40)}"`];
  }).filter(([ratio]) => ratio < 4.5).map(([ratio, what]) => `${ratio.toFixed(1)}: ${what}`);
}"""


@pytest.fixture(scope="module")
def page_of_panels(chromium: Browser, lab: Lab) -> Iterator[Desk]:
    """A notebook with every panel, run once; the tests look at it in turn."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    desk = Desk(lab, context.new_page())
    lab.write("panels.ipynb", CELLS)
    desk.open("panels.ipynb")
    desk.run_all()
    expect(panels(desk).nth(len(PANELS) - 1).or_(desk.cell_errors()).first).to_be_attached()
    desk.wait_for_notebook()
    yield desk
    context.close()
    lab.end_kernels()


def panels(desk: Desk) -> Locator:
    return desk.page.locator(".jp-OutputArea .l2r-panel")


def each_panel(desk: Desk) -> Iterator[tuple[str, Locator]]:
    desk.expect_no_cell_failed()
    for number, name in enumerate(PANELS):
        panel = panels(desk).nth(number)
        panel.scroll_into_view_if_needed()
        expect(panel.locator("img").first).to_be_visible()
        yield name, panel


@pytest.mark.parametrize("width", [1280, 800])
def test_nothing_is_cut(page_of_panels: Desk, width: int) -> None:
    desk = page_of_panels
    desk.page.set_viewport_size({"width": width, "height": 1800})  # as high as the highest panel, for the screenshots
    for name, panel in each_panel(desk):
        panel.screenshot(path=desk.shots / f"{name}-{width}.png")
        assert panel.evaluate(CUT) == [], f"{name} at {width} px"


def test_table_headings_keep_their_words_and_mistakes_their_questions_at_800_pixels(page_of_panels: Desk) -> None:
    desk = page_of_panels
    for width in (800, 1280):
        desk.page.set_viewport_size({"width": width, "height": 900})
        for name, panel in each_panel(desk):
            assert panel.evaluate(BROKEN) == [], f"{name} at {width} px"
        table = desk.page.locator(".jp-OutputArea-output > div > table").last
        table.scroll_into_view_if_needed()
        assert table.evaluate(BROKEN) == []
        assert panels(desk).nth(PANELS.index("mistakes")).get_by_label("mistakes").evaluate(HIDDEN) == []


def test_a_plain_figure_has_words_and_stands_on_a_white_card_in_the_dark_theme(page_of_panels: Desk) -> None:
    desk = page_of_panels
    desk.change_theme("JupyterLab Dark")
    figure = desk.page.get_by_role("img", name=re.compile("^One round of tailored learning"))
    figure.scroll_into_view_if_needed()
    look = figure.evaluate("e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).borderRadius]")
    assert look[0] == "rgb(255, 255, 255)" and look[1] != "0px"
    desk.change_theme("JupyterLab Light")


def test_settings_that_cannot_be_run_are_refused_and_grey_out_the_old_result(page_of_panels: Desk) -> None:
    desk = page_of_panels
    desk.page.set_viewport_size({"width": 1280, "height": 1800})
    panel = LoopPanel(desk)
    for label, value, says in (("rounds", "2.7", "must be a whole number"), ("rounds", "0", "nothing would be trained"),
                               ("student", "pokcet", "not found. Enter pocket")):  # fmt: skip
        panel.set(label, value)
        expect(panel.box.locator(".l2r-fault")).to_contain_text(says)
        expect(panel.button("Run")).to_be_disabled()
        expect(panel.button("Continue")).to_be_disabled()
        expect(panel.box.locator(".l2r-old").get_by_role("img").first).to_be_visible()
        panel.click("Reset")
        expect(panel.box.locator(".l2r-old")).to_have_count(0)


def test_figures_keep_their_numbers_readable_at_800_pixels(page_of_panels: Desk) -> None:
    desk = page_of_panels
    desk.page.set_viewport_size({"width": 800, "height": 900})
    for name, panel in each_panel(desk):
        for image in panel.locator("img").all():
            # Figures have letters of 11 points or more at 100 dots an inch: 15 pixels before they shrink.
            shrunk = image.evaluate("i => i.clientWidth / i.naturalWidth")
            assert 15 * shrunk >= 8, f"{name}: figure shrunk to {shrunk:.0%}"


def test_every_control_and_figure_has_a_name(page_of_panels: Desk) -> None:
    desk = page_of_panels
    desk.page.set_viewport_size({"width": 1280, "height": 900})
    for name, panel in each_panel(desk):
        for line in panel.aria_snapshot().splitlines():
            control = re.match(r"\s*- (textbox|spinbutton|combobox|listbox|checkbox|button|img)\b(.*)", line)
            assert not control or re.search(r'"[^"]*\w', control[2]), f"{name}: no name for {line.strip()}"
        for menu in panel.locator("select").all():
            assert menu.evaluate("e => e.selectedIndex") >= 0, f"{name}: a menu shows no choice"
        named = len(panel.get_by_role("spinbutton").all())
        assert len(panel.get_by_role("slider").all()) <= named, f"{name}: a slider without a named field of the same value"


def test_tab_reaches_every_control_in_order_and_shows_where_it_is(page_of_panels: Desk) -> None:
    desk = page_of_panels
    desk.page.set_viewport_size({"width": 1280, "height": 900})
    for name, panel in each_panel(desk):
        wanted = panel.locator("input:enabled:visible, select:enabled:visible, button:enabled:visible, summary:visible")
        wanted.first.focus()
        for number in range(wanted.count()):
            # A slider lies between some fields: Tab goes on until it is at the next control.
            for _ in range(3):
                if wanted.nth(number).evaluate("e => e === document.activeElement"):
                    break
                desk.page.keyboard.press("Tab")
            expect(wanted.nth(number), f"{name}, control {number}").to_be_focused()
            outline = wanted.nth(number).evaluate("e => getComputedStyle(e).outlineStyle + getComputedStyle(e).boxShadow")
            assert outline != "nonenone", f"{name}, control {number}: focus cannot be seen"


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_text_stands_out_in_both_themes(page_of_panels: Desk, theme: str) -> None:
    desk = page_of_panels
    desk.page.set_viewport_size({"width": 1280, "height": 1800})
    desk.change_theme(theme)
    for name, panel in each_panel(desk):
        panel.screenshot(path=desk.shots / f"{name}-{theme.split()[1].lower()}.png")
        assert panel.evaluate(FAINT) == [], f"{name}, {theme}"
    desk.change_theme("JupyterLab Light")


def test_an_explorer_draws_anew_for_the_keyboard_and_its_numbers_follow(page_of_panels: Desk) -> None:
    desk = page_of_panels
    panel = panels(desk).nth(PANELS.index("triplet"))
    expect(panel.get_by_role("img", name=re.compile(r"^max\(0, 1.0 "))).to_be_visible()
    panel.get_by_label("margin").fill("0.2")
    panel.get_by_label("margin").press("Tab")
    expect(panel.get_by_role("img", name=re.compile(r"^max\(0, 0.2 .* no push"))).to_be_visible()
    panel.get_by_role("button", name="Show the numbers").press("Enter")
    expect(panel.get_by_role("table")).to_be_visible()
    slider = panel.get_by_role("slider").last
    slider.focus()
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    expect(panel.get_by_label("steps downhill")).to_have_value("2")
    expect(panel.get_by_role("row")).to_have_count(4)  # the head, the start and two steps


def test_the_console_is_silent(page_of_panels: Desk) -> None:
    assert page_of_panels.errors == []
    assert page_of_panels.dialogs == []
