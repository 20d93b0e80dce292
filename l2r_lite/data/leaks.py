"""Leaks: test questions that a student saw in training, word for word or with other numbers."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from l2r_lite.data.benchmarks import masked
from l2r_lite.data.text import fold
from l2r_lite.loop.records import Problem


def story(question: str) -> str:
    """The template of a question without its last sentence; "" if it is one sentence only."""
    sentences = re.split(r"(?<=[.?!])\s+", fold(question))
    return masked(" ".join(sentences[:-1]))


# What two questions must share to count as the same, from the strictest to the widest.
NETS: dict[str, Callable[[str], str]] = {"exact": fold, "masked": masked, "story": story}


def leaked_pairs(
    train: Sequence[str], test: Sequence[str], key: Callable[[str], str] = masked
) -> list[tuple[int, int]]:
    """Pairs (index in `train`, index in `test`) of equal questions, sorted by test question.

    Args:
        key: what two questions must share, one of NETS. An empty key matches nothing.
    """
    seen: dict[str, list[int]] = defaultdict(list)
    for i, question in enumerate(train):
        seen[key(question)].append(i)
    seen.pop("", None)
    return [(i, j) for j, question in enumerate(test) for i in seen.get(key(question), ())]


def leaked(
    train: Iterable[Problem], test: Sequence[Problem], key: Callable[[str], str] = masked
) -> int:
    """How many test questions have a training question with the same key."""
    pairs = leaked_pairs([p.question for p in train], [p.question for p in test], key)
    return len({j for _, j in pairs})
