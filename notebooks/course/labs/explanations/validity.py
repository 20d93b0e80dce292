"""How valid is an explanation h?  V(h) = P(h | wrong) − P(h | right), on which questions?

As seen by the explainer, V is too high: h was chosen because it is high there (winner's curse).
Verification measures V again on questions that had no part in the choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2r_course.labs.explanations.explainer import choose_best
from l2r_course.labs.explanations.sentences import BANK, Answered, Sentence, table_of
from l2r_course.research.statistics import holm

Truth = NDArray[np.bool_]  # (answers, sentences): which sentence is true of which answer
Wrong = NDArray[np.bool_]  # (answers,)
LEVEL = 0.05  # Holm's corrected p below which a sentence is accepted


def validity(truth: Truth, wrong: Wrong) -> NDArray[np.float64]:
    """V(h) of every sentence, in [−1, 1]; 0: h says nothing about errors.

    Raises:
        ValueError: all answers are wrong, or all are right.
    """
    if not 0 < wrong.sum() < len(wrong):
        raise ValueError(
            f"{wrong.sum()} of {len(wrong)} answers are wrong: V compares wrong answers with right "
            "ones and needs some of both.")
    difference: NDArray[np.float64] = truth[wrong].mean(0) - truth[~wrong].mean(0)
    return difference


def p_values(truth: Truth, wrong: Wrong) -> NDArray[np.float64]:
    """One-sided p of each sentence (Fisher's exact test): how often luck brings a V so high."""
    from scipy.stats import hypergeom  # takes half a second to import

    both = (truth & wrong[:, None]).sum(0)
    return np.asarray(hypergeom.sf(both - 1, len(wrong), wrong.sum(), truth.sum(0)))


def accepted(truth: Truth, wrong: Wrong, chosen: Sequence[int] | NDArray[np.int64]) -> list[bool]:
    """Which of the chosen sentences verification accepts, after Holm's correction."""
    corrected = holm(list(p_values(truth[:, chosen], wrong)))
    return [p < LEVEL for p in corrected]


@dataclass(frozen=True)
class Pools:
    """Three groups of fresh questions, the sentences, and which of them is true of which answer.

    Attributes:
        seen: answers that cases are drawn from; verification, future: answers that no explainer
            sees.
    """

    sentences: tuple[Sentence, ...]
    seen: tuple[Answered, ...]
    verification: tuple[Answered, ...]
    future: tuple[Answered, ...]
    truth: Truth

    @classmethod
    def of(
        cls, answers: Sequence[Answered], sizes: tuple[int, int],
        sentences: Sequence[Sentence] = BANK,
    ) -> Pools:
        """Cut the answers into pools.

        Args:
            sizes: answers that explainers see, and answers to verify with; the rest is the future.
        """
        first, second = sizes[0], sum(sizes)
        return cls(
            tuple(sentences), tuple(answers[:first]), tuple(answers[first:second]),
            tuple(answers[second:]), table_of(sentences, answers))

    @property
    def wrong(self) -> Wrong:
        return np.array([a.wrong for a in (*self.seen, *self.verification, *self.future)])

    def parts(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """An array over all answers, cut into the three pools."""
        ends = [len(self.seen), len(self.seen) + len(self.verification)]
        return np.split(values, ends)


@dataclass(frozen=True)
class Drawn:
    """Many cases of n wrong and n right answers: V of the explanation chosen, (cases,) each.

    Attributes:
        seen, verified, future: V of the sentence that is best as seen, in the three pools.
        reranked: V on future questions of the proposed sentence that verified best.
        accepted: how many of the proposed sentences verification accepts.
    """

    n: int
    shuffled: bool
    seen: NDArray[np.float64]
    verified: NDArray[np.float64]
    future: NDArray[np.float64]
    reranked: NDArray[np.float64]
    accepted: NDArray[np.int64]

    @property
    def any_accepted(self) -> float:
        """Share of cases in which verification accepts at least one sentence."""
        return float((self.accepted > 0).mean())


def draw_cases(
    pools: Pools, n: int = 5, *, shuffled: bool = False, cases: int = 400, proposed: int = 5,
    seed: int = 0,
) -> Drawn:
    """Let the scripted explainer propose for many cases, and verify what it proposes.

    Args:
        n: wrong answers per case, and right ones.
        shuffled: give the labels (wrong, right) to random answers, anew for each case: then no
            explanation is true.
        proposed: sentences per case.

    Raises:
        ValueError: there are fewer than n wrong or right answers to draw from.
    """
    rng = np.random.default_rng(seed)
    wrong = pools.wrong
    rows = []
    for _ in range(cases):
        if shuffled:
            wrong = rng.permutation(wrong)
        seen, verification, future = zip(
            pools.parts(pools.truth), pools.parts(wrong), strict=True)
        sides = [np.flatnonzero(seen[1]), np.flatnonzero(~seen[1])]
        if min(map(len, sides)) < n:
            raise ValueError(
                f"n = {n}: there are only {len(sides[0])} wrong and {len(sides[1])} right answers "
                "to draw from; choose a smaller n.")
        some_wrong, some_right = (seen[0][rng.choice(side, n, replace=False)] for side in sides)
        chosen = choose_best(some_wrong, some_right, proposed, rng)
        as_seen = some_wrong.mean(0) - some_right.mean(0)
        verified = validity(verification[0][:, chosen], verification[1])
        later = validity(future[0][:, chosen], future[1])
        rows.append((as_seen[chosen[0]], verified[0], later[0], later[verified.argmax()],
                     sum(accepted(*verification, chosen))))
    first, second, third, fourth, counts = map(np.array, zip(*rows, strict=True))
    return Drawn(n, shuffled, first, second, third, fourth, counts)
