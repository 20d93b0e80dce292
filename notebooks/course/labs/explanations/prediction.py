"""Who predicts the student's errors best? One sentence, or a plain table of errors by skill."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from l2r_course.labs.explanations.sentences import CHECK, Answered, Sentence, table_of
from l2r_course.labs.explanations.validity import Pools, Wrong, validity


def auc(scores: NDArray[np.float64], wrong: Wrong) -> float:
    """Chance that a random wrong answer has a higher score than a random right one; ties count ½.

    For a single sentence, which scores 0 or 1, this is (1 + V) / 2.
    """
    from scipy.stats import rankdata

    ranks, count = rankdata(scores), int(wrong.sum())
    below = ranks[wrong].sum() - count * (count + 1) / 2
    return float(below / (count * (len(wrong) - count)))


def errors_by_skill(answers: Sequence[Answered]) -> dict[str, float]:
    """The honest baseline: the share of wrong answers per skill."""
    verdicts: dict[str, list[bool]] = defaultdict(list)
    for answer in answers:
        verdicts[answer.problem.skill].append(answer.wrong)
    return {skill: float(np.mean(found)) for skill, found in verdicts.items()}


def best_sentence(pools: Pools) -> Sentence:
    """The sentence of the whole bank with the highest V on verification questions."""
    _, truth, _ = pools.parts(pools.truth)
    _, wrong, _ = pools.parts(pools.wrong)
    return pools.sentences[int(validity(truth, wrong).argmax())]


def predict_errors(pools: Pools) -> dict[str, float]:
    """AUC on future questions of the best sentence of the bank and of the table of errors by skill.

    Both are made from the same verification questions. The sentence is the best of all, not only of
    those that an explainer proposed. A check, for comparison, reads what the student wrote: it
    comes after the answer and predicts nothing.

    Returns:
        "sentence", "table" and "check" → AUC.
    """
    wrong = np.array([a.wrong for a in pools.future])
    table = errors_by_skill(pools.verification)
    overall = float(np.mean([a.wrong for a in pools.verification]))
    by_skill = np.array([table.get(a.problem.skill, overall) for a in pools.future])

    def of(sentence: Sentence) -> float:
        return auc(table_of([sentence], pools.future)[:, 0].astype(float), wrong)

    return {"sentence": of(best_sentence(pools)), "table": auc(by_skill, wrong),
            "check": of(CHECK)}
