"""Cells of a notebook as HTML, with formulas as MathML and nothing from elsewhere."""

from __future__ import annotations

import re
from html import escape
from typing import Any

import nbformat
from latex2mathml.converter import convert
from nbconvert.filters import ansi2html
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

# LaTeX that the converter does not know.
_IN_OTHER_WORDS = {r"\arg\min": r"\operatorname{arg\,min}"}
_highlight = Highlight2HTML()


class _WithMathML(IPythonRenderer):
    """Markdown whose formulas every browser draws by itself, with or without a network."""

    def block_math(self, body: str) -> str:
        return _math(body, "block")

    def inline_math(self, body: str) -> str:
        return _math(body, "inline")


def _math(latex: str, display: str) -> str:
    for unknown, known in _IN_OTHER_WORDS.items():
        latex = latex.replace(unknown, known)
    formula = convert(latex.strip(), display=display)
    return f'<div class="formula">{formula}</div>' if display == "block" else formula


def markdown_html(text: str) -> str:
    """Markdown with formulas, tables and folded parts as HTML; headings get Jupyter's anchors."""
    renderer = _WithMathML(escape=False, anchor_link_text="#")
    html = str(MarkdownWithMath(renderer=renderer).render(text))
    return re.sub(r"(<table>.*?</table>)", r'<div class="wide">\1</div>', html, flags=re.S)


def cell_html(cell: nbformat.NotebookNode) -> str:
    """A cell with its outputs."""
    if cell.cell_type == "markdown":
        return f'<div class="text">{markdown_html(cell.source)}</div>'
    if cell.cell_type != "code" or not cell.source.strip():
        return ""
    code = _highlight(cell.source, language="ipython3")
    outputs = "".join(map(output_html, cell.outputs))
    shown = f'<div class="output">{outputs}</div>' if outputs else ""
    return f'<div class="code">{code}</div>{shown}'


def output_html(output: nbformat.NotebookNode) -> str:
    """An output in its richest form that a page without a kernel can show."""
    if output.output_type == "stream":
        return _pre(output.text)
    if output.output_type == "error":
        return _pre("\n".join(output.traceback))
    data = output.data
    if "image/png" in data:
        about = output.metadata.get("image/png", {}).get("alt") or data.get("text/plain", "")
        return _picture(data["image/png"], about)
    if "text/html" in data:
        return f'<div class="wide">{data["text/html"]}</div>'
    if "text/markdown" in data:
        return f'<div class="text">{markdown_html(data["text/markdown"])}</div>'
    return _pre(data.get("text/plain", ""))


def _picture(png: str, about: str) -> str:
    name = " ".join(about.removeprefix("Figure: ").split())
    name = "" if name.startswith("<") else name  # the default repr of an object describes nothing
    data = "".join(png.split())
    return f'<img alt="{escape(name)}" src="data:image/png;base64,{data}">'


def _pre(text: Any) -> str:
    return f"<pre>{ansi2html(str(text))}</pre>"
