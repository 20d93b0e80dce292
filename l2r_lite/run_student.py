"""A run's student: one base model, loaded once, that wears the adapter of any round; and who writes in its exams."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from l2r_lite.config import LoopConfig
from l2r_lite.devices import Team
from l2r_lite.exam import Writer
from l2r_lite.prompts import completion, student_prompt
from l2r_lite.records import Problem
from l2r_lite.sources import locate

if TYPE_CHECKING:
    from l2r_lite.served import ServedStudent
    from l2r_lite.student import Student

# Loading sets torch's seed and default dtype and swaps initialisers, for the whole process: two panels' runs take turns.
_LOADING = threading.Lock()


class RunStudent:
    """The student of a run after any of its rounds.

    Args:
        out: the run folder; adapters lie in round-N/adapter.
        problems: each split's; the student must be able to read every question.
        team: this process's, if the run has several.
        on_loading: called when the base model is about to be loaded, for the student after that round.
    """

    def __init__(
        self, config: LoopConfig, out: Path, problems: Mapping[str, Sequence[Problem]], team: Team | None,
        on_loading: Callable[[int], object],
    ) -> None:  # fmt: skip
        self.config, self.out, self.problems, self.team, self.on_loading = config, out, problems, team, on_loading
        self.demonstrations = ""  # worked examples before every question
        self._student: Student | None = None
        self._served: ServedStudent | None = None
        self._fresh = True  # whether the student is as it was loaded
        self._wears = -1  # the round whose adapter it wears; -1: none's for certain

    def after(self, number: int) -> Student:
        """The student as it was after a round (0: fresh)."""
        student = self.load(number)
        if self._fresh:
            self._fresh = False
            if self.demonstrations:
                (self.team or student).demonstrate(self.demonstrations)
                self._check_room(student)
            if not self.adapter(0).exists():
                student.save_adapter(self.adapter(0))
        if self._wears != number:
            student.load_adapter(self.adapter(number))
            self._wears = number
        return student

    def load(self, number: int = 0) -> Student:
        """The base model, once it is certain that it can read every question; with a fresh adapter when it is loaded."""
        if self._student is None:
            self.on_loading(number)
            from l2r_lite.student import load_student

            if self.team:
                locate(self.config.student)  # what must be fetched and converted is, before the others look for it
                self.team.load(self.config)
            with _LOADING:
                student = load_student(self.config, self.team.device if self.team else None)
            if self.team:
                self.team.student = student
            self._check_room(student)
            self._student = student
        return self._student

    def adapter(self, number: int) -> Path:
        return self.out / f"round-{number}" / "adapter"

    def to_be_trained(self, number: int) -> Student:
        """The student after a round, whose adapter is about to change: it wears no round's until it is saved."""
        student = self.after(number)
        self._wears = -1
        return student

    def save(self, number: int) -> None:
        """Keep the adapter that it wears now as that of a round."""
        self.load().save_adapter(self.adapter(number))
        self._wears = number

    def writer(self, number: int) -> Writer:
        """Who writes in an exam of the student after a round: itself, its whole team, or the server that is given it."""
        student = self.after(number)
        if not self.config.student_url:
            return self.team or student
        if not self._served:
            from l2r_lite.served import ServedStudent

            self._served = ServedStudent(self.config.student_url, self.out / "served")
        self._served.put(student, self.adapter(number))
        return self._served

    def fits(self, number: int, *, written: bool) -> Callable[[str], bool]:
        """Whether a rationale can be read behind any training question, or if `written`, also be written in an exam."""
        student = self.after(number)
        most = student.room(map(student_prompt, self.problems["train"]))
        if written:
            most = self.config.max_new_tokens
        return lambda text: len(student.encode("", completion(text))[1]) <= most

    def close(self) -> None:
        """Let the server and the base model go."""
        if self._served:
            self._served.close()
        self._student = self._served = None

    def _check_room(self, student: Student) -> None:
        questions = {f'problem "{p.id}"': student_prompt(p) for split in self.problems.values() for p in split}
        student.check_room(questions, self.config.max_new_tokens)
