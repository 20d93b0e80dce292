"""The vocabulary of the loop: the small frozen records that flow from step to step.

    Problem → (exam) → Sample; wrong ones are Mistakes → (teacher) → Lesson → TrainingItem

Every record is saved as one line of JSON (runfolder): read a run's steps in any text editor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

Kind = Literal["number", "yes-no", "choice"]
KINDS: tuple[str, ...] = get_args(Kind)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Step:
    """One step of a solution program: `left op right = result`."""

    left: int
    op: str  # + - * /, or < > for a comparison that holds (then `result` is 1)
    right: int
    result: int

    def __str__(self) -> str:
        relation = f"{self.left} {self.op} {self.right}"
        return relation if self.op in "<>" else f"{relation} = {self.result}"


@dataclass(frozen=True)
class Problem:
    """A question with its gold answer."""

    id: str  # unique within a data set and the same in every run, e.g. "gsm8k-test-3"
    question: str  # what the student reads, without the choices: the prompt adds them
    answer: str  # canonical: "42" or "3.5", "yes" or "no", a letter "A".."Z"
    kind: Kind
    choices: tuple[str, ...] = ()  # the options A, B, C, … of kind "choice"
    rationale: str = ""  # the data set's own, if any
    skill: str = ""  # what it practises (pocket world), or the data set's type of problem
    template: str = ""  # the wording without numbers, names and objects (pocket world)
    program: tuple[Step, ...] = ()  # the steps that solve it, in order (pocket world)


@dataclass(frozen=True)
class Sample:
    """One answer in an exam: the text as written, the answer read from it, and the verdict."""

    problem_id: str
    index: int
    rationale: str
    answer: str | None
    correct: bool


@dataclass(frozen=True)
class Mistake:
    """A wrong sample with its problem. `rationale` ends in the student's own wrong answer."""

    problem: Problem
    rationale: str
    answer: str | None


@dataclass(frozen=True)
class ExamReport:
    """The result of an exam: every sample once, in the order of the problems."""

    problems: tuple[Problem, ...]
    samples: tuple[Sample, ...]

    @property
    def accuracy(self) -> float:
        """Share of samples that are right, in [0, 1]."""
        return sum(s.correct for s in self.samples) / max(len(self.samples), 1)

    @cached_property
    def by_skill(self) -> dict[str, float]:
        """Accuracy per skill, in the order in which skills appear; {} if problems name none."""
        skill = {p.id: p.skill for p in self.problems}
        verdicts: dict[str, list[bool]] = {}
        for sample in self.samples:
            if name := skill[sample.problem_id]:
                verdicts.setdefault(name, []).append(sample.correct)
        return {name: sum(found) / len(found) for name, found in verdicts.items()}

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """The wrong samples without duplicates, each with the student's own wrong answer."""
        problem = {p.id: p for p in self.problems}
        wrong = {(s.problem_id, s.rationale): s for s in self.samples if not s.correct}
        return [Mistake(problem[s.problem_id], s.rationale, s.answer) for s in wrong.values()]

    @cached_property
    def correct(self) -> dict[str, list[str]]:
        """Problem id → the student's own correct rationales, without duplicates."""
        found: dict[str, list[str]] = {}
        for sample in self.samples:
            if sample.correct:
                found.setdefault(sample.problem_id, []).append(sample.rationale)
        return {key: list(dict.fromkeys(texts)) for key, texts in found.items()}


@dataclass(frozen=True)
class Reply:
    """A teacher's reply to a mistake, not verified yet. `fault`: why it is empty ("timeout")."""

    mistake: Mistake
    feedback: str
    rationales: tuple[str, ...]
    fault: str = ""


@dataclass(frozen=True)
class Lesson:
    """A verified rationale. `feedback` is for people to read; no student trains on it."""

    problem_id: str
    rationale: str
    feedback: str = ""
    source: str = "teacher"


@dataclass(frozen=True)
class Rejection:
    """A teacher's rationale that verification refused, and why."""

    problem_id: str
    rationale: str
    reason: str


@dataclass(frozen=True)
class TrainingItem:
    """The student learns the anchor; positive and negative complete the triplet, if both exist."""

    problem: Problem
    anchor: str
    positive: str | None = None
    negative: str | None = None
    source: str = field(default="lesson", compare=False)

    @property
    def has_triplet(self) -> bool:
        return self.positive is not None and self.negative is not None
