"""The lab's two experiments for one seed."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from l2r_course.labs.arms import fresh_adapter
from l2r_course.labs.helping import doses, hints
from l2r_course.labs.helping.doses import Look
from l2r_course.labs.helping.hints import Hinted
from l2r_course.labs.kept import Kept
from l2r_lite.data.problems import load_problems
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.records import Problem
from l2r_lite.loop.student import Student
from l2r_lite.loop.training import train_round
from l2r_lite.runs.run import run_rounds
from l2r_lite.students.adapters import load_adapter
from l2r_lite.students.loading import student_from
from l2r_lite.students.packing import packed_loss
from l2r_lite.students.presets import PRESETS

TEST, TRAIN, TAUGHT = 255, 850, 160  # questions; `TAUGHT` of the training ones get a lesson
ARMS = ("explanations", "answers", "answers, twice the questions")


@dataclass(frozen=True)
class Study:
    """What one seed found.

    Attributes:
        looks: arm → the student after each dose.
        fresh, taught: hints for the untrained student, and for the student after a round.
        tokens: of the teacher for the taught student's mistakes: all explained, and hints first.
        after: test accuracy of the taught student after more training: on nothing, on explanations,
            on its hinted solutions.
    """

    looks: dict[str, list[Look]]
    fresh: list[Hinted]
    taught: list[Hinted]
    tokens: tuple[int, int]
    after: dict[str, float]


def settings(seed: int) -> LoopConfig:
    """Forty small steps; no self-reflection, so that the arms differ in the lesson's text alone."""
    return PRESETS["pocket"].with_(
        seed=seed, steps=40, batch_size=16, learning_rate=1e-3, reflection_weight=0.0)


def study_help(seed: int, folder: str | Path, *, progress: bool = True) -> Study:
    """Both experiments. Finished parts are kept in `folder`; the same call resumes the rest."""
    config = settings(seed)
    kept = Kept(folder, {"config": config.to_json(), "questions": [TEST, TRAIN, TAUGHT]})
    student = student_from(config)
    test, train = load_problems("pocket", "test", TEST), load_problems("pocket", "train", TRAIN)
    drawn = random.Random(seed).sample(train, 2 * TAUGHT)  # noqa: S311 - no secret
    items = dict(zip(ARMS, (
        doses.explained(drawn[:TAUGHT]), doses.answered(drawn[:TAUGHT]), doses.answered(drawn),
    ), strict=True))
    looks = {
        arm: _looks(kept, arm, partial(doses.watch, student, items[arm], test, config))
        for arm in ARMS}
    fresh_adapter(student, seed)
    fresh = _hints(kept, "hints-untrained", student, train[:TAUGHT], seed)
    first = PRESETS["pocket"].with_(seed=seed, rounds=1, validation_limit=17, test_limit=17)
    run_rounds(first, kept.folder / "run", progress=progress)
    adapter = kept.folder / "run" / "round-1" / "adapter"
    load_adapter(student, adapter)
    taught = _hints(kept, "hints-taught", student, train, seed)
    tokens = hints.teacher_tokens(student, taught)
    after = kept.json("after", lambda: _after(student, adapter, taught, test, config))
    return Study(looks, fresh, taught, tokens, after)


def _looks(kept: Kept, arm: str, watch: Callable[[], list[Look]]) -> list[Look]:
    name = arm.replace(",", "").replace(" ", "-")
    found = kept.json(name, lambda: [dataclasses.asdict(seen) for seen in watch()])
    return [Look(**seen) for seen in found]


def _hints(
    kept: Kept, name: str, student: Student, problems: Sequence[Problem], seed: int
) -> list[Hinted]:
    by_id = {problem.id: problem for problem in problems}

    def give() -> list[dict[str, Any]]:
        found = hints.give_hints(student, problems, seed=seed)
        return [dataclasses.asdict(h) | {"problem": h.problem.id} for h in found]

    return [Hinted(**h | {"problem": by_id[h["problem"]]}) for h in kept.lines(name, dict, give)]


def _after(
    student: Student, adapter: Path, found: Sequence[Hinted], test: Sequence[Problem],
    config: LoopConfig,
) -> dict[str, float]:
    """Accuracy of the taught student as it is, and after forty steps on each kind of lesson."""
    accuracies = {"before": doses.look(student, test, 0).free}
    for name, hints_first in (("explanations", False), ("hints first", True)):
        load_adapter(student, adapter)
        items = hints.lessons(found, hints_first=hints_first)
        train_round(student, items, config, seed=config.seed, objective=packed_loss, progress=False)
        accuracies[name] = doses.look(student, test, config.steps).free
    return accuracies
