"""The exam: the student answers questions in its own words; what it gets wrong are its mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from tqdm.auto import tqdm

from l2r_lite.grading import extract_answer, is_correct
from l2r_lite.prompts import student_prompt
from l2r_lite.records import Mistake, Problem, Sample

PART = 4  # an interrupted exam goes on after whole parts, of so many times the rows that are written at once


class Writer(Protocol):
    """Whoever writes rationales for a student: the student itself, several devices together, or a server."""

    def generate(
        self, prompts: Sequence[str], *, samples: int, temperature: float, max_new_tokens: int, seed: int, rows: int,
        progress: Callable[[int], object] | None,
    ) -> list[list[str]]:  # fmt: skip
        """As Student.generate."""
        ...


@dataclass(frozen=True)
class ExamReport:
    """What came out of an exam: every sample once, in the order of the problems."""

    problems: tuple[Problem, ...]
    samples: tuple[Sample, ...]

    @property
    def accuracy(self) -> float:
        """Share of samples that are right, in [0, 1]; each sample counts once."""
        return sum(s.correct for s in self.samples) / max(len(self.samples), 1)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the accuracy over questions (Wilson); for one sample a question."""
        return wilson_interval(sum(s.correct for s in self.samples), len(self.samples))

    @cached_property
    def by_skill(self) -> dict[str, float]:
        """Accuracy of each skill, in the order in which skills first appear; {} where problems have none."""
        skill = {p.id: p.skill for p in self.problems}
        verdicts: dict[str, list[bool]] = {}
        for sample in self.samples:
            if skill[sample.problem_id]:
                verdicts.setdefault(skill[sample.problem_id], []).append(sample.correct)
        return {name: sum(v) / len(v) for name, v in verdicts.items()}

    def pass_by_skill(self, k: int) -> dict[str, float]:
        """pass@k of each skill: the chance that at least one of k samples is right, averaged over the skill's questions.

        Raises:
            ValueError: k is not between 1 and the number of samples a question.
        """
        verdicts: dict[str, list[bool]] = {p.id: [] for p in self.problems}
        for sample in self.samples:
            verdicts[sample.problem_id].append(sample.correct)
        chances: dict[str, list[float]] = {}
        for problem in self.problems:
            if problem.skill:
                tried = verdicts[problem.id]
                chances.setdefault(problem.skill, []).append(pass_at_k(len(tried), sum(tried), k))
        return {name: sum(c) / len(c) for name, c in chances.items()}

    def first(self, samples: int) -> ExamReport:
        """The exam as it is with only the first samples of each question: more samples begin with the same ones."""
        return ExamReport(self.problems, tuple(s for s in self.samples if s.index < samples))

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """The wrong samples, each differently worded one once, with the student's own wrong answer left in place."""
        problem = {p.id: p for p in self.problems}
        wrong = {(s.problem_id, s.rationale): s for s in self.samples if not s.correct}
        return [Mistake(problem[s.problem_id], s.rationale, s.answer) for s in wrong.values()]

    @cached_property
    def correct(self) -> dict[str, list[str]]:
        """Problem id → the student's own correct rationales, each once."""
        found: dict[str, list[str]] = {}
        for sample in self.samples:
            if sample.correct and sample.rationale not in found.setdefault(sample.problem_id, []):
                found[sample.problem_id].append(sample.rationale)
        return {k: v for k, v in found.items() if v}


def wilson_interval(right: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval for a share; unlike mean ± z·σ it stays in [0, 1] and is honest at 0 % and 100 %."""
    if total == 0:
        return 0.0, 1.0
    share, spread = right / total, z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def pass_at_k(samples: int, right: int, k: int) -> float:
    """Chance that at least one of k samples is right, estimated without bias from n samples of which c are right.

    pass@k = 1 − C(n−c, k) / C(n, k): of all choices of k among the n samples, the share that holds a right one. The
    plainer 1 − (1 − c/n)^k is too low on average: it draws the same sample several times.

    Args:
        samples: n.  right: c, between 0 and n.  k: between 1 and n; of fewer samples than k nothing unbiased can be said.

    Raises:
        ValueError: a number out of its range.
    """
    if not 0 <= right <= samples or not 1 <= k <= samples:
        raise ValueError(f"pass@{k} of {samples} samples with {right} right: needs 0 ≤ right ≤ samples and 1 ≤ k ≤ samples")
    return 1 - math.comb(samples - right, k) / math.comb(samples, k)  # comb is 0 where fewer than k are wrong


def take_exam(
    student: Writer, problems: Sequence[Problem], *, samples: int = 1, temperature: float = 0.0, seed: int = 0,
    max_new_tokens: int = 96, rows: int = 240, taken: Sequence[Sample] = (),
    on_samples: Callable[[list[Sample]], object] | None = None, on_token: Callable[[], object] | None = None,
    describe: str = "exam", progress: bool = True,
) -> ExamReport:  # fmt: skip
    """Let the student answer every problem `samples` times and grade each sample.

    Args:
        temperature: 0 for greedy answers (validation, test), above 0 for an exam that looks for mistakes.
        seed: with the prompt and the sample's number it decides each sample.
        rows: rationales written at once.
        taken: samples of an exam that was interrupted; whole parts among them are not answered again.
        on_samples: called with the samples of each part of the exam as soon as it is graded.
        on_token: called after every token that the rationales being written have got; an exception from it ends the exam.
    """
    # Parts are the same whether or not some were taken before, so that a resumed exam equals an undisturbed one.
    order = sorted(problems, key=lambda p: (len(student_prompt(p)), p.id))
    size = max(1, PART * rows // samples)
    by_problem: dict[str, list[Sample]] = {}
    for sample in taken:
        by_problem.setdefault(sample.problem_id, []).append(sample)
    with tqdm(total=len(problems), desc=describe, unit="question", disable=not progress, leave=False) as bar:

        def went_on(answered: int) -> None:
            bar.update(answered)
            if on_token:
                on_token()

        for start in range(0, len(order), size):
            batch = order[start : start + size]
            if all(len(by_problem.get(p.id, ())) == samples for p in batch):
                bar.update(len(batch))
                continue
            texts = student.generate(
                [student_prompt(p) for p in batch], samples=samples, temperature=temperature, seed=seed,
                max_new_tokens=max_new_tokens, rows=rows, progress=went_on,
            )  # fmt: skip
            graded = [[_grade(p, i, t) for i, t in enumerate(ts)] for p, ts in zip(batch, texts, strict=True)]
            by_problem.update({p.id: one for p, one in zip(batch, graded, strict=True)})
            if on_samples:
                on_samples([sample for one in graded for sample in one])
    return ExamReport(tuple(problems), tuple(s for p in problems for s in by_problem[p.id]))


def _grade(problem: Problem, index: int, text: str) -> Sample:
    answer = extract_answer(text, problem.kind, problem.choices)
    return Sample(problem.id, index, text, answer, is_correct(text, problem))
