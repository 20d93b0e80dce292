"""Copy the repository's address from pyproject.toml to README, badges and Colab's first cell.

`make badges` updates what is stale; `make badges REPO=owner/name` first moves the project to another address.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent
COLAB = """\
#@title On Colab: install l2r_lite beside Colab's own torch and numpy (a minute or two); elsewhere this does nothing
import os
from importlib.metadata import version

if "COLAB_RELEASE_TAG" in os.environ:
    held = " ".join(f"{{name}}=={{version(name)}}" for name in ("torch", "numpy"))
    %pip install -q "l2r-lite[data,gguf] @ git+https://github.com/{repository}" {{held}}"""
BADGES = """\
[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]\
(https://colab.research.google.com/github/{repository}/blob/main/notebooks/{notebook})
[![Launch on Binder](https://mybinder.org/badge_logo.svg)]\
(https://mybinder.org/v2/gh/{repository}/main?urlpath=lab/tree/notebooks/{notebook})"""
ANY_BADGES = re.compile(r"^\[!\[Open in Colab\].*\n\[!\[Launch on Binder\].*$", re.M)
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}  # Colab shows the title only, JupyterLab one line
START = "00_the_whole_loop.ipynb"


def repository(root: Path = ROOT) -> str:
    """owner/name, from pyproject's Homepage."""
    homepage = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Homepage"]
    return homepage.removeprefix("https://github.com/").strip("/")


def move(to: str, root: Path = ROOT) -> None:
    """Give the project another address: in pyproject.toml, and where the README says how to clone it."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", to):
        sys.exit(f"REPO={to}: must be owner/name, as on GitHub")
    old = repository(root)
    for name in ("pyproject.toml", "README.md"):
        text = (root / name).read_text(encoding="utf-8")
        text = text.replace(f"github.com/{old}", f"github.com/{to}")
        text = re.sub(r"(git clone \S+ && cd )\S+", lambda found: found[1] + to.rpartition("/")[2], text)
        (root / name).write_text(text, encoding="utf-8")


def fresh_readme(text: str, where: str) -> str:
    """The README with its badges, below the title if there are none yet."""
    badges = BADGES.format(repository=where, notebook=START)
    if ANY_BADGES.search(text):
        return ANY_BADGES.sub(lambda _: badges, text, count=1)
    title, rest = text.split("\n", 1)
    return f"{title}\n\n{badges}\n{rest}"


def freshen(notebook: nbformat.NotebookNode, name: str, where: str) -> None:
    """Give a notebook its badges and its cell for Colab, folded; outputs of the other cells stay."""
    first = notebook.cells[0]
    first.source = ANY_BADGES.sub(lambda _: BADGES.format(repository=where, notebook=name), first.source, count=1)
    cell = colab_cell(notebook)
    if cell is None:
        for later in notebook.cells:
            if later.cell_type == "code" and later.execution_count:
                later.execution_count += 1
        cell = nbformat.v4.new_code_cell(id=f"{name[:2]}-colab", execution_count=1)  # it was run: outside Colab that is nothing
        notebook.cells.insert(1, cell)
    cell.source = COLAB.format(repository=where)
    cell.metadata = nbformat.from_dict(FOLDED)


def colab_cell(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    """The first code cell, if it is the one for Colab."""
    first = next(c for c in notebook.cells if c.cell_type == "code")
    return first if "COLAB_RELEASE_TAG" in first.source else None


def main(root: Path = ROOT) -> None:
    """Write what is stale."""
    where = repository(root)
    readme = root / "README.md"
    readme.write_text(fresh_readme(readme.read_text(encoding="utf-8"), where), encoding="utf-8")
    for file in sorted((root / "notebooks").glob("*.ipynb")):
        before = file.read_text(encoding="utf-8")
        notebook = nbformat.reads(before, as_version=4)
        freshen(notebook, file.name, where)
        if (after := nbformat.writes(notebook) + "\n") != before:
            file.write_text(after, encoding="utf-8")
            print(f"{file.name}: now {where}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        move(sys.argv[1])
    main()
