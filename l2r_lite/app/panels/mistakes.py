"""The mistake browser: every question that a student got wrong in a run, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ipywidgets as w
from matplotlib.figure import Figure

from l2r_lite.app import figures
from l2r_lite.app.panels.base import Panel, say, side_by_side, stack
from l2r_lite.loop.errors import RunError, printable
from l2r_lite.runs.show import Table
from l2r_lite.runs.stories import FIXED, NOT_ASKED, STILL_WRONG, Story, first_wrong, read_stories

_ALL, _NEW, _NO_SKILL = "all", "newly wrong", "(none named)"
_MOST_LISTED, _MOST_IN_TABLE = 500, 10


class mistake_browser(Panel):  # noqa: N801 - used like a function
    """What a student got wrong: its rationale with the first wrong step marked, the teacher's words, the next exam's answer.

        mistake_browser("runs/notebook-00")

    Fixed means that all samples of the next exam are right; newly wrong, that all of the exam before were. Training questions
    are asked again in the next round's exam; validation questions (which bring no lessons) after each round.

    Args:
        run_folder: a run with at least one finished exam; it may be still at work.

    Attributes:
        shown: the stories that the filters leave.

    Raises:
        RunError: the folder is no run, or has no finished exam yet.
    """

    def __init__(self, run_folder: str | Path) -> None:
        self._stories = {"exam": read_stories(run_folder), "validation": read_stories(run_folder, "validation")}
        if not any(self._stories.values()):
            raise RunError(f"{run_folder}: there is no mistake in it yet; run at least the first exam.")
        self.shown: list[Story] = []
        self._quiet = False
        self.filters = {
            "asked": _menu("asked in", [("exam (training)", "exam"), ("validation", "validation")], "which questions"),
            "round": _menu("round", [_ALL], "the round whose exam it was"),
            "skill": _menu("skill", [_ALL], "the skill that the question exercises"),
            "fate": _menu("what became of it", [_ALL, FIXED, STILL_WRONG, _NEW, NOT_ASKED], "by the next and the last exam"),
            "text": w.Text(description="search", placeholder="in questions, rationales and lessons", continuous_update=False,
                           tooltip="words to be found in the question, the rationales, the lessons or what the teacher said",
                           style=_STYLE, layout=_LAYOUT),
        }  # fmt: skip
        self._count, self._story, self._picture = w.HTML(), w.HTML(), w.HTML(layout=w.Layout(width="620px", max_width="100%"))
        self.list = w.Select(description="mistakes", rows=12, style={"description_width": "5.5em"},
                             tooltip="choose one to read it", layout=w.Layout(width="26em", max_width="100%"))  # fmt: skip
        self._story.layout = w.Layout(flex="1 1 24em", max_width="60em")
        self.filters["asked"].observe(lambda _: self._offer(), "value")
        for name in ("round", "skill", "fate", "text"):
            self.filters[name].observe(lambda _: self._filter(), "value")
        self.list.observe(lambda _: self._read(), "value")
        self.panel = stack(
            side_by_side(*self.filters.values()), self._count, side_by_side(self.list, self._story), self._picture
        )
        if not self._stories["exam"]:
            self.filters["asked"].value = "validation"
        self._offer()

    def figure(self) -> Figure:
        """What became of the mistakes that the filters leave, by skill."""
        return figures.mistakes_by_fate(self.shown)

    def table(self) -> Table:
        """The first of the mistakes that the filters leave."""
        rows = [
            [s.round, s.problem.skill, s.problem.question, s.problem.answer, s.mistake, first_wrong(s.problem, s.mistake)[1],
             f"{_NEW}, {s.fate}" if s.new else s.fate]
            for s in self.shown[:_MOST_IN_TABLE]
        ]  # fmt: skip
        if len(self.shown) > _MOST_IN_TABLE:
            rows.append(["…", "", f"and {len(self.shown) - _MOST_IN_TABLE} more", "", "", "", ""])
        head = ["round", "skill", "question", "answer", "the student wrote", "where it went wrong", "what became of it"]
        return Table(head, rows)

    def _offer(self) -> None:
        """The rounds and skills that there are among these questions."""
        stories = self._stories[self.filters["asked"].value]
        self._quiet = True
        for name, values in (("round", sorted({s.round for s in stories})), ("skill", sorted({_skill(s) for s in stories}))):
            menu = self.filters[name]
            options = [(_ALL, _ALL), *((printable(str(value))[:60], value) for value in values)]
            kept = menu.value
            menu.options = options
            menu.value = kept if kept in [value for _, value in options] else _ALL
        self._quiet = False
        self._filter()

    def _filter(self) -> None:
        if self._quiet:
            return
        stories = self._stories[self.filters["asked"].value]
        self.shown = [story for story in stories if self._wanted(story)]
        listed = [(f"{number + 1}. {_line(story)}", number) for number, story in enumerate(self.shown[:_MOST_LISTED])]
        self.list.options = listed
        self.list.value = 0 if listed else None
        told = f"{len(self.shown)} of {len(stories)} questions answered wrong"
        cut = f"; the list has the first {_MOST_LISTED}" if len(self.shown) > _MOST_LISTED else ""
        self._count.value = say(f'<div role="status">{told}{cut}.</div>')
        self._picture.value = figures.as_html(self.figure()) if self.shown else ""
        self._read()

    def _wanted(self, story: Story) -> bool:
        chosen: dict[str, Any] = {name: field.value for name, field in self.filters.items()}
        text = chosen["text"].strip().casefold()
        return (
            chosen["round"] in (_ALL, story.round)
            and chosen["skill"] in (_ALL, _skill(story))
            and (chosen["fate"] in (_ALL, story.fate) or (chosen["fate"] == _NEW and story.new))
            and (not text or any(text in part.casefold() for part in _texts(story)))
        )

    def _read(self) -> None:
        number = self.list.value
        if number is None or number >= len(self.shown):
            self._story.value = say("No mistake passes these filters." if not self.shown else "")
        else:
            self._story.value = self.shown[number]._repr_html_()


_STYLE = {"description_width": "10em"}
_LAYOUT = {"width": "24em", "max_width": "100%"}


def _menu(label: str, options: Sequence[Any], tooltip: str) -> w.Dropdown:
    return w.Dropdown(description=label, options=options, tooltip=tooltip, style=_STYLE, layout=_LAYOUT)


def _skill(story: Story) -> str:
    return story.problem.skill or _NO_SKILL


def _line(story: Story) -> str:
    text = " ".join(printable(story.problem.question).split())
    return f"round {story.round} · {printable(_skill(story))[:24]} · {story.fate} · {text[:60]}"


def _texts(story: Story) -> list[str]:
    refused = [r.rationale for r in story.rejected]
    return [story.problem.question, story.mistake, *story.others, story.feedback, *story.lessons, *refused, *story.afterwards]
