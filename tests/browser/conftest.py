"""Fixtures of the browser tests. Without a browser they skip and say why; under CI a missing browser is a failure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import FLAGS, Desk, Lab, browser_program, serve
from playwright.sync_api import Browser, sync_playwright

FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = browser_program()
    if program is None:
        said = "no Chromium found: apt-get install chromium (.ci/run does)"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder: Path = tmp_path_factory.mktemp("lab")
    with serve(folder, tmp_path_factory.mktemp("jupyter")) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    report = yield
    item.stash.setdefault(FAILED, False)
    item.stash[FAILED] |= report.failed
    return report


@pytest.fixture
def desk(chromium: Browser, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A fresh page at 1280 × 900; after the test its kernels end. Of a test that failed there is a screenshot."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    desk = Desk(lab, context.new_page())
    yield desk
    if request.node.stash.get(FAILED, False):
        desk.shot(f"failed-{request.node.name}")
    context.close()
    lab.end_kernels()
