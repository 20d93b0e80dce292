"""pass@k: the chance that at least one of k samples is right."""

from __future__ import annotations

import math

from l2r_lite.loop.records import ExamReport


def pass_at_k(samples: int, right: int, k: int) -> float:
    """An unbiased estimate from n samples, c of them right: 1 − C(n−c, k) / C(n, k).

    This is the share of all choices of k samples that contain a right one. The simpler estimate
    1 − (1 − c/n)^k is too low on average, because it draws with replacement.

    Args:
        samples: n.
        right: c, between 0 and n.
        k: between 1 and n; with fewer samples than k there is no unbiased estimate.

    Raises:
        ValueError: a number is out of its range.
    """
    if not 0 <= right <= samples or not 1 <= k <= samples:
        raise ValueError(
            f"pass@{k} of {samples} samples with {right} right: needs 0 ≤ right ≤ samples and "
            "1 ≤ k ≤ samples")
    # comb is 0 where fewer than k are wrong.
    return 1 - math.comb(samples - right, k) / math.comb(samples, k)


def pass_by_skill(exam: ExamReport, k: int) -> dict[str, float]:
    """pass@k of each skill, averaged over its questions.

    Raises:
        ValueError: k is not between 1 and the number of samples per question.
    """
    verdicts: dict[str, list[bool]] = {problem.id: [] for problem in exam.problems}
    for sample in exam.samples:
        verdicts[sample.problem_id].append(sample.correct)
    chances: dict[str, list[float]] = {}
    for problem in exam.problems:
        if problem.skill:
            tried = verdicts[problem.id]
            chance = pass_at_k(len(tried), sum(tried), k)
            chances.setdefault(problem.skill, []).append(chance)
    return {name: sum(found) / len(found) for name, found in chances.items()}


def first_samples(exam: ExamReport, count: int) -> ExamReport:
    """The exam with only the first samples of each question."""
    return ExamReport(exam.problems, tuple(s for s in exam.samples if s.index < count))
