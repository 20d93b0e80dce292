"""Following mistakes through a run: exam → teacher → training → the next exam, read from the run folder alone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2r_lite.data.arithmetic import equations, wrong_equations
from l2r_lite.data.pocket import rationales as pocket
from l2r_lite.loop import runfolder as folder
from l2r_lite.loop.errors import printable
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.records import ExamReport, Lesson, Problem, Rejection, Sample
from l2r_lite.runs.show import PLAIN, safe

FIXED, STILL_WRONG, NOT_ASKED = "fixed", "still wrong", "not asked again"


@dataclass(frozen=True)
class Story:
    """What a student got wrong in one question of an exam, and what became of it.

    Attributes:
        mistake: the student's wrong rationale in round `round`'s exam, with `right_before` of its samples right.
        feedback, lessons: what the teacher said, and the verified rationales that were trained on.
        afterwards: what the student wrote to the same question in the next exam (empty if there was none yet).
        right_before, right_after: shares of right samples in the two exams; right_after is None without a next exam.
        others: its other wrong rationales in the same exam.
        rejected: what the teacher wrote and verification refused.
        right_earlier: share of right samples in the exam before this one; None if this was the first.
        split: "exam" (training questions, which bring lessons) or "validation" (which bring none).
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
        """FIXED if all samples of the next exam are right, STILL_WRONG if not all are, NOT_ASKED if there was none."""
        return NOT_ASKED if self.right_after is None else FIXED if self.right_after == 1 else STILL_WRONG

    @property
    def new(self) -> bool:
        """Whether all its samples were right in the exam before: the student has forgotten."""
        return self.right_earlier == 1

    def _repr_html_(self) -> str:
        """A small table for notebooks. Whatever a model, a teacher or a data set said is escaped."""

        def row(head: str, *cells: str) -> str:
            left = "text-align:left;vertical-align:top;max-width:40em;overflow-wrap:anywhere"
            cell = "<br>".join(cells) or "–"
            return f'<tr><th scope="row" style="{left};padding-right:1em">{head}</th><td style="{left}">{cell}</td></tr>'

        sat = "Exam" if self.split == "exam" else "Validation"
        after = "not asked again yet" if self.right_after is None else f"{self.right_after:.0%} of its samples right"
        place, why = first_wrong(self.problem, self.mistake)
        wrote = [_marked(self.mistake, place), f"<em>{safe(why)}</em>", f"({self.right_before:.0%} of its samples right)"]
        return f'<table class="{PLAIN}">' + "".join([
            row("Question", safe(student_prompt(self.problem))),
            row("Right answer", safe(self.problem.answer)),
            row(f"{sat}, round {self.round}", *wrote, *(f"also: {safe(text)}" for text in self.others)),
            row("Teacher", safe(self.feedback)) * (self.split == "exam"),
            row("Lessons", *map(safe, self.lessons)) * (self.split == "exam"),
            row("Rejected", *(f"{safe(r.reason)}: {safe(r.rationale) or '–'}" for r in self.rejected)) * bool(self.rejected),
            row(f"Next {sat.lower()}", *map(safe, self.afterwards), f"({after})"),
        ]) + "</table>"  # fmt: skip

    def __str__(self) -> str:
        return printable("\n".join([
            student_prompt(self.problem), f"  exam {self.round}: {self.mistake}", f"  teacher: {self.feedback}",
            *(f"  lesson:  {x}" for x in self.lessons), *(f"  next exam: {x}" for x in self.afterwards),
        ]))  # fmt: skip


def _marked(text: str, place: tuple[int, int] | None) -> str:
    if place is None:
        return safe(text)
    look = "background:none;color:inherit;font-weight:bold;text-decoration:underline wavy"
    start, end = place
    return f'{safe(text[:start])}<mark style="{look}">{safe(text[start:end])}</mark>{safe(text[end:])}'


def first_wrong(problem: Problem, rationale: str) -> tuple[tuple[int, int] | None, str]:
    """The first wrong step of a rationale: where it stands (None if there is nothing to point at), and a sentence.

    A pocket-world rationale is held against the problem's solution program. Of any other text it can only be said whether its
    equations hold: where all do, the steps compute but answer another question.
    """
    wrong = next(iter(wrong_equations(rationale)), None)
    if problem.program:
        return _off_the_program(problem, rationale)
    if wrong is not None:
        found = re.search(r"\s+".join(map(re.escape, wrong.text.split())), rationale)
        return (found.span() if found else None), f"First wrong step: {wrong.text} does not hold."
    if equations(rationale):
        return None, "The steps compute, but answer another question."
    return None, "There is no step that can be recomputed."


def _off_the_program(problem: Problem, rationale: str) -> tuple[tuple[int, int] | None, str]:
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
        split: "exam" for the exams on training questions, "validation" for the validations after each round.

    Raises:
        RunError: the folder is no run, or its files are damaged.
    """
    sat = _read_sat(Path(out), split)
    shares = {number: _right(report) for number, report in sat.items()}
    written = {number: _written(report) for number, report in sat.items()}
    stories = []
    for number, report in sat.items():
        place = Path(out) / f"round-{number}"
        taught = _by_problem(place / "lessons.jsonl", Lesson) if split == "exam" else {}
        refused = _by_problem(place / "rejected.jsonl", Rejection) if split == "exam" else {}
        problem = {p.id: p for p in report.problems}
        wrong: dict[str, list[str]] = {}
        for m in report.mistakes:
            wrong.setdefault(m.problem.id, []).append(m.rationale)
        for key, texts in wrong.items():
            lessons = taught.get(key, [])
            stories.append(Story(
                round=number, problem=problem[key], mistake=texts[0], others=tuple(texts[1:]), split=split,
                feedback=lessons[0].feedback if lessons else "", lessons=tuple(lesson.rationale for lesson in lessons),
                rejected=tuple(refused.get(key, ())), afterwards=written.get(number + 1, {}).get(key, ()),
                right_earlier=shares.get(number - 1, {}).get(key), right_before=shares[number][key],
                right_after=shares.get(number + 1, {}).get(key),
            ))  # fmt: skip
    return stories


def follow_mistakes(out: str | Path, number: int = 1) -> Iterator[Story]:
    """The stories of all mistakes of a round that brought lessons, those that the next exam shows repaired first.

    Raises:
        RunError: the round has not been run, or its files are damaged.
    """
    if not (Path(out) / f"round-{number}" / "exam.jsonl").exists():
        raise folder.RunError(f"{out}: has no finished exam of round {number}.")
    stories = (s for s in read_stories(out) if s.round == number and s.lessons)
    yield from sorted(stories, key=lambda s: s.right_before - (s.right_after or 0.0))


def _read_sat(out: Path, split: str) -> dict[int, ExamReport]:
    """Round → its finished exam (from round 1), or its finished validation (from round 0)."""
    problems = tuple(folder.read_lines(out / "problems" / f"{'train' if split == 'exam' else split}.jsonl", Problem))
    files = ((number, out / f"round-{number}" / f"{split}.jsonl") for number in itertools.count(int(split == "exam")))
    done = itertools.takewhile(lambda found: found[1].exists(), files)
    return {number: ExamReport(problems, tuple(folder.read_lines(file, Sample))) for number, file in done}


def _by_problem(file: Path, cls: type[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for record in folder.read_lines(file, cls) if file.exists() else ():
        found.setdefault(record.problem_id, []).append(record)
    return found


def read_exams(out: str | Path) -> list[ExamReport]:
    """The exams of a run, those of round 1, 2, … on the training questions, as far as they are finished."""
    return list(_read_sat(Path(out), "exam").values())


def _right(exam: ExamReport) -> dict[str, float]:
    """Question → share of its samples that are right."""
    verdicts: dict[str, list[bool]] = {}
    for sample in exam.samples:
        verdicts.setdefault(sample.problem_id, []).append(sample.correct)
    return {key: sum(v) / len(v) for key, v in verdicts.items()}


def _written(exam: ExamReport) -> dict[str, tuple[str, ...]]:
    """Question → what was written to it, each wording once."""
    texts: dict[str, dict[str, None]] = {}
    for sample in exam.samples:
        texts.setdefault(sample.problem_id, {})[sample.rationale] = None
    return {key: tuple(found) for key, found in texts.items()}
