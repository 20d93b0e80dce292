"""The student of a run: one base model, loaded once, with the adapter of any round."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.parts import Parts
from l2r_lite.loop.prompts import completion
from l2r_lite.loop.protocols import Writer
from l2r_lite.loop.records import Problem, TrainingItem
from l2r_lite.loop.student import Student
from l2r_lite.loop.training import Step
from l2r_lite.students.adapters import load_adapter, save_adapter
from l2r_lite.students.context import check_room, room
from l2r_lite.students.devices import Team
from l2r_lite.students.memory import Allowance, step_that_fits
from l2r_lite.students.sources import locate

if TYPE_CHECKING:
    import torch

    from l2r_lite.students.served import ServedStudent

# Loading sets torch's seed and default dtype and swaps initialisers for the whole process, so the
# runs of two panels take turns.
_LOADING = threading.Lock()


class RunStudent:
    """The loop's `Students`.

    Args:
        out: the run folder; adapters are in round-N/adapter.
        problems: split → problems; the student must be able to read every question.
        team: all processes of the run, if there are several.
        on_loading: called before the base model is loaded, with the round it is loaded for.
    """

    def __init__(
        self, config: LoopConfig, out: Path, problems: Mapping[str, Sequence[Problem]],
        parts: Parts, team: Team | None, on_loading: Callable[[int], object],
    ) -> None:
        self.config, self.out, self.problems, self.parts = config, out, problems, parts
        self.team, self.on_loading = team, on_loading
        self.rows = config.exam_rows * (team.size if team else 1)
        self.step: Step = self._step
        self._items = Allowance("items in memory at once in training", "--micro-batch")
        self.demonstrations: Sequence[tuple[Problem, str]] = ()
        self._student: Student | None = None
        self._served: ServedStudent | None = None
        self._fresh = True  # loaded, but not used yet
        self._round = -1  # whose adapter the student has now; -1: unknown

    def after(self, number: int) -> Student:
        """The student after a round (0: fresh)."""
        student = self.load(number)
        if self._fresh:
            self._fresh = False
            if self.demonstrations:
                (self.team or student).show(self.demonstrations)
                self._check_room(student)
            if not self.adapter(0).exists():
                save_adapter(student, self.adapter(0))
        if self._round != number:
            load_adapter(student, self.adapter(number))
            self._round = number
        return student

    def load(self, number: int = 0) -> Student:
        """Load the base model once, and check that it can read every question."""
        if self._student is None:
            self.on_loading(number)
            from l2r_lite.students.loading import student_from

            if self.team:
                # Download and convert the model before the other processes look for it.
                locate(self.config.student)
                self.team.load(self.config)
            with _LOADING:
                student = student_from(self.config, self.team.device if self.team else None)
            student.ask = self.parts.prompt
            if self.team:
                self.team.student = student
            self._check_room(student)
            self._student = student
        return self._student

    def prompt(self, problem: Problem) -> str:
        """What the student reads for a problem."""
        return self.load().prompt(problem)

    def adapter(self, number: int) -> Path:
        return self.out / f"round-{number}" / "adapter"

    def to_be_trained(self, number: int) -> Student:
        """The student after a round, whose adapter is about to change."""
        student = self.after(number)
        self._round = -1
        return student

    def _step(
        self, items: Sequence[TrainingItem], config: LoopConfig, scaler: torch.amp.GradScaler
    ) -> dict[str, float]:
        """Add a batch's gradients to the adapter; see `Step` in loop/training.py."""
        if self.team:
            return self.team.step(items, config, scaler)
        return step_that_fits(self.load(), items, config, self.parts.objective, scaler, self._items)

    def save(self, number: int) -> None:
        """Save the current adapter as that of a round."""
        save_adapter(self.load(), self.adapter(number))
        self._round = number

    def writer(self, number: int) -> Writer:
        """The writer of an exam: the student, its team, a server, or the writer of a lab."""
        student = self.after(number)
        if self.parts.writer:
            return self.parts.writer(student)
        if not self.config.student_url:
            return self.team or student
        if self._served is None:
            from l2r_lite.students.served import ServedStudent

            self._served = ServedStudent(self.config.student_url, self.out / "served")
        self._served.serve(student, self.adapter(number))
        return self._served

    def fits(self, number: int, *, written: bool) -> Callable[[str], bool]:
        """Returns a check whether a rationale fits after every training question.

        Args:
            written: check what can be written in an exam, which is shorter.
        """
        student = self.after(number)
        most = room(student, map(student.prompt, self.problems["train"]))
        if written:
            most = self.config.max_new_tokens
        return lambda text: len(student.encode("", completion(text))[1]) <= most

    def close(self) -> None:
        """Release the server and the base model."""
        if self._served:
            self._served.close()
        self._student = self._served = None

    def _check_room(self, student: Student) -> None:
        every = [problem for split in self.problems.values() for problem in split]
        questions = {f'problem "{p.id}"': student.prompt(p) for p in every}
        check_room(student, questions, self.config.max_new_tokens)
