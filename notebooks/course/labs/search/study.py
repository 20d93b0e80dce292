"""Every way to search, for a student before and after a round of tailored training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from l2r_course.labs.kept import Kept
from l2r_course.labs.search import ways
from l2r_course.labs.search.choose import CHOICES
from l2r_course.labs.search.pool import LONGEST, Question, draw_pool
from l2r_course.labs.search.verifier import auc, train_verifier
from l2r_lite.data.problems import load_problems
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.records import Problem
from l2r_lite.loop.student import Student
from l2r_lite.runs.run import run_rounds
from l2r_lite.runs.show import Table
from l2r_lite.students.adapters import load_adapter
from l2r_lite.students.loading import student_from
from l2r_lite.students.presets import PRESETS

SAMPLES = 8
TEST, TRAIN = 425, 425  # questions
STUDENTS = ("untrained", "after a round")


@dataclass(frozen=True)
class Result:
    """What one way reached.

    Attributes:
        right: per test question.
        tokens: generated per question, on average.
    """

    name: str
    samples: int
    right: NDArray[np.bool_]
    tokens: float

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())


@dataclass(frozen=True)
class Study:
    """A student's rationales for all test questions, and what the other ways wrote."""

    questions: Sequence[Question]
    attempts: Mapping[str, Sequence[ways.Attempt]]

    def greedy(self) -> Result:
        taken = [question.greedy for question in self.questions]
        return _result("greedy", 1, [t.is_right for t in taken], [t.tokens for t in taken])

    def chosen(self, name: str, samples: int) -> Result:
        """The accuracy of a choice among the first `samples` samples, and what they cost."""
        right, tokens = [], []
        for question in self.questions:
            drawn = question.samples[:samples]
            right.append(CHOICES[name](drawn, question.problem.kind).is_right)
            tokens.append(sum(sample.tokens for sample in drawn))
        return _result(name, samples, right, tokens)

    def attempted(self, name: str) -> Result:
        made = self.attempts[name]
        return _result(name, 1, [a.is_right for a in made], [a.tokens for a in made])

    def results(self, samples: int = SAMPLES) -> list[Result]:
        """Greedy, the other ways, and every choice among `samples` samples."""
        others = [self.attempted(name) for name in self.attempts]
        return [self.greedy(), *others, *(self.chosen(name, samples) for name in CHOICES)]

    def true_but_wrong(self) -> float:
        """The share of wrong samples in which every equation holds."""
        wrong = [s for q in self.questions for s in q.samples if not s.is_right]
        return float(np.mean([sample.equations_hold for sample in wrong]))


    def verifier_auc(self) -> tuple[float, float]:
        """The trained verifier's AUC over all samples, and its mean over single questions.

        The first tells easy questions from hard ones; only the second helps to choose a sample.
        """
        samples = [s for q in self.questions for s in q.samples]
        pooled = auc([s.score for s in samples], [s.is_right for s in samples])
        each = [auc([s.score for s in q.samples], [s.is_right for s in q.samples])
                for q in self.questions]
        return pooled, float(np.nanmean(each))


def _result(
    name: str, samples: int, right: Sequence[bool], tokens: Sequence[int]
) -> Result:
    return Result(name, samples, np.array(right, bool), float(np.mean(tokens)))


def settings(seed: int) -> LoopConfig:
    """One round of the default; its own validation and test are not used here."""
    return PRESETS["pocket"].with_(seed=seed, rounds=1, validation_limit=17, test_limit=17)


def study_students(
    seed: int, folder: str | Path, *, test: int = TEST, train: int = TRAIN, progress: bool = True
) -> dict[str, Study]:
    """Train a round, then let the student before and after it search.

    Finished parts are kept in `folder`; the same call resumes an interrupted one.
    """
    config = settings(seed)
    kept = Kept(folder, {"config": config.to_json(), "test": test, "train": train})
    asked = load_problems("pocket", "test", test)
    student = student_from(config)
    studies = {STUDENTS[0]: _study(student, asked, train, seed, kept, "untrained")}
    run_rounds(config, kept.folder / "run", progress=progress)
    load_adapter(student, kept.folder / "run" / "round-1" / "adapter")
    studies[STUDENTS[1]] = _study(student, asked, train, seed, kept, "trained")
    return studies


def _study(
    student: Student, asked: Sequence[Problem], train: int, seed: int, kept: Kept, name: str
) -> Study:
    practice = load_problems("pocket", "train", train)
    by_id = {problem.id: problem for problem in asked}

    def pool() -> list[dict[str, object]]:
        verifier = train_verifier(student, practice, seed=seed + 1, max_new_tokens=LONGEST)
        drawn = draw_pool(student, asked, verifier, samples=SAMPLES, seed=seed)
        return [question.to_json() for question in drawn]

    questions = [Question.from_json(q, by_id[q["id"]]) for q in kept.lines(name, dict, pool)]
    texts = [question.greedy.text for question in questions]
    made = kept.json(f"{name}-ways", lambda: {
        way: [dataclasses.asdict(attempt) for attempt in attempts] for way, attempts in {
            "no rationale": ways.direct(student, asked),
            "demonstrations": ways.demonstrated(student, asked, practice[:3]),
            "repair": ways.repaired(student, asked, texts),
            "beam over steps": ways.step_beam(student, asked, seed=seed),
        }.items()})
    attempts = {way: [ways.Attempt(**a) for a in found] for way, found in made.items()}
    return Study(questions, attempts)


def results_table(studies: Mapping[str, Study], samples: int = SAMPLES) -> Table:
    """Per way: accuracy, its difference to greedy with a 95 % interval, and tokens, per student."""
    head, rows = ["way"], list[list[str]]()
    for name, study in studies.items():
        head += [f"{name}: accuracy", "− greedy (95 %)", "tokens"]
        for i, result in enumerate(study.results(samples)):
            if len(rows) <= i:
                rows.append([f"{result.name}, {samples} samples" if result.samples > 1
                             else result.name])
            mean, low, high = paired_bootstrap(result.right, study.greedy().right)
            told = "" if not i else f"{100 * mean:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
            rows[i] += [f"{result.accuracy:.1%}", told, f"{result.tokens:.0f}"]
    return Table(head, rows)


def paired_bootstrap(
    first: NDArray[np.bool_], second: NDArray[np.bool_], *, draws: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """The mean of first − second over the questions, with its 95 % percentile interval."""
    difference = first.astype(float) - second.astype(float)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(difference), (draws, len(difference)))
    low, high = np.quantile(difference[drawn].mean(1), [0.025, 0.975])
    return float(difference.mean()), float(low), float(high)
