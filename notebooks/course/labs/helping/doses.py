"""A student taught with answers alone, or with explanations: what it can do after each dose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l2r_course.labs.arms import continue_rationales, fresh_adapter
from l2r_lite.data.answers import is_correct
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.data.pocket.world import KNOWN
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.prompts import answer_line
from l2r_lite.loop.records import Problem, TrainingItem
from l2r_lite.loop.student import Student
from l2r_lite.loop.training import train_round
from l2r_lite.students.packing import packed_loss

STYLE = 2  # "First 2 + 3 = 5. Then …": one style, so that one word can make a student begin a step
FIRST_WORD = "First"
LOOKS = (0, 5, 10, 20, 30, 40)  # training steps


@dataclass(frozen=True)
class Look:
    """What a student can do after some steps; test accuracies, as shares.

    Attributes:
        free, known, withheld: it writes what it likes: all skills, those it knew, the others.
        forced: it must begin with a step ("First …"). forced_known: the same on what it knew.
        with_step: share of its free texts that write a step at all.
    """

    step: int
    free: float
    known: float
    withheld: float
    forced: float
    forced_known: float
    with_step: float


def explained(problems: Sequence[Problem]) -> list[TrainingItem]:
    """Training items with the teacher's whole rationale."""
    return [TrainingItem(problem, write_rationale(problem, STYLE)) for problem in problems]


def answered(problems: Sequence[Problem]) -> list[TrainingItem]:
    """Training items with the answer line alone."""
    return [TrainingItem(p, answer_line(p.answer, p.kind)) for p in problems]


def watch(
    student: Student, items: Sequence[TrainingItem], test: Sequence[Problem], config: LoopConfig,
    looks: Sequence[int] = LOOKS,
) -> list[Look]:
    """Train a fresh adapter for `config.steps` steps, and examine it at the steps in `looks`."""
    fresh_adapter(student, config.seed)
    found = [look(student, test, 0)] if 0 in looks else []
    step = 0

    def on_step(logged: dict[str, float]) -> None:
        nonlocal step
        step += 1
        if step in looks:
            found.append(look(student, test, step))
            student.model.train()

    train_round(student, items, config, seed=config.seed, objective=packed_loss, on_step=on_step,
                progress=False)
    return found


def look(student: Student, test: Sequence[Problem], step: int) -> Look:
    """Examine the student greedily, freely and with its first word given."""
    free = continue_rationales(student, test, [""] * len(test))
    forced = continue_rationales(student, test, [FIRST_WORD] * len(test))
    right, made = _right(test, free), _right(test, forced)
    known = np.array([problem.skill in KNOWN for problem in test])
    steps = np.array([any(sign in text for sign in "=<>") for text in free])
    return Look(
        step, float(right.mean()), float(right[known].mean()), float(right[~known].mean()),
        float(made.mean()), float(made[known].mean()), float(steps.mean()))


def _right(test: Sequence[Problem], texts: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([is_correct(text, p) for text, p in zip(texts, test, strict=True)])
