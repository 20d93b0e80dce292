"""Plain English: words that CONTRIBUTING's list replaces are in no text that a user reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
BANNED = re.compile(
    r"\b(?:mend(?:s|ed|ing)?|dear(?:er|est)?|foretells?|foretold|reckon\w*|(?:go|goes|going|gone|went) on with|"
    r"look(?:s|ed|ing)? after|(?:is|are) beyond us|(?:grain|pinch) of salt|take that with salt|what a start paid|"
    r"of (?:its|another|that) kind|whoever|what leans)\b", re.I)  # fmt: skip
DOCS = [ROOT / "README.md", *ROOT.glob("*/README.md"), *ROOT.glob("notebooks/*.md"), *ROOT.glob("notebooks/evidence/*.md")]
CODE = [*ROOT.glob("l2r_lite/**/*.py"), *ROOT.glob("notebooks/course/**/*.py")]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))


def texts(file: Path) -> Iterator[str]:
    """What a user reads of a file: all of a document, source and output of a notebook's cells, strings of code."""
    if file.suffix == ".ipynb":
        for cell in nbformat.read(file, as_version=4).cells:
            yield cell.source
            for output in cell.get("outputs", []):
                yield str(output.get("text", ""))
    elif file.suffix == ".py":
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    else:
        yield file.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", [*DOCS, *CODE, *NOTEBOOKS], ids=lambda f: str(f.relative_to(ROOT)))
def test_no_text_has_a_word_of_the_list(file: Path) -> None:
    found = [(match[0], text[max(0, match.start() - 40) : match.end() + 40])
             for text in texts(file) for match in BANNED.finditer(" ".join(text.split()))]  # fmt: skip
    assert not found


@pytest.mark.parametrize("word", ["mended", "Foretold", "gone on with", "looked after", "of its kind", "Whoever"])
def test_the_list_finds_a_word(word: str) -> None:
    assert BANNED.search(f"It was {word} here.")
