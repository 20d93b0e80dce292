"""The class kit: the site of `make course`, the copy of `make class` without solutions, the glossary and the index."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

from run_notebooks import NOTEBOOKS, run_notebook
from test_exercises import ALL, FOLDED

TOOLS = NOTEBOOKS / "site"
FILES = sorted(file.name for file in NOTEBOOKS.glob("*.ipynb"))
TEXTS = ["README.md", "evidence/README.md", "for_teachers.md", "glossary.md", "why_this.md"]


def make(tool: str, *arguments: str | Path) -> None:
    done = subprocess.run([sys.executable, TOOLS / tool, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def markdown_of(file: Path) -> str:
    """A page's or a notebook's Markdown."""
    if file.suffix == ".md":
        return file.read_text(encoding="utf-8")
    cells = nbformat.read(file, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "course"
    make("build.py", "--out", out)
    return out


@pytest.fixture(scope="module")
def class_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("class") / "notebooks"
    make("class_copy.py", "--out", out)
    return out


# --- the site ---


def links(html: str) -> list[str]:
    return [unescape(found) for found in re.findall(r'<(?:a|link|img|script)\b[^>]*?(?:href|src)="([^"]*)"', html)]


def broken(site: Path) -> list[str]:
    """Links within the site that lead to no file or no heading."""
    pages = {file: file.read_text(encoding="utf-8") for file in site.rglob("*.html")}
    anchors = {file: {unquote(unescape(a)) for a in re.findall(r' id="([^"]*)"', html)} for file, html in pages.items()}
    found = []
    for page, html in pages.items():
        for link in links(html):
            if re.match(r"(https?|data|mailto):", link):
                continue
            place, _, anchor = link.partition("#")
            target = (page.parent / unquote(place)).resolve() if place else page
            if not target.is_file() or (anchor and unquote(anchor) not in anchors[target]):
                found.append(f"{page.relative_to(site)}: {link}")
    return found


@pytest.mark.slow
def test_every_internal_link_of_the_site_leads_somewhere(site: Path) -> None:
    assert broken(site) == []


@pytest.mark.slow
def test_every_notebook_and_text_is_a_page_with_its_pictures(site: Path) -> None:
    assert {str(Path(name).with_suffix(".html")) for name in [*FILES, *TEXTS]} == {
        file.relative_to(site).as_posix() for file in site.rglob("*.html")
    }
    for name in FILES:
        outputs = [o for c in nbformat.read(NOTEBOOKS / name, as_version=4).cells for o in c.get("outputs", [])]
        pictures = sum("image/png" in o.get("data", {}) for o in outputs)
        html = (site / name).with_suffix(".html").read_text(encoding="utf-8")
        assert html.count("data:image/png;base64,") >= pictures, name


@pytest.mark.slow
def test_the_site_asks_nothing_of_other_servers_and_knows_no_latex(site: Path) -> None:
    for file in site.rglob("*"):
        if file.suffix in (".html", ".css", ".js"):
            text = file.read_text(encoding="utf-8")
            assert not re.search(r'(?:src|<link[^>]*href)="https?:|url\(["\']?https?:|@import|\bfetch\(', text), file.name
            seen = re.sub(r"<(pre|code|script)\b.*?</\1>|<[^>]*>", "", text, flags=re.S) if file.suffix == ".html" else ""
            assert not re.search(r"\\(?:frac|cos|text|max|lambda|qquad|left)\b|\$\$", seen), file.name


@pytest.mark.slow
def test_the_search_index_has_every_exercise_and_every_word_of_the_glossary(site: Path) -> None:
    _, _, entries = (site / "search-index.js").read_text(encoding="utf-8").partition(" = ")
    headings = [heading for _, _, heading, _ in json.loads(entries.rstrip(";\n"))]
    assert {f"Exercise {e.number}" for e in ALL} <= {heading.partition(" ·")[0] for heading in headings}
    assert set(terms()) <= set(headings)


# --- the class's copy ---


def cells_of(folder: Path) -> dict[str, list[nbformat.NotebookNode]]:
    return {name: nbformat.read(folder / name, as_version=4).cells for name in FILES}


def test_the_class_copy_holds_no_solution_and_keeps_every_hint(class_copy: Path) -> None:
    cells = [cell for notebook in cells_of(class_copy).values() for cell in notebook]
    text = "\n".join(cell.source for cell in cells)
    for exercise in ALL:
        folded = FOLDED.search(exercise.folded)
        assert folded and folded["hint"] in text, exercise.number
        for secret in (folded["solution"], folded["why"].strip()):
            assert not secret or secret not in text, exercise.number
    assert "<summary>Solution" not in text and "Solution" not in "".join(re.findall(r"<summary>.*?</summary>", text))


def test_the_class_copy_changes_no_code_no_output_and_no_metadata(class_copy: Path) -> None:
    ours = cells_of(NOTEBOOKS)
    for name, theirs in cells_of(class_copy).items():
        nbformat.validate(nbformat.read(class_copy / name, as_version=4))
        for mine, cell in zip(ours[name], theirs, strict=True):
            assert (cell.id, cell.metadata) == (mine.id, mine.metadata)
            if cell.cell_type == "code":
                assert (cell.source, cell.outputs) == (mine.source, mine.outputs)


def test_links_of_the_class_copy_lead_to_copied_files_or_to_the_repository(class_copy: Path) -> None:
    for file in [*class_copy.glob("*.ipynb"), *class_copy.rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)\s#]+)", markdown_of(file)):
            assert (file.parent / target).exists(), f"{file.name}: {target}"
    assert not (class_copy / "for_teachers.md").exists()


@pytest.mark.slow
def test_a_notebook_of_the_class_copy_runs(class_copy: Path, tmp_path: Path) -> None:
    run_notebook(class_copy / "01_problems_and_grading.ipynb", tmp_path)


@pytest.mark.slow
def test_a_site_of_the_class_copy_has_no_solution_and_no_broken_link(class_copy: Path, tmp_path: Path) -> None:
    make("build.py", "--notebooks", class_copy, "--out", tmp_path / "site")
    assert broken(tmp_path / "site") == []
    assert not [f.name for f in (tmp_path / "site").rglob("*.html") if "<summary>Solution" in f.read_text(encoding="utf-8")]


# --- glossary and index ---


def terms() -> list[str]:
    return re.findall(r"^## (.+)$", (NOTEBOOKS / "glossary.md").read_text(encoding="utf-8"), re.M)


def all_texts() -> dict[str, str]:
    return {name: markdown_of(NOTEBOOKS / name) for name in [*FILES, *TEXTS]}


def test_every_link_to_the_glossary_has_its_word() -> None:
    known = {term.replace(" ", "-") for term in terms()}
    for name, text in all_texts().items():
        linked = re.findall(r"glossary\.md#([^)\s]+)", text)
        if name == "glossary.md":
            linked = re.findall(r"\]\(#([^)\s]+)\)", text)
        assert set(linked) <= known, name


def test_the_glossary_is_in_alphabetical_order_and_explains_each_word_in_a_few_sentences() -> None:
    assert terms() == sorted(set(terms())) and all(term == term.lower() for term in terms())
    _, *entries = re.split(r"^## .+$", (NOTEBOOKS / "glossary.md").read_text(encoding="utf-8"), flags=re.M)
    for term, entry in zip(terms(), entries, strict=True):
        assert 5 <= len(entry.split()) <= 60 and len(re.findall(r"[.)](?:\s|$)", entry)) <= 4, term


def test_the_index_asks_one_question_per_notebook() -> None:
    text = all_texts()["index.ipynb"]
    rows = re.findall(r"^\| \[[^]]+\]\(([^)]+\.ipynb)\) \| (.+?) \| \d+ \| .+ \| (?:easy|medium|hard) \|$", text, re.M)
    assert sorted(name for name, _ in rows) == [name for name in FILES if name != "index.ipynb"]
    assert all(question.endswith("?") for _, question in rows) and len({question for _, question in rows}) == len(rows)


def test_for_teachers_has_a_part_for_each_notebook() -> None:
    text = all_texts()["for_teachers.md"]
    parts = re.findall(r"^### (\S+) ", text, re.M)
    assert parts == [name.partition("_")[0] for name in FILES if name != "index.ipynb"]
