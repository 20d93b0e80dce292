"""Leaks: test questions that a student has met in training, word for word or in all but the numbers.

    python -m l2r_lite.leaks --data-dir DIR    # counts for the five benchmarks, from a folder (without it: from the hub)
    python -m l2r_lite.leaks --write           # and keeps them in benchmark_counts.json, which the notebooks draw

That file holds counts only: the benchmarks' questions are their owners' and are not part of this project.
"""

from __future__ import annotations

import argparse
import datetime
import json
import operator
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from l2r_lite.data.benchmarks import BENCHMARKS, SPLITS, masked
from l2r_lite.data.text import fold
from l2r_lite.data.problems import load_problems
from l2r_lite.loop.records import Problem

COUNTS = Path(__file__).with_name("benchmark_counts.json")
WORDS_A_BIN = 5
_OPERATIONS: dict[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_OPERATIONS["/"] = operator.floordiv


def story(question: str) -> str:
    """The question's template without its last sentence: two questions about one story; "" if it is one sentence only."""
    sentences = re.split(r"(?<=[.?!])\s+", fold(question))
    return masked(" ".join(sentences[:-1]))


# What two questions must share to count as the same, from the strictest to the widest.
NETS: dict[str, Callable[[str], str]] = {"exact": fold, "masked": masked, "story": story}


def leaked_pairs(train: Sequence[str], test: Sequence[str], key: Callable[[str], str] = masked) -> list[tuple[int, int]]:
    """Which training question is which test question again: pairs (place in `train`, place in `test`), by test question.

    Args:
        key: what two questions must share, one of NETS; `masked` finds those that differ in their numbers only.
            Questions with the empty key are the same as no other.
    """
    seen: dict[str, list[int]] = defaultdict(list)
    for i, question in enumerate(train):
        seen[key(question)].append(i)
    return [(i, j) for j, question in enumerate(test) if (found := key(question)) for i in seen.get(found, ())]


def leaked(train: Iterable[Problem], test: Sequence[Problem], key: Callable[[str], str] = masked) -> int:
    """How many test questions have a training question with the same key."""
    pairs = leaked_pairs([p.question for p in train], [p.question for p in test], key)
    return len({j for _, j in pairs})


def counts_of(splits: dict[str, list[Problem]]) -> dict[str, Any]:
    """A data set in numbers: rows by split, question length in words, and leaks from train and validation into test."""
    everything = [p for split in SPLITS for p in splits[split]]
    words = Counter(len(p.question.split()) // WORDS_A_BIN * WORDS_A_BIN for p in everything)
    seen = splits["train"] + splits["validation"]
    return {
        "kind": "/".join(sorted({p.kind for p in everything})),
        "rows": {split: len(splits[split]) for split in SPLITS},
        "words": {str(start): words[start] for start in sorted(words)},  # the first number of words of a bin → questions
        "leaks": {name: leaked(seen, splits["test"], key) for name, key in NETS.items()},
    }


def benchmark_counts() -> dict[str, Any]:
    """The counts kept in the package: {"date": …, "benchmarks": {name: see counts_of}}."""
    data: dict[str, Any] = json.loads(COUNTS.read_text(encoding="utf-8"))
    return data


def parrot(train: Iterable[Problem]) -> Callable[[Problem], str | None]:
    """A "student" that understands nothing: it knows a wording of the pocket world again and repeats its calculation.

    Returns:
        A function that answers a problem: the steps of the training problem with the same wording, done with the new
        numbers in the order in which they are told; None for a wording that it has not met.
    """
    known = {(p.template, p.kind): [step.op for step in p.program] for p in train}

    def answer(problem: Problem) -> str | None:
        steps = known.get((problem.template, problem.kind))
        if steps is None:
            return None
        value, *others = map(int, re.findall(r"[0-9]+", problem.question))
        for op, number in zip(steps, others, strict=True):
            if op in "<>":
                break
            value = _OPERATIONS[op](value, number)
        if problem.kind == "number":
            return str(value)
        if problem.kind == "yes-no":
            return "yes" if value > others[-1] else "no"
        first, second = sorted(problem.choices, key=problem.question.find)
        return "AB"[problem.choices.index(first if value > others[-1] else second)]

    return answer


def parrot_accuracy(train: Sequence[Problem], test: Sequence[Problem], *, by_row: bool, seed: int = 0) -> float:
    """The parrot's share of right answers on `test`, or (by_row) on as many rows drawn at random from both."""
    if by_row:
        everything = [*train, *test]
        random.Random(seed).shuffle(everything)
        train, test = everything[len(test) :], everything[: len(test)]
    answer = parrot(train)
    return sum(answer(p) == p.answer for p in test) / len(test)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m l2r_lite.leaks", description="The benchmarks in numbers.")
    parser.add_argument("--data-dir", help="folder with the benchmarks' original files (default: the Hugging Face hub)")
    parser.add_argument("--write", action="store_true", help=f"keep the counts in {COUNTS.name}")
    chosen = parser.parse_args(argv)
    counts = {}
    for name in BENCHMARKS:
        counts[name] = counts_of({split: load_problems(name, split, data_dir=chosen.data_dir) for split in SPLITS})
        print(f"{name:20} {counts[name]['rows']}  leaks into test: {counts[name]['leaks']}")
    if chosen.write:
        source = "original files, splits of github.com/itsnamgyu/reasoning-teacher" if chosen.data_dir else "Hugging Face hub"
        data = {"date": str(datetime.date.today()), "made_by": "python -m l2r_lite.leaks --write", "source": source}
        text = json.dumps(data | {"words_a_bin": WORDS_A_BIN, "benchmarks": counts}, indent=1)
        text = re.sub(r"\{([^{}]*)\}", lambda m: "{" + " ".join(m[1].split()) + "}", text)  # a small table a line
        COUNTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
