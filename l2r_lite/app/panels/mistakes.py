"""The mistake browser: every question that a student got wrong in a run, and its story."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ipywidgets as w
from matplotlib.figure import Figure

from l2r_lite.app import figures
from l2r_lite.app.figures.base import shorten
from l2r_lite.app.panels.base import Panel, say, side_by_side, stack
from l2r_lite.loop.errors import RunError, printable
from l2r_lite.runs.show import Table, html
from l2r_lite.runs.stories import FIXED, NOT_ASKED, STILL_WRONG, Story, first_wrong, read_stories

_ALL, _NEW, _NO_SKILL = "all", "newly wrong", "(none named)"
_MOST_LISTED, _MOST_IN_TABLE = 500, 10
_LOOK = {"style": {"description_width": "10em"}, "layout": {"width": "24em", "max_width": "100%"}}


class mistake_browser(Panel):  # noqa: N801 - used like a function
    """A student's mistakes: the rationale, its first wrong step, the lessons, the next exam.

        mistake_browser("runs/notebook-00-seed0")

    A question is fixed if all its samples in the next exam are right, and newly wrong if all its
    samples in the exam before were right. Training questions are asked again in the exam of the
    next round, validation questions after each round. Validation questions bring no lessons.

    Args:
        run_folder: a run with at least one finished exam; it may still be running.

    Attributes:
        shown: the stories that pass the filters.

    Raises:
        RunError: the folder is no run, or has no finished exam yet.
    """

    def __init__(self, run_folder: str | Path) -> None:
        self._stories = {
            split: read_stories(run_folder, split) for split in ("exam", "validation")}
        if not any(self._stories.values()):
            raise RunError(
                f"{run_folder}: this run has no mistakes yet; run at least the first exam.")
        self.shown: list[Story] = []
        self._quiet = False
        splits = [("exam (training)", "exam"), ("validation", "validation")]
        fates = [_ALL, FIXED, STILL_WRONG, _NEW, NOT_ASKED]
        self.filters = {
            "asked": _menu("asked in", splits, "Exams on training questions, or validation"),
            "round": _menu("round", [_ALL], "The round of the exam"),
            "skill": _menu("skill", [_ALL], "The skill that the question tests"),
            "fate": _menu("outcome", fates, "How the question went in the next exam"),
            "text": w.Text(
                description="search", placeholder="in questions, rationales and lessons",
                tooltip="Text in the question, the rationales, the lessons or the feedback",
                continuous_update=False, **_LOOK),
        }
        self._count = w.HTML()
        self._story = w.HTML(layout=w.Layout(flex="1 1 32em", max_width="60em"))
        self._picture = w.HTML(layout=w.Layout(width="620px", max_width="100%"))
        self.list = w.Select(
            description="mistakes", rows=12, style={"description_width": "5.5em"},
            tooltip="Choose a mistake to read its story",
            layout=w.Layout(flex="1 1 28em", width="auto", min_width="0", max_width="100%"))
        self.filters["asked"].observe(lambda _: self._offer(), "value")
        for name in ("round", "skill", "fate", "text"):
            self.filters[name].observe(lambda _: self._filter(), "value")
        self.list.observe(lambda _: self._show_story(), "value")
        self.panel = stack(
            side_by_side(*self.filters.values()), self._count,
            side_by_side(self.list, self._story), self._picture)
        if not self._stories["exam"]:
            self.filters["asked"].value = "validation"
        self._offer()

    def figure(self) -> Figure:
        """The mistakes that pass the filters, by skill: fixed, still wrong, not asked again."""
        return figures.mistakes_by_fate(self.shown)

    def table(self) -> Table:
        """The first few mistakes that pass the filters."""
        rows: list[list[Any]] = []
        for story in self.shown[:_MOST_IN_TABLE]:
            problem = story.problem
            _, why = first_wrong(problem, story.mistake)
            fate = f"{_NEW}, {story.fate}" if story.new else story.fate
            rows.append([
                story.round, problem.skill, problem.question, problem.answer, story.mistake, why,
                fate])
        if len(self.shown) > _MOST_IN_TABLE:
            more = f"and {len(self.shown) - _MOST_IN_TABLE} more"
            rows.append(["…", "", more, "", "", "", ""])
        return Table(
            ["round", "skill", "question", "right answer", "student's rationale", "first error",
             "outcome"], rows)

    def _offer(self) -> None:
        """Fill the menus with the rounds and skills of these questions."""
        stories = self._stories[self.filters["asked"].value]
        found: dict[str, list[Any]] = {
            "round": sorted({s.round for s in stories}),
            "skill": sorted({_skill(s) for s in stories})}
        self._quiet = True
        for name, values in found.items():
            menu = self.filters[name]
            kept = menu.value
            menu.options = [(_ALL, _ALL), *((printable(str(v))[:60], v) for v in values)]
            menu.value = kept if kept in values else _ALL
        self._quiet = False
        self._filter()

    def _filter(self) -> None:
        if self._quiet:
            return
        stories = self._stories[self.filters["asked"].value]
        self.shown = [story for story in stories if self._wanted(story)]
        lines = enumerate(map(_line, self.shown[:_MOST_LISTED]))
        self.list.options = [(f"{number + 1}. {line}", number) for number, line in lines]
        self.list.value = 0 if self.shown else None
        count = f"{len(self.shown)} of {len(stories)} questions answered wrong."
        if len(self.shown) > _MOST_LISTED:
            count += f" The list shows the first {_MOST_LISTED}."
        self._count.value = say(html('<div role="status">{}</div>', count))
        self._picture.value = figures.as_html(self.figure()) if self.shown else ""
        self._show_story()

    def _wanted(self, story: Story) -> bool:
        chosen: dict[str, Any] = {name: field.value for name, field in self.filters.items()}
        text, fate = chosen["text"].strip().casefold(), chosen["fate"]
        return (
            chosen["round"] in (_ALL, story.round)
            and chosen["skill"] in (_ALL, _skill(story))
            and (fate in (_ALL, story.fate) or (fate == _NEW and story.new))
            and (not text or any(text in part.casefold() for part in _texts(story))))

    def _show_story(self) -> None:
        number = self.list.value
        if not self.shown:
            self._story.value = say("No mistake matches these filters.")
        elif number is None or number >= len(self.shown):  # while the list is being refilled
            self._story.value = say("")
        else:
            self._story.value = self.shown[number]._repr_html_()


def _menu(label: str, options: Sequence[Any], tooltip: str) -> w.Dropdown:
    return w.Dropdown(description=label, options=options, tooltip=tooltip, **_LOOK)


def _skill(story: Story) -> str:
    return story.problem.skill or _NO_SKILL


def _line(story: Story) -> str:
    # The question first: a narrow page cuts what follows.
    question = shorten(printable(story.problem.question), 60)
    skill = shorten(printable(_skill(story)), 24)
    return f"{question} · round {story.round} · {story.fate} · {skill}"


def _texts(story: Story) -> list[str]:
    refused = [rejection.rationale for rejection in story.rejected]
    return [
        story.problem.question, story.mistake, *story.others, story.feedback, *story.lessons,
        *refused, *story.afterwards]
