"""The rationales that a student wrote for each test question, with all that a choice may use."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from l2r_course.labs.arms import count_tokens, log_probabilities
from l2r_course.labs.search.verifier import Verifier
from l2r_lite.data.answers import read
from l2r_lite.data.arithmetic import wrong_equations
from l2r_lite.loop.grading import same_answer
from l2r_lite.loop.records import Problem
from l2r_lite.loop.student import Student

TEMPERATURE = 0.7
LONGEST = 56  # tokens of a rationale, as in the exam


@dataclass(frozen=True)
class Candidate:
    """One rationale for a question.

    Attributes:
        answer: as read from the text; None if none is.
        is_right: whether it is the gold answer. Only the oracle may look at it.
        tokens: generated for it, the end token included.
        per_token: mean log-probability of its tokens under the student, in nats.
        equations_hold: no equation in it is false.
        score: the trained verifier's log-odds that it is right.
    """

    text: str
    answer: str | None
    is_right: bool
    tokens: int
    per_token: float
    equations_hold: bool
    score: float


@dataclass(frozen=True)
class Question:
    """A test question, the greedy rationale, and the samples in the order they were drawn."""

    problem: Problem
    greedy: Candidate
    samples: tuple[Candidate, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.problem.id, "greedy": dataclasses.asdict(self.greedy),
            "samples": [dataclasses.asdict(sample) for sample in self.samples]}

    @classmethod
    def from_json(cls, data: dict[str, Any], problem: Problem) -> Question:
        samples = tuple(Candidate(**sample) for sample in data["samples"])
        return cls(problem, Candidate(**data["greedy"]), samples)


def draw_pool(
    student: Student, problems: Sequence[Problem], verifier: Verifier, *, samples: int = 8,
    seed: int = 0,
) -> list[Question]:
    """Let the student answer each question greedily and in `samples` samples, and mark them all."""
    prompts = [student.prompt(problem) for problem in problems]
    greedy = student.generate(prompts, max_new_tokens=LONGEST)
    drawn = student.generate(
        prompts, samples=samples, temperature=TEMPERATURE, max_new_tokens=LONGEST, seed=seed)
    texts = [[*first, *more] for first, more in zip(greedy, drawn, strict=True)]
    # A text that was drawn several times is read once.
    pairs = list(dict.fromkeys(
        (i, text) for i, written in enumerate(texts) for text in written))
    marked = dict(zip(pairs, _mark(student, problems, pairs, verifier), strict=True))
    return [
        Question(problem, marked[i, texts[i][0]], tuple(marked[i, t] for t in texts[i][1:]))
        for i, problem in enumerate(problems)]


def _mark(
    student: Student, problems: Sequence[Problem], pairs: Sequence[tuple[int, str]],
    verifier: Verifier,
) -> list[Candidate]:
    asked, texts = [problems[i] for i, _ in pairs], [text for _, text in pairs]
    tokens = count_tokens(student, texts)
    logs = log_probabilities(student, asked, texts).tolist()
    scores = verifier.score(student, asked, texts)
    answers = [read(text, problem) for text, problem in zip(texts, asked, strict=True)]
    return [
        Candidate(
            text, answer, same_answer(answer, problem.answer, problem.kind), count, log / count,
            not wrong_equations(text), score)
        for text, answer, problem, count, log, score
        in zip(texts, answers, asked, tokens, logs, scores, strict=True)]
