"""Follow mistakes through a run folder: exam → teacher → training → next exam."""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from l2r_lite.data.arithmetic import equations, wrong_equations
from l2r_lite.data.pocket import rationales as pocket
from l2r_lite.data.steps import gap
from l2r_lite.loop.errors import RunError, printable
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.records import ExamReport, Problem, Rejection, Sample
from l2r_lite.runs.reading import read, read_exam, read_problems
from l2r_lite.runs.show import PLAIN, html, join, safe

FIXED, STILL_WRONG, NOT_ASKED = "fixed", "still wrong", "not asked again"
Place = tuple[int, int] | None  # from where to where in a text


@dataclass(frozen=True)
class Story:
    """A question that a student got wrong in an exam, and what happened next.

    Attributes:
        round: the round of the exam.
        mistake: the student's wrong rationale.
        feedback, lessons: what the teacher said, and the verified rationales trained on.
        afterwards: what the student wrote on the same question in the next exam, if there was one.
        right_before, right_after: shares of right samples in this exam and the next one; None
            without a next exam.
        others: its other wrong rationales in the same exam.
        rejected: the teacher's rationales that verification rejected.
        right_earlier: share of right samples in the exam before this one; None without one.
        split: "exam" (training questions, with lessons) or "validation" (without).
    """

    round: int
    problem: Problem
    mistake: str
    feedback: str
    lessons: tuple[str, ...]
    afterwards: tuple[str, ...]
    right_before: float
    right_after: float | None
    others: tuple[str, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    right_earlier: float | None = None
    split: str = "exam"

    @property
    def fate(self) -> str:
        """FIXED if all samples of the next exam are right, else STILL_WRONG or NOT_ASKED."""
        if self.right_after is None:
            return NOT_ASKED
        return FIXED if self.right_after == 1 else STILL_WRONG

    @property
    def new(self) -> bool:
        """Whether all its samples were right in the previous exam: the student has forgotten."""
        return self.right_earlier == 1

    def _repr_html_(self) -> Markup:
        """A table for notebooks. Text from models, teachers and data sets is escaped."""
        exam = "Exam" if self.split == "exam" else "Validation"
        place, why = first_wrong(self.problem, self.mistake)
        before = f"({self.right_before:.0%} of its samples right)"
        after = "(not asked again yet)"
        if self.right_after is not None:
            after = f"({self.right_after:.0%} of its samples right)"
        wrote = [_marked(self.mistake, place), html("<em>{}</em>", why), before]
        rows = [
            _row("Question", student_prompt(self.problem)),
            _row("Right answer", self.problem.answer),
            _row(f"{exam}, round {self.round}", *wrote, *(f"also: {text}" for text in self.others)),
        ]
        if self.split == "exam":
            rows.append(_row("Teacher", self.feedback))
            rows.append(_row("Lessons", *(_lesson(self.problem, text) for text in self.lessons)))
        if self.rejected:
            refused = [f"{r.reason}: {r.rationale or '–'}" for r in self.rejected]
            rows.append(_row("Rejected", *refused))
        rows.append(_row(f"Next {exam.lower()}", *self.afterwards, after))
        return html('<table class="{}">{}</table>', PLAIN, join(rows))

    def __str__(self) -> str:
        return printable("\n".join([
            student_prompt(self.problem), f"  exam {self.round}: {self.mistake}",
            f"  teacher: {self.feedback}", *(f"  lesson:  {x}" for x in self.lessons),
            *(f"  next exam: {x}" for x in self.afterwards)]))


def _row(head: str, *cells: str) -> Markup:
    left = "text-align:left;vertical-align:top;max-width:40em;overflow-wrap:anywhere"
    return html(
        '<tr><th scope="row" style="{};overflow-wrap:normal;padding-right:1em">{}</th>'
        '<td style="{}">{}</td></tr>', left, head, left, join(cells, "<br>") or "–")


def _lesson(problem: Problem, text: str) -> Markup:
    """A lesson, marked where its steps do not lead to its answer."""
    doubt = gap(problem, text)
    return html("{} <em>(in doubt: {})</em>", text, doubt) if doubt else safe(text)


def _marked(text: str, place: Place) -> Markup:
    if place is None:
        return safe(text)
    look = "background:none;color:inherit;font-weight:bold;text-decoration:underline wavy"
    start, end = place
    mark = html('<mark style="{}">{}</mark>', look, text[start:end])
    return html("{}{}{}", text[:start], mark, text[end:])


def first_wrong(problem: Problem, rationale: str) -> tuple[Place, str]:
    """The first wrong step of a rationale: its place in the text (or None), and a sentence.

    A pocket-world rationale is compared with the problem's solution program. In any other text only
    the equations can be checked: if all hold, the steps answer another question.
    """
    if problem.program:
        return _off_the_program(problem, rationale)
    wrong = next(iter(wrong_equations(rationale)), None)
    if wrong is not None:
        found = re.search(r"\s+".join(map(re.escape, wrong.text.split())), rationale)
        return found and found.span(), f"First wrong step: {wrong.text} does not hold."
    if equations(rationale):
        return None, "The steps compute, but answer another question."
    return None, "There is no step that can be recomputed."


def _off_the_program(problem: Problem, rationale: str) -> tuple[Place, str]:
    found = pocket.first_wrong_step(problem, rationale)
    if found is None:
        return None, "Every step is right; the answer is not."
    position, got, want = found
    if got is None:
        return None, "The steps are right as far as they go; one is missing."
    place = pocket.step_places(rationale)[position]
    if want is None:
        return place, "First wrong step: the question was answered before it."
    if not pocket.is_true(got):
        return place, f"First wrong step: {rationale[slice(*place)]} does not hold."
    return place, "First wrong step: it computes, but the question does not ask for it."


def read_stories(out: str | Path, split: str = "exam") -> list[Story]:
    """The stories of all questions that the student got wrong in a run so far, exam by exam.

    Args:
        split: "exam" for the exams on training questions, "validation" for the validations.

    Raises:
        RunError: the folder is not a run, or its files are damaged.
    """
    exams = _finished_exams(Path(out), split)
    samples = {number: _by_problem(exam.samples) for number, exam in exams.items()}
    stories = []
    for number, exam in exams.items():
        place = Path(out) / f"round-{number}"
        earlier, now, later = (samples.get(n, {}) for n in (number - 1, number, number + 1))
        taught, refused = {}, {}
        if split == "exam":
            taught = _by_problem(_read(place / "lessons.jsonl", exam.problems))
            refused = _by_problem(_read(place / "rejected.jsonl", exam.problems))
        wrong: dict[Problem, list[str]] = {}
        for mistake in exam.mistakes:
            wrong.setdefault(mistake.problem, []).append(mistake.rationale)
        for problem, (first, *others) in wrong.items():
            lessons, afterwards = taught.get(problem.id, []), later.get(problem.id, [])
            stories.append(Story(
                round=number, problem=problem, mistake=first, others=tuple(others), split=split,
                feedback=lessons[0].feedback if lessons else "",
                lessons=tuple(lesson.rationale for lesson in lessons),
                rejected=tuple(refused.get(problem.id, ())),
                afterwards=tuple(dict.fromkeys(sample.rationale for sample in afterwards)),
                right_earlier=_right(earlier.get(problem.id, [])),
                right_before=_right(now[problem.id]) or 0.0, right_after=_right(afterwards)))
    return stories


def follow_mistakes(out: str | Path, number: int = 1) -> Iterator[Story]:
    """The stories of a round's mistakes with lessons; those fixed in the next exam come first.

    Raises:
        RunError: the round has not been run, or its files are damaged.
    """
    if not (Path(out) / f"round-{number}" / "exam.jsonl").exists():
        raise RunError(f"{out}: has no finished exam of round {number}.")
    stories = (s for s in read_stories(out) if s.round == number and s.lessons)
    yield from sorted(stories, key=lambda s: s.right_before - (s.right_after or 0.0))


def read_exams(out: str | Path) -> list[ExamReport]:
    """A run's finished exams on the training questions, those of rounds 1, 2, …"""
    return list(_finished_exams(Path(out), "exam").values())


def _finished_exams(out: Path, split: str) -> dict[int, ExamReport]:
    """Round → its finished exam (from round 1), or its finished validation (from round 0)."""
    questions, first = ("train", 1) if split == "exam" else (split, 0)
    problems = read_problems(out, questions)
    exams = {}
    for number in itertools.count(first):
        file = out / f"round-{number}" / f"{split}.jsonl"
        if not file.exists():
            break
        exams[number] = read_exam(file, problems)
    return exams


def _read(file: Path, problems: Iterable[Problem]) -> list[Any]:
    return read(file, problems) if file.exists() else []


def _by_problem(records: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for record in records:
        found.setdefault(record.problem_id, []).append(record)
    return found


def _right(samples: list[Sample]) -> float | None:
    """Share of samples that are right; None if there are none."""
    return sum(s.correct for s in samples) / len(samples) if samples else None
