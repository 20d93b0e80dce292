"""The parts that a lab may replace; most are fields of a run's `Parts` (parts.py).

For a protocol with `__call__`, too, a plain function is enough.
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

Ask = tuple[r.Mistake, tuple[r.Rejection, ...]]  # a mistake, and the rejections of its first reply


class Writer(Protocol):
    """Writes rationales for a student: the student itself, a server, a search over steps."""

    def generate(self, prompts: Sequence[str], *, samples: int, temperature: float,
                 max_new_tokens: int, seed: int, rows: int,
                 progress: Callable[[int], object] | None) -> list[list[str]]:
        """See `Student.generate`."""


class Teacher(Protocol):
    """Answers mistakes. Subclass it: everything but `teach` has a default."""

    meter: Any = None  # calls and cost so far; None for a teacher that costs nothing
    out_of_budget: bool = False  # a call was skipped because it could exceed the budget
    can_revise: bool = False  # takes a list of rejections and a length limit

    def teach(self, mistakes: Sequence[r.Mistake], count: int) -> Generator[r.Reply]:
        """Ask for `count` rationales per mistake: one reply each, in any order."""

    def teach_again(self, asks: Sequence[Ask], count: int) -> Generator[r.Reply]:
        """Ask again about mistakes whose first reply brought no lesson."""
        yield from ()

    def plan(self, problems: Sequence[r.Problem], count: int) -> str:
        """The cost of a round on these problems, in words; "" if it costs nothing."""
        return ""


# The final answer of a text; None if there is none.
Reader = Callable[[str, r.Problem], str | None]
# The answers of the texts written for one problem: one per text, or a vote.
Judge = Callable[[Sequence[str], r.Problem], Sequence[str | None]]
# The text that the student reads for a problem.
Prompt = Callable[[r.Problem], str]


@dataclass(frozen=True)
class Context:
    """What a verifier may need besides the text."""

    mistakes: Sequence[str] = ()  # the student's wrong rationales on the question
    accepted: Sequence[str] = ()  # lessons on it so far
    fits: Callable[[str], bool] = lambda text: True  # the text is short enough for the student


# The reason to reject a teacher's rationale; None to accept it.
Verifier = Callable[[r.Problem, str, Context], str | None]


class Curriculum(Protocol):
    def __call__(self, exam: r.ExamReport, lessons: Sequence[r.Lesson],
                 history: Sequence[Sequence[r.Lesson]], *, seed: int) -> list[r.TrainingItem]:
        """A round's training items; `history` has the lessons of earlier rounds, round 1 first."""


class Objective(Protocol):
    def __call__(self, student: Student, items: Sequence[r.TrainingItem],
                 config: LoopConfig) -> Iterator[Mapping[str, Tensor]]:
        """Yield {"loss": scalar, name to log: scalar, …} per part of a batch; parts are summed."""


class Students(Protocol):
    """The student after any round of a run: one base model and an adapter per round."""

    rows: int  # rationales written at once in an exam
    step: Any  # computes a step's gradients elsewhere; None: `train_round` computes them

    def after(self, number: int) -> Student: ...
    def prompt(self, problem: r.Problem) -> str: ...
    def writer(self, number: int) -> Writer: ...
    def fits(self, number: int, *, written: bool) -> Callable[[str], bool]: ...
    def to_be_trained(self, number: int) -> Student: ...
    def adapter(self, number: int) -> Path: ...
    def save(self, number: int) -> None: ...
