"""HTML is made from escaped parts in one place, `l2r_lite.runs.show.html`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from l2r_lite.runs.show import Table, code, html, join, safe
from strangers import CORPUS, unclean

ROOT = Path(__file__).parent.parent
HERE = "l2r_lite/runs/show.py"
# An element, and not a group of a regular expression: (?P<name>…), (?<=…).
TAG = re.compile(r"(?<!\?P)(?<!\?)</?[a-zA-Z][a-zA-Z0-9]*(?=[\s>/]|$)")
FOR_TEACHERS = ("l2r_lite/teachers/prompt.py", "l2r_lite/teachers/lenient.py")  # <rationale>…</rationale> in replies


def modules() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("l2r_lite", "notebooks/course"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield file.relative_to(ROOT).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def has_tag(node: ast.AST) -> bool:
    """Whether a string, or a string with something in it or behind it, holds an element."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(TAG.search(node.value))


def builds_html(node: ast.AST) -> bool:
    """f"<b>{x}", "<b>" + x, "<b>%s" % x, "<b>{}".format(x), "<br>".join(x)."""
    if isinstance(node, ast.JoinedStr):
        return any(map(has_tag, node.values))
    if isinstance(node, ast.BinOp):
        return has_tag(node.left) or has_tag(node.right)
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and has_tag(node.func.value)


def called(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def faults(name: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        where = f"{name}:{getattr(node, 'lineno', 0)}"
        if name not in FOR_TEACHERS and builds_html(node):
            yield f"{where}: builds HTML; use show.html"
        if called(node) in ("html", "show.html") and not (node.args and isinstance(node.args[0], ast.Constant)):
            if name != HERE:
                yield f"{where}: the template of html() is no constant"
        if called(node) == "join" and len(node.args) > 1 and not isinstance(node.args[1], ast.Constant):
            yield f"{where}: what join() puts between is no constant"
        if called(node) == "Markup" and name != HERE:
            yield f"{where}: makes Markup; use show.html"
        if isinstance(node, ast.ImportFrom) and node.module in ("html", "markupsafe"):
            names = {alias.name for alias in node.names} - {"Markup"}
            if names and name != HERE:
                yield f"{where}: escapes by itself ({', '.join(names)}); use show.html"


def test_no_other_module_makes_html() -> None:
    found = [fault for name, tree in modules() for fault in faults(name, tree)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("line", [
    'f"<b>{x}</b>"', 'f"{x}</td>"', '"<p>" + x', '"<p>%s</p>" % x', '"<p>{}</p>".format(x)', '"<br>".join(x)', "html(x)",
    'html(f"{x}")', "Markup(x)", "from html import escape", "join(x, y)", 'f"<img src={x}>"',
])  # fmt: skip
def test_html_made_elsewhere_is_found(line: str) -> None:
    """The test above can fail."""
    assert list(faults("some/module.py", ast.parse(line)))


def test_what_is_no_html_is_left_alone() -> None:
    for line in (r're.compile(rf"(?P<name>{x})(?<=y)")', 'f"{a} < b and {c} > d"', 'html("<b>{}</b>", x)', 'join(x, "<br>")',
                 '", ".join(x)', 'f"x<1: {x}"'):  # fmt: skip
        assert not list(faults("some/module.py", ast.parse(line))), line


def test_parts_are_escaped_and_html_stays_html() -> None:
    assert html("<b>{}</b>", "<i>") == "<b>&lt;i&gt;</b>"
    assert html("<b>{}</b>", html("<i>{}</i>", "&")) == "<b><i>&amp;</i></b>"
    assert html('<p title="{}">', '" onclick="x') == '<p title="&#34; onclick=&#34;x">'
    assert html("{:.1%} {:,}", 0.5, 1000) == "50.0% 1,000"
    assert join(["<", html("<br>")], "<hr>") == "&lt;<hr><br>"
    assert safe("a\nb\x1b") == "a<br>b\\x1b" and safe(None) == "None"
    assert html("{}", "{0.__class__} {}") == "{0.__class__} {}", "a part is no template"


def test_a_number_is_a_number_before_it_gets_its_format() -> None:
    for value in ("<b>", None, [1]):
        with pytest.raises(ValueError, match="(?i)format"):
            html("{:.1%}", value)


def test_every_text_of_the_corpus_is_text_in_html_and_in_markdown() -> None:
    for text in CORPUS.values():
        for shown in (html("<p>{}</p>", text), html('<img alt="{}">', text), join([text, text], "<br>"), safe(text),
                      Table([text], [[text]])._repr_html_()):  # fmt: skip
            assert not unclean("html", shown)
        assert not unclean("markdown", f"A model {code(text)} and\n\n| a |\n|---|\n| {code(text)} |\n")
