"""The seams: what a lab may replace, each an object in the `Parts` of a run (parts.py).

A plain function will do for every protocol with `__call__`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from l2r_lite.loop import records as r
from l2r_lite.loop.config import LoopConfig

if TYPE_CHECKING:
    from torch import Tensor

    from l2r_lite.loop.student import Student

Ask = tuple[r.Mistake, tuple[r.Rejection, ...]]  # a mistake, and what was refused of a first reply


class Writer(Protocol):
    """Writes rationales for a student: the student itself, a server, a search over steps."""

    def generate(self, prompts: Sequence[str], *, samples: int, temperature: float,
                 max_new_tokens: int, seed: int, rows: int,
                 progress: Callable[[int], object] | None) -> list[list[str]]:
        """As `Student.generate`."""


class Teacher(Protocol):
    """Answers mistakes. Subclass it: everything but `teach` has a default."""

    meter: Any = None  # what was asked and spent so far; None for a teacher that costs nothing
    out_of_budget: bool = False  # a call was not made, as it could have passed the budget
    can_revise: bool = False  # can be told what was refused, and how long a text may be

    def teach(self, mistakes: Sequence[r.Mistake], count: int) -> Generator[r.Reply]:
        """Ask for `count` rationales per mistake: one reply each, in any order."""

    def teach_again(self, asks: Sequence[Ask], count: int) -> Generator[r.Reply]:
        """Ask again about mistakes whose first reply brought no lesson."""
        yield from ()

    def plan(self, problems: Sequence[r.Problem], count: int) -> str:
        """What a round on these problems would cost, in words; "" for nothing."""
        return ""


class Reader(Protocol):
    def __call__(self, text: str, problem: r.Problem) -> str | None:
        """The final answer of a text; None if there is none."""


class Judge(Protocol):
    def __call__(self, texts: Sequence[str], problem: r.Problem) -> Sequence[str | None]:
        """The answers of the texts written for one problem: one each, or a vote."""


@dataclass(frozen=True)
class Context:
    """What a verifier may need besides the text."""

    mistakes: Sequence[str] = ()  # the student's wrong rationales on the question
    accepted: Sequence[str] = ()  # lessons on it so far
    fits: Callable[[str], bool] = lambda text: True  # the student can read or write so long a text


class Verifier(Protocol):
    def __call__(self, problem: r.Problem, text: str, context: Context) -> str | None:
        """Why a teacher's rationale must not be trained on; None if it may."""


class Curriculum(Protocol):
    def __call__(self, exam: r.ExamReport, lessons: Sequence[r.Lesson],
                 history: Sequence[Sequence[r.Lesson]], *, seed: int) -> list[r.TrainingItem]:
        """What a round trains on; `history` has the lessons of earlier rounds, round 1 first."""


class Objective(Protocol):
    def __call__(self, student: Student, items: Sequence[r.TrainingItem],
                 config: LoopConfig) -> Iterator[Mapping[str, Tensor]]:
        """Yield {"loss": scalar, name to log: scalar, …} of a batch, whole or in parts.

        Parts add up; backward runs after each, which keeps memory flat.
        """


class Prompt(Protocol):
    def __call__(self, problem: r.Problem) -> str:
        """What the student reads of a problem."""


class Students(Protocol):
    """The student after any round of a run: one base model and an adapter per round."""

    rows: int  # rationales written at once in an exam
    step: Any  # makes the gradients of a training step elsewhere; None: `train_round` does

    def after(self, number: int) -> Student: ...
    def writer(self, number: int) -> Writer: ...
    def fits(self, number: int, *, written: bool) -> Callable[[str], bool]: ...
    def to_be_trained(self, number: int) -> Student: ...
    def adapter(self, number: int) -> Path: ...
    def save(self, number: int) -> None: ...
