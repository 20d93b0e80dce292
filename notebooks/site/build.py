"""`make course`: the notebooks and their pages as a static site with search, in build/course.

The site needs no server and no network: open build/course/index.html. It shows the notebooks'
committed outputs; nothing is executed.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tomllib
from dataclasses import dataclass
from html import escape, unescape
from os.path import normpath, relpath
from pathlib import Path, PurePosixPath
from string import Template

import nbformat
from cells import cell_html, markdown_html

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parent
ROOT = NOTEBOOKS.parent
TEXTS = ("README.md", "glossary.md", "why_this.md", "for_teachers.md", "evidence/README.md")
HEADING = re.compile(r'<h([1-6]) id="([^"]*)">(.*?)</h\1>', re.S)
UNSEEN = re.compile(r'<a class="anchor-link".*?</a>|<(script|style|annotation)\b.*?</\1>', re.S)
INLINE = re.compile(r"</?(?:a|b|code|em|i|m[ino]|span|strong|sub|sup)\b[^>]*>")
LINK = re.compile(r'(?<= )(href|src)="([^"]*)"')
BADGE = re.compile(r'<img (?=[^>]*src="https?://)[^>]*alt="([^"]*)"[^>]*>')


@dataclass(frozen=True)
class Page:
    """A page whose links are still those of its source.

    Attributes:
        source: its file in the notebooks' folder, as in "evidence/README.md".
        body: all of it, as HTML.
        prose: its text without code and outputs, for the search.
    """

    source: str
    body: str
    prose: str

    @property
    def address(self) -> str:
        """Its file in the site's folder."""
        return str(PurePosixPath(self.source).with_suffix(".html"))

    @property
    def title(self) -> str:
        return plain_text(self.headings[0][2])

    @property
    def headings(self) -> list[tuple[str, str, str]]:
        """Level, anchor and HTML of each heading."""
        return HEADING.findall(self.prose)


def read_page(file: Path, source: str) -> Page:
    """A notebook, without its cell for Colab, or a Markdown file."""
    if file.suffix == ".ipynb":
        cells = nbformat.read(file, as_version=4).cells
        parts = [(c, cell_html(c)) for c in cells if "COLAB_RELEASE_TAG" not in c.source]
        body = "\n".join(html for _, html in parts)
        prose = "\n".join(html for cell, html in parts if cell.cell_type == "markdown")
    else:
        text = markdown_html(file.read_text(encoding="utf-8"))
        body = prose = f'<div class="text">{text}</div>'
    # A badge would be fetched from elsewhere; its alternative text says the same.
    page = Page(source, BADGE.sub(r"\1", body), BADGE.sub(r"\1", prose))
    if not page.headings:
        sys.exit(f"{file}: has no heading, which would be the title of its page")
    return page


def plain_text(html: str) -> str:
    """What a reader sees of HTML, white space folded."""
    text = re.sub(r"<[^>]+>", " ", INLINE.sub("", UNSEEN.sub("", html)))
    return " ".join(unescape(text).split())


def repository_address() -> str:
    """What the address of a file in the repository begins with."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"{project['urls']['Homepage']}/blob/main/"


def in_repository(source: str) -> str:
    """The address of a file that the site has no page for, relative to the notebooks' folder."""
    return repository_address() + normpath(f"notebooks/{source}").replace("\\", "/")


class Site:
    """The pages of a folder of notebooks, and where their links lead.

    Args:
        folder: notebooks, and those of TEXTS that are there.
        out: the site's folder; what was in it is replaced.
    """

    def __init__(self, folder: Path, out: Path) -> None:
        self.folder, self.out = folder, out
        # The appendix comes after the numbers, and the index after all: it is the front page.
        notebooks = sorted(folder.glob("*.ipynb"), key=lambda f: (f.name[0].isalpha(), f.name))
        names = [f.name for f in notebooks] + [name for name in TEXTS if (folder / name).exists()]
        self.pages = {name: read_page(folder / name, name) for name in names}

    def build(self) -> None:
        """Write every page, the search index, and the pictures that pages link to."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        for name in ("style.css", "search.js"):
            shutil.copy(HERE / name, self.out)
        template = Template((HERE / "page.html").read_text(encoding="utf-8"))
        for page in self.pages.values():
            file = self.out / page.address
            file.parent.mkdir(parents=True, exist_ok=True)
            root = "../" * page.address.count("/")
            filled = template.substitute(
                title=escape(page.title), root=root, contents=self.contents(page, root),
                body=self.linked(page))
            file.write_text(filled, encoding="utf-8")
        index = [entry for page in self.pages.values() for entry in sections(page)]
        text = f"window.COURSE = {json.dumps(index, ensure_ascii=False)};\n"
        (self.out / "search-index.js").write_text(text, encoding="utf-8")

    def linked(self, page: Page) -> str:
        """A page's body with its links leading to pages, copied pictures, or the repository."""

        def link(found: re.Match[str]) -> str:
            place, mark, anchor = unescape(found[2]).partition("#")
            if not place or re.match("[a-z]+:", place):
                return found[0]
            folder = PurePosixPath(page.source).parent
            source = normpath(folder / place).replace("\\", "/")
            if source in self.pages:
                address = relpath(self.pages[source].address, folder).replace("\\", "/")
            elif found[1] == "src" and (self.folder / source).is_file():
                address = place
                (self.out / source).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.folder / source, self.out / source)
            else:
                address = in_repository(source)
            return f'{found[1]}="{escape(address + mark + anchor)}"'

        return LINK.sub(link, page.body)

    def contents(self, here: Page, root: str) -> str:
        """The list of all pages, with the sections of the one that is open."""
        entries = []
        for page in self.pages.values():
            if page.source == "index.ipynb":
                continue
            part = ' class="part"' if page.source == TEXTS[0] else ""
            current = ' aria-current="page"' if page is here else ""
            link = f'<a href="{root}{page.address}"{current}>{escape(page.title)}</a>'
            is_open = page is here and page.source.endswith(".ipynb")
            entries.append(f"<li{part}>{link}{_section_links(page) if is_open else ''}</li>")
        return f"<ol>{''.join(entries)}</ol>"


def _section_links(page: Page) -> str:
    links = [
        f'<li><a href="#{anchor}">{escape(plain_text(text))}</a></li>'
        for level, anchor, text in page.headings if level == "2"]
    return f"<ol>{''.join(links)}</ol>"


def sections(page: Page) -> list[list[str]]:
    """The search index's entries: [address, page title, heading, text], one per heading."""
    marks = list(HEADING.finditer(page.prose))
    ends = [mark.start() for mark in marks[1:]] + [len(page.prose)]
    return [
        [f"{page.address}#{unescape(mark[2])}", page.title, plain_text(mark[3]),
         plain_text(page.prose[mark.end():end])]
        for mark, end in zip(marks, ends, strict=True)]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument(
        "--notebooks", type=Path, default=NOTEBOOKS,
        help="folder of the notebooks (build/class, after `make class`: without solutions)")
    asked.add_argument(
        "--out", type=Path, default=ROOT / "build" / "course", help="folder of the site")
    options = asked.parse_args()
    site = Site(options.notebooks, options.out)
    site.build()
    print(f"{len(site.pages)} pages: open {options.out / 'index.html'}")


if __name__ == "__main__":
    main()
