"""`make class`: the notebooks without the exercises' solutions, in build/class.

Hints, committed outputs and metadata stay. Links to what is not copied lead to the repository.
"""

from __future__ import annotations

import argparse
import re
import shutil
from os.path import normpath
from pathlib import Path, PurePosixPath

import nbformat

from build import NOTEBOOKS, ROOT, TEXTS, in_repository  # isort: skip - beside this file

SOLUTION = re.compile(r"\n*<details><summary>Solution</summary>.*?</details>", re.S)
LINK = re.compile(r"\]\((?![a-z]+:|#)([^)\s#]+)([^)\s]*)\)")
FOR_TEACHERS = "for_teachers.md"


def copy(folder: Path, out: Path) -> int:
    """Copy the notebooks of `folder` for a class; what was in `out` is replaced.

    Returns the number of solutions that were taken out.
    """
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(folder / "figures", out / "figures")
    texts = [name for name in TEXTS if name != FOR_TEACHERS and (folder / name).exists()]
    notebooks = sorted(file.name for file in folder.glob("*.ipynb"))
    copied = {*texts, *notebooks, *(f"figures/{file.name}" for file in out.glob("figures/*"))}
    for name in texts:
        (out / name).parent.mkdir(exist_ok=True)
        text = relinked((folder / name).read_text(encoding="utf-8"), name, copied)
        (out / name).write_text(text, encoding="utf-8")
    taken_out = 0
    for name in notebooks:
        notebook = nbformat.read(folder / name, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                text, number = SOLUTION.subn("", cell.source)
                cell.source = relinked(text, name, copied)
                taken_out += number
        nbformat.validate(notebook)
        nbformat.write(notebook, out / name)
    return taken_out


def relinked(text: str, source: str, copied: set[str]) -> str:
    """Markdown of the file `source`, whose links lead to copied files or the repository."""

    def link(found: re.Match[str]) -> str:
        place = normpath(PurePosixPath(source).parent / found[1]).replace("\\", "/")
        return found[0] if place in copied else f"]({in_repository(place)}{found[2]})"

    return LINK.sub(link, text)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument(
        "--out", type=Path, default=ROOT / "build" / "class", help="folder of the copy")
    out = asked.parse_args().out
    print(f"{copy(NOTEBOOKS, out)} solutions taken out: {out}")


if __name__ == "__main__":
    main()
