"""The course's site as a reader opens it from disk: search, two widths, both themes, and a silent console."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import ROOT, SCREENSHOTS
from playwright.sync_api import Browser, Page, expect
from test_pages import FAINT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "course"
    subprocess.run([sys.executable, ROOT / "notebooks" / "site" / "build.py", "--out", out], check=True)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return out


@pytest.fixture
def page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh page; what its console said is told at the end, and whether it asked anything of the network."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme=getattr(request, "param", "light"))
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda asked: said.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None)
    yield page
    context.close()
    assert said == []


def test_a_search_finds_a_section_and_opens_it(site: Path, page: Page) -> None:
    page.goto((site / "evidence" / "README.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("triplet lo")
    first = page.locator("#found li a").first
    expect(first).to_contain_text("triplet loss", ignore_case=True)
    expect(page.locator(".pages")).to_be_hidden()
    page.screenshot(path=SCREENSHOTS / "site-search.png")
    first.click()
    expect(page.get_by_role("heading", name="the triplet loss").first).to_be_in_viewport()
    page.get_by_label("Search the course").fill("zzzz")
    expect(page.locator("#found")).to_contain_text("Nothing found")
    page.keyboard.press("Escape")
    expect(page.locator(".pages")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 800, 400])
def test_no_page_is_wider_than_its_window(site: Path, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for file in sorted(site.rglob("*.html")):
        page.goto(file.as_uri())
        page.screenshot(path=SCREENSHOTS / f"site-{file.stem}-{width}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, file.name
        expect(page.locator(".pages > ol")).to_be_visible(visible=width > 1000)


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_text_stands_out_in_both_themes(site: Path, page: Page) -> None:
    for name in ("index", "06_self_reflection", "why_this"):
        page.goto((site / f"{name}.html").as_uri())
        assert page.locator("body").evaluate(FAINT) == [], name
