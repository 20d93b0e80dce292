"""A stranger's run folder: its fields replaced one at a time or all at once, and everything that shows a run folder."""

from __future__ import annotations

import html.parser
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets as w
import mistune

from browser.corpus import HOSTILE
from l2r_course import capstone, forgetting
from l2r_course.figures import whole_loop
from l2r_course.research import evidence
from l2r_lite.app import figures
from l2r_lite.app.panels import compare_panel, loop_panel, mistake_browser
from l2r_lite.loop.errors import UserError, printable
from l2r_lite.runs import fields, schema
from l2r_lite.runs.card import model_card
from l2r_lite.runs.config_file import read_config
from l2r_lite.runs.export import _training_lines
from l2r_lite.runs.reading import read, read_problems
from l2r_lite.runs.report import as_table, read_report, summarise
from l2r_lite.runs.run import run_rounds
from l2r_lite.runs.stories import follow_mistakes, read_exams, read_stories

Place = tuple[str | int, ...]
MISSING = object()
CORPUS = {
    **HOSTILE, "return": "safe\rowned\r\n\x85\u2028x", "title": "\x1b]0;owned\x07\x1b[2J\x1b[1A",
    "backticks": "x` <img src=x onerror=alert(1)> [a link](https://example.invalid) | `y",
}  # fmt: skip
ALL = " ".join(text for kind, text in CORPUS.items() if kind != "long")
BAD: dict[str, Any] = {
    "text": ALL, "missing": MISSING, "null": None, "a list": [1], "an object": {}, "NaN": float("nan"), "true": True,
    "infinity": float("inf"), "less than nothing": -1, "a number without end": 10**400, "a fraction": 0.5, "": "",
}  # fmt: skip


# --- the folder ---


def load(file: Path) -> Any:
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return json.loads(file.read_text(encoding="utf-8"))


def save(file: Path, data: Any) -> None:
    """As a stranger's file may be: not only what our own writer would write."""
    lines = data if file.suffix == ".jsonl" and isinstance(data, list) else [data]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def example(hint: Any) -> Any:
    """A value of a type of schema.py."""
    kind, low, *_ = fields._plain(hint)
    if fields._is_record(kind):
        return {name: example(inner) for name, (inner, _) in fields.fields(kind).items()}
    origin = fields.get_origin(kind)
    if origin is dict:
        return {"a key": example(fields.get_args(kind)[1])}
    if origin in (list, tuple):
        return [example(fields.get_args(kind)[0])] * (fields._length(kind) or 1)
    return {str: "text", bool: False, int: max(0, int(max(low, 0))), float: max(0.0, low)}.get(kind)


def make_whole(out: Path) -> None:
    """Give every file every field that the schema knows: those of a paid teacher, of demonstrations, …

    A field that is added to the schema is in the folder from then on, and so are the tests of it.
    """
    report = load(out / "report.json")
    for number, entry in enumerate(report["rounds"]):
        entry |= {**example(schema.Trained if number else schema.Untrained), **entry}
    report["rounds"][-1]["by_skill"] = dict.fromkeys(report["rounds"][0]["by_skill"], 1.0)  # all learned, and named
    save(out / "report.json", report)
    problems = load(out / "problems" / "train.jsonl")
    for folder in out.glob("round-[1-9]"):
        feedback = folder / "feedback.json"
        given = {k: v for k, v in load(feedback).items() if v}
        save(feedback, {**example(schema.Feedback), **given})
        refused = folder / "rejected.jsonl"
        save(refused, [*load(refused), {"problem_id": problems[0]["id"], "rationale": "No.", "reason": "wrong answer"}])


def files(out: Path) -> list[Path]:
    """All JSON files of a run but those beside weights."""
    found = [f for f in out.rglob("*.json*") if not {"adapter", "student", "served"} & set(f.relative_to(out).parts[:-1])]
    return sorted(found)


# Their keys are names, of skills or files, and all are read in the same way: the first one stands for them.
NAMES = ("by_skill", "sha256")


FREE = ("by_skill", "environment", "rejected_by_reason", "without_lesson")  # objects with names of any kind
KEPT = ("torch", "transformers", "peft", "bitsandbytes")  # names that the card looks for


def places(data: Any) -> Iterator[Place]:
    """Where something stands in JSON data, in one of the rows of a list for each kind of place."""
    seen = set()
    for path in _paths(data, ()):
        pattern = tuple("*" if isinstance(p, int) or (i and path[i - 1] in NAMES) else p for i, p in enumerate(path))
        if pattern not in seen:
            seen.add(pattern)
            yield path


def _paths(data: Any, path: Place) -> Iterator[Place]:
    yield path
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inner:
        yield from _paths(value, (*path, key))


def at(data: Any, path: Place) -> Any:
    for key in path:
        data = data[key]
    return data


def put(data: Any, path: Place, value: Any) -> Any:
    """A copy of the data with another value at a place (MISSING: with none)."""
    if not path:
        return [] if value is MISSING else value
    data = json.loads(json.dumps(data))
    holder = at(data, path[:-1])
    if value is MISSING:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return data


def poison(out: Path, text: str) -> int:
    """Put a text wherever it is not refused, as a value and as a name, all at once. Returns how often."""
    count = 0
    name = "".join(c for c in text if c == printable(c) and c != "\n")[:240]  # as far as a setting may be
    settings = {"teacher": f"openai:{name}", "base_url": "http://127.0.0.1:9/v1", "problems": name, "data_dir": name}
    save(out / "config.json", {**load(out / "config.json"), **settings})
    for file in files(out):
        if file.name == "config.json":
            continue
        data = load(file)
        for names in [at(data, path) for path in _paths(data, ()) if path and path[-1] in FREE]:
            renamed = {key if key in KEPT else f"{key} {text}": x for key, x in names.items()}
            names.clear()
            names.update(renamed)
            count += len(names)
        for path in list(_paths(data, ())):
            old, name = at(data, path), next((p for p in reversed(path) if isinstance(p, str)), "")
            if not isinstance(old, str | None):
                continue
            # Ids stay what they are to each other.
            changed = put(data, path, f"{old} {text}" if name in ("id", "problem_id") else text)
            save(file, changed)
            try:
                read(file)
            except UserError:
                continue
            data, count = changed, count + 1
        save(file, data)
    return count


# --- what shows it ---

Shown = Iterator[tuple[str, str]]  # "html", "markdown" or "text", and what is shown


def _widgets(widget: w.Widget) -> Shown:
    if isinstance(widget, w.HTML):
        yield "html", widget.value
    for option in getattr(widget, "options", ()):
        yield "text", str(option[0] if isinstance(option, tuple) else option)
    for name in ("description", "tooltip", "placeholder"):
        yield "text", str(getattr(widget, name, ""))
    for child in getattr(widget, "children", ()):
        yield from _widgets(child)


def _panel(panel: Any) -> Shown:
    data, meta = panel._repr_mimebundle_()
    yield from (("html", data["text/html"]), ("text", data["text/plain"]), ("text", meta["image/png"]["alt"]))
    yield from _widgets(panel.panel)


def _figures(out: Path) -> Shown:
    report = read_report(out)
    for draw in (figures.run_overview, figures.accuracy_by_round, figures.accuracy_by_skill):
        figure = draw(report)
        yield from (("html", figure._repr_html_()), ("text", repr(figure)), ("text", figures.alt_text(figure)))


def _stories(out: Path) -> Shown:
    for story in [*read_stories(out), *read_stories(out, "validation"), *follow_mistakes(out)]:
        yield from (("html", story._repr_html_()), ("text", str(story)))
    read_exams(out)


def _tables(out: Path) -> Shown:
    first = next(iter(read_problems(out, "test")), None)
    for table in (whole_loop.answers_by_round(out, first.id if first else ""), forgetting.items_by_source({"run": out})):
        yield from (("html", table._repr_html_()), ("text", repr(table)))
    said = whole_loop.run_in_words(read_report(out))
    yield from (("markdown", said._repr_markdown_()), ("text", repr(said)))
    capstone.answers([out])
    evidence.from_folder(out, "tailored")


def _export(out: Path) -> Shown:
    list(_training_lines(out))
    yield "text", ""


def _resume(out: Path) -> Shown:
    yield "terminal", as_table(run_rounds(read_config(out / "config.json"), out, progress=False))


def viewers(other: Path, label: str = "other") -> dict[str, Callable[[Path], Shown]]:
    """Everything that reads a run folder. `other`: a run to compare with."""
    return {
        "loop panel": lambda out: _panel(loop_panel(read_config(out / "config.json"), out.parent, out.name)),
        "compare panel": lambda out: _panel(compare_panel([other, out], [label, "one"])),
        "mistake browser": lambda out: _panel(mistake_browser(out)),
        "summary": lambda out: iter([("terminal", summarise([read_report(out)])), ("terminal", as_table(read_report(out)))]),
        "card": lambda out: iter([("markdown", model_card(read_config(out / "config.json"), read_report(out)))]),
        "figures": _figures, "stories": _stories, "tables": _tables, "export": _export, "resume": _resume,
    }  # fmt: skip


# --- what must not be shown ---

TAGS = set("div span br em b i mark style img progress table thead tbody tr th td h1 h2 p strong a code pre ul li".split())
ATTRIBUTES = {"class", "style", "role", "alt", "src", "scope", "aria-label", "max", "value", "href"}
LINKS = ("https://arxiv.org/abs/2310.13332",)


class _Tags(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        image = given.get("src") or "data:image/png;base64,"
        if (
            tag not in TAGS or given.keys() - ATTRIBUTES or given.get("href") not in (None, *LINKS)
            or not re.fullmatch(r"data:image/png;base64,[A-Za-z0-9+/=]*", image)
        ):  # fmt: skip
            self.found.append(f"<{tag} {given}>"[:120])


def unclean(kind: str, text: str) -> str:
    """What a shown text has that nobody but us may put there; "" if nothing."""
    if kind != "terminal" and printable(text) != text:  # the CLI escapes all that it prints (test_terminal.py)
        return f"control characters in {kind}: {text!r:.200}"
    if kind == "markdown":
        body = text.split("---\n", 2)[-1] if text.startswith("---\n") else text
        kind, text = "html", str(mistune.create_markdown(escape=False, plugins=["table", "url"])(body))
    found = _Tags(text).found if kind == "html" else []
    return f"elements: {found}" if found else ""
