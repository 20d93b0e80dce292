"""README stays one page, its course table equals that of the index notebook, and no document has a dead link."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = [README, *ROOT.glob("*/README.md"), *ROOT.glob("notebooks/*.md"), ROOT / "notebooks/evidence/README.md",
        *ROOT.glob(".github/*.md")]  # fmt: skip
INDEX = "\n".join(c.source for c in nbformat.read(ROOT / "notebooks" / "index.ipynb", as_version=4).cells)
# Name, file, question, minutes to read, exercises, difficulty.
ROWS = re.findall(r"^\| \[([^\]]+)\]\(([^)]+)\) \| ([^|]+) \| (\d+) \| ([^|]+) \| (\w+) \|$", INDEX, re.M)


def test_the_readme_is_one_page() -> None:
    text = README.read_text(encoding="utf-8")
    assert text.count("\n") <= 130 and len(text.encode()) <= 9000


def test_the_readmes_course_table_is_the_index_notebooks() -> None:
    text, minutes = README.read_text(encoding="utf-8"), 0
    for name, file, question, read, exercises, difficulty in ROWS:
        both = int(read) + int((re.search(r"\d+", exercises) or ["0"])[0])
        row = f"[{name}](notebooks/{file}) | {question.strip()} | {both} | {difficulty} |"
        if is_lab(file):  # its full row is in notebooks/README.md, the README is one page
            assert row.replace("notebooks/", "") in (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
            assert f"(notebooks/{file})" in text
        else:
            assert f"| {row}" in text
            minutes += both
    assert {file for _, file, *_ in ROWS} == {f.name for f in ROOT.glob("notebooks/*.ipynb")} - {"index.ipynb"}
    hours = int(re.search(r"the whole course takes about (\d+)\s", text)[1])  # type: ignore[index]
    assert abs(hours - minutes / 60) <= 0.5


def is_lab(file: str) -> bool:
    return file[:2].isdigit() and int(file[:2]) >= 13


def anchors(file: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("file", DOCS, ids=lambda f: str(f.relative_to(ROOT)))
def test_every_link_of_a_document_leads_somewhere(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        place, _, anchor = unquote(target).partition("#")
        there = (file.parent / place).resolve() if place else file
        assert there.exists(), target
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), target


def test_each_line_of_the_defended_list_names_tests_that_exist() -> None:
    text = (ROOT / ".github" / "SECURITY.md").read_text(encoding="utf-8")
    defended = text.partition("## What is defended")[2].partition("## What is not defended")[0]
    lines = re.findall(r"^- (.*(?:\n  .*)*)", defended, re.M)
    assert len(lines) > 20
    for line in lines:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", line)
        assert named, f"without a test: {line}"
        for file, test in named:
            assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), test
