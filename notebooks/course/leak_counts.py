"""What notebook 01 shows of leaks: the benchmarks in numbers, and a parrot that lives on leaks.

    python -m l2r_course.leak_counts --data-dir DIR   # counts of a folder (without it: of the hub)
    python -m l2r_course.leak_counts --write          # and keeps them in benchmark_counts.json

That file holds counts only: the benchmarks' questions belong to their owners.
"""

import argparse
import datetime
import json
import operator
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from l2r_lite.data.benchmarks import BENCHMARKS, SPLITS
from l2r_lite.data.leaks import NETS, leaked
from l2r_lite.data.problems import load_problems
from l2r_lite.loop.records import Problem

COUNTS = Path(__file__).with_name("benchmark_counts.json")
WORDS_A_BIN = 5
_COMPUTE = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv}


def counts_of(splits: dict[str, list[Problem]]) -> dict[str, Any]:
    """A data set in numbers.

    Returns:
        "kind"; "rows" per split; "words", questions per number of words (a bin's first one);
        "leaks", test questions found in train or validation, per net.
    """
    everything = [p for split in SPLITS for p in splits[split]]
    words = Counter(len(p.question.split()) // WORDS_A_BIN * WORDS_A_BIN for p in everything)
    seen = splits["train"] + splits["validation"]
    return {
        "kind": "/".join(sorted({p.kind for p in everything})),
        "rows": {split: len(splits[split]) for split in SPLITS},
        "words": {str(start): words[start] for start in sorted(words)},
        "leaks": {name: leaked(seen, splits["test"], key) for name, key in NETS.items()},
    }


def benchmark_counts() -> dict[str, Any]:
    """The counts kept in the package: {"date": …, "benchmarks": {name: see `counts_of`}}."""
    data: dict[str, Any] = json.loads(COUNTS.read_text(encoding="utf-8"))
    return data


def parrot(train: Iterable[Problem]) -> Callable[[Problem], str | None]:
    """A "student" that understands nothing: it recognises wordings of the pocket world.

    Returns:
        A function that answers a problem: the steps of the training problem with the same
        wording, with the new numbers in the order of the text; None for an unknown wording.
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
            value = _COMPUTE[op](value, number)
        if problem.kind == "number":
            return str(value)
        if problem.kind == "yes-no":
            return "yes" if value > others[-1] else "no"
        first, second = sorted(problem.choices, key=problem.question.find)
        return "AB"[problem.choices.index(first if value > others[-1] else second)]

    return answer


def parrot_accuracy(
    train: Sequence[Problem], test: Sequence[Problem], *, by_row: bool, seed: int = 0
) -> float:
    """The parrot's share of right answers on `test`.

    Args:
        by_row: split anew, as many test rows drawn at random from both.
    """
    if by_row:
        everything = [*train, *test]
        random.Random(seed).shuffle(everything)
        train, test = everything[len(test) :], everything[: len(test)]
    answer = parrot(train)
    return sum(answer(p) == p.answer for p in test) / len(test)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m l2r_course.leak_counts", description="The benchmarks in numbers.")
    parser.add_argument(
        "--data-dir",
        help="folder with the benchmarks' original files (default: the Hugging Face hub)")
    parser.add_argument("--write", action="store_true", help=f"keep the counts in {COUNTS.name}")
    chosen = parser.parse_args(argv)
    counts = {}
    for name in BENCHMARKS:
        splits = {split: load_problems(name, split, data_dir=chosen.data_dir) for split in SPLITS}
        counts[name] = counts_of(splits)
        print(f"{name:20} {counts[name]['rows']}  leaks into test: {counts[name]['leaks']}")
    if chosen.write:
        source = "Hugging Face hub"
        if chosen.data_dir:
            source = "original files, splits of github.com/itsnamgyu/reasoning-teacher"
        data = {
            "date": str(datetime.date.today()),
            "made_by": "python -m l2r_course.leak_counts --write",
            "source": source,
            "words_a_bin": WORDS_A_BIN,
            "benchmarks": counts,
        }
        text = json.dumps(data, indent=1)
        # Small tables on one line each.
        text = re.sub(r"\{([^{}]*)\}", lambda m: "{" + " ".join(m[1].split()) + "}", text)
        COUNTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
