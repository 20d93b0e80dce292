"""Following mistakes through a run: exam → teacher → training → the next exam, read from the run folder alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from l2r_lite import runfolder as folder
from l2r_lite.exam import ExamReport
from l2r_lite.prompts import student_prompt
from l2r_lite.records import Lesson, Problem, Sample
from l2r_lite.show import PLAIN


@dataclass(frozen=True)
class Story:
    """One mistake and what became of it.

    Attributes:
        mistake: the student's wrong rationale in round `round`'s exam, with `right_before` of its samples right.
        feedback, lessons: what the teacher said, and the verified rationales that were trained on.
        afterwards: what the student wrote to the same question in the next exam (empty if there was none yet).
        right_before, right_after: shares of right samples in the two exams; right_after is None without a next exam.
    """

    round: int
    problem: Problem
    mistake: str
    feedback: str
    lessons: tuple[str, ...]
    afterwards: tuple[str, ...]
    right_before: float
    right_after: float | None

    def _repr_html_(self) -> str:
        """A small table for notebooks. Whatever a model, a teacher or a data set said is escaped."""

        def row(head: str, *texts: str) -> str:
            cell = "<br>".join(escape(t).replace("\n", "<br>") for t in texts) or "–"
            left = "text-align:left;vertical-align:top"
            return f'<tr><th scope="row" style="{left};padding-right:1em">{head}</th><td style="{left}">{cell}</td></tr>'

        after = "not examined again yet" if self.right_after is None else f"{self.right_after:.0%} of its samples right"
        return f'<table class="{PLAIN}">' + "".join([
            row("Question", student_prompt(self.problem)),
            row("Right answer", self.problem.answer),
            row(f"Exam, round {self.round}", self.mistake, f"({self.right_before:.0%} of its samples right)"),
            row("Teacher", self.feedback),
            row("Lessons", *self.lessons),
            row("Next exam", *self.afterwards, f"({after})"),
        ]) + "</table>"  # fmt: skip

    def __str__(self) -> str:
        return "\n".join([
            student_prompt(self.problem), f"  exam {self.round}: {self.mistake}", f"  teacher: {self.feedback}",
            *(f"  lesson:  {x}" for x in self.lessons), *(f"  next exam: {x}" for x in self.afterwards),
        ])  # fmt: skip


def follow_mistakes(out: str | Path, number: int = 1) -> Iterator[Story]:
    """The stories of all mistakes of a round that brought lessons, those that the next exam shows repaired first.

    Raises:
        RunError: the round has not been run, or its files are damaged.
    """
    place = Path(out) / f"round-{number}"
    problems = tuple(folder.read_lines(Path(out) / "problems" / "train.jsonl", Problem))
    exam = ExamReport(problems, tuple(folder.read_lines(place / "exam.jsonl", Sample)))
    later = Path(out) / f"round-{number + 1}" / "exam.jsonl"
    after = ExamReport(problems, tuple(folder.read_lines(later, Sample))) if later.exists() else None
    taught: dict[str, list[Lesson]] = {}
    for lesson in folder.read_lines(place / "lessons.jsonl", Lesson):
        taught.setdefault(lesson.problem_id, []).append(lesson)
    first = {m.problem.id: m for m in reversed(exam.mistakes)}  # the first mistake of each question
    before, then = _right(exam), _right(after)
    stories = [
        Story(
            number, m.problem, m.rationale, taught[key][0].feedback, tuple(x.rationale for x in taught[key]),
            _distinct(after, key), before[key], then.get(key),
        )
        for key, m in first.items() if key in taught
    ]  # fmt: skip
    yield from sorted(stories, key=lambda s: s.right_before - (s.right_after or 0.0))


def read_exams(out: str | Path) -> list[ExamReport]:
    """The exams of a run, those of round 1, 2, … on the training questions, as far as they are finished."""
    problems = tuple(folder.read_lines(Path(out) / "problems" / "train.jsonl", Problem))
    files = (Path(out) / f"round-{number}" / "exam.jsonl" for number in itertools.count(1))
    done = itertools.takewhile(Path.exists, files)
    return [ExamReport(problems, tuple(folder.read_lines(file, Sample))) for file in done]


def _right(exam: ExamReport | None) -> dict[str, float]:
    verdicts: dict[str, list[bool]] = {}
    for sample in exam.samples if exam else ():
        verdicts.setdefault(sample.problem_id, []).append(sample.correct)
    return {key: sum(v) / len(v) for key, v in verdicts.items()}


def _distinct(exam: ExamReport | None, key: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s.rationale for s in exam.samples if s.problem_id == key)) if exam else ()
