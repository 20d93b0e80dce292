"""The vocabulary of the loop: what flows from step to step, as small frozen records.

    Problem → (exam) → Sample → the wrong ones are Mistakes → (teacher) → Lesson → (training) → Student

Every record turns into one line of JSON and back, so that each step of a run can be read in a text editor.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Kind = Literal["number", "yes-no", "choice"]
KINDS: tuple[str, ...] = get_args(Kind)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Step:
    """One step of a solution program: `left op right = result`.

    `op` is one of + - * / (then `result` is their value) or < > (a relation that holds; then `result` is 1). Operands
    are plain ints: what an earlier step produced is written out again, as in a rationale.
    """

    left: int
    op: str
    right: int
    result: int

    def __str__(self) -> str:
        relation = f"{self.left} {self.op} {self.right}"
        return relation if self.op in "<>" else f"{relation} = {self.result}"


@dataclass(frozen=True)
class Problem:
    """A question with its gold answer.

    Attributes:
        id: unique within a data set and stable over runs, e.g. "pocket-train-17", "gsm8k-test-3".
        question: the text the student sees (choices are not part of it; prompts.py adds them).
        answer: gold answer in canonical form: "42" or "3.5" (number), "yes"/"no", a letter "A".."Z" (choice).
        kind: which of the three answer kinds of the benchmarks this is.
        choices: the texts of the options in the order A, B, C, …; empty unless kind is "choice".
        rationale: the data set's own rationale if it has one, else "".
        skill: the named skill it exercises (pocket world) or the data set's own type; "" if unknown.
        template: names the wording without numbers, names and objects (pocket world); "" elsewhere.
        program: the steps that solve it, in order (pocket world); empty elsewhere.
    """

    id: str
    question: str
    answer: str
    kind: Kind
    choices: tuple[str, ...] = ()
    rationale: str = ""
    skill: str = ""
    template: str = ""
    program: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Sample:
    """One answer of the student in an exam: its rationale as generated, what was read from it, and the verdict."""

    problem_id: str
    index: int
    rationale: str
    answer: str | None
    correct: bool


@dataclass(frozen=True)
class Mistake:
    """A sample whose final answer is wrong, with the problem it was about. `rationale` ends in the student's own answer."""

    problem: Problem
    rationale: str
    answer: str | None


@dataclass(frozen=True)
class Lesson:
    """A verified rationale for one problem: made for a mistake by the teacher, or the student's own correct sample.

    `feedback` says what was wrong in the mistake (shown to people, not trained on); `source` is "teacher" or "student".
    """

    problem_id: str
    rationale: str
    feedback: str = ""
    source: str = "teacher"


@dataclass(frozen=True)
class Rejection:
    """A rationale that a teacher gave and verification refused, and why."""

    problem_id: str
    rationale: str
    reason: str


@dataclass(frozen=True)
class TrainingItem:
    """One item of tailored training: the anchor is learned from; positive and negative form the triplet, if both exist."""

    problem: Problem
    anchor: str
    positive: str | None = None
    negative: str | None = None
    source: str = field(default="lesson", compare=False)

    @property
    def has_triplet(self) -> bool:
        return self.positive is not None and self.negative is not None


def to_json(record: Any) -> dict[str, Any]:
    """A record as plain JSON data; `from_json` is its inverse for Problem, Sample, Lesson and Rejection."""
    return dataclasses.asdict(record)


_PLAIN: dict[str, Any] = {"str": str, "int": int, "bool": bool, "Kind": str, "str | None": (str, type(None))}


def from_json(cls: type, data: dict[str, Any]) -> Any:
    """Build a record of class `cls` from JSON data; unknown fields are ignored, so that old readers read new files."""
    known = {f.name: _PLAIN.get(str(f.type)) for f in dataclasses.fields(cls)}
    values = {k: v for k, v in data.items() if k in known}
    for name, value in values.items():
        if (kind := known[name]) and not isinstance(value, kind):
            raise TypeError(f"{name} cannot be {value!r:.60}")
    if cls is Problem:
        values["choices"] = tuple(values.get("choices", ()))
        values["program"] = tuple(Step(**s) if isinstance(s, dict) else Step(*s) for s in values.get("program", ()))
    return cls(**values)
