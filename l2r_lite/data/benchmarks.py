"""The paper's five benchmarks as lists of `Problem`, from a local folder or the Hugging Face hub.

The table `BENCHMARKS` says where each benchmark is and how its rows are read.

- *test* is the standard test split (CommonsenseQA: its dev split; the test labels are hidden).
- *validation* is a fixed tenth of the standard train split, *train* the rest. A hash of the
  questions chooses the tenth, so it depends neither on a run's seed nor on the order of rows, and
  questions that differ only in their numbers stay in the same split.

A folder has the original files and `splits/*.json`, {"train": […], "test": […]}: row numbers that
count through all files of the benchmark (as in github.com/itsnamgyu/reasoning-teacher).
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from l2r_lite.data.answers import canonical_number, parse_number
from l2r_lite.data.hub import skip_dead_hub
from l2r_lite.data.text import fold, unreadable
from l2r_lite.loop.errors import UserError
from l2r_lite.loop.records import LETTERS, Kind, Problem

VALIDATION_SHARE = 0.1
TEMPLATE_TEST_SHARE = 0.3  # of multiarith-template when the hub gives no split file
SPLITS = ("train", "validation", "test")

Row = dict[str, Any]


class ProblemError(UserError):
    """Problems that could not be loaded: which file, line or field, and what to do about it."""


@dataclass(frozen=True)
class Benchmark:
    """Where a benchmark is and how one of its rows is read.

    Attributes:
        kind: the kind of its answers.
        files: original files in a folder, in the order in which `split_file` numbers their rows.
        split_file: lists of row numbers, relative to the folder.
        hub, hub_config: name of the data set on the hub, and its configuration.
        read: a row, of a file or of the hub, as the fields of a Problem (without id and kind).
        hub_test: name of the hub's split that serves as test.
        by_template: keep questions that differ only in their numbers together, in train or test.
    """

    kind: Kind
    files: tuple[str, ...]
    split_file: str
    hub: str
    read: Callable[[Row], dict[str, Any]]
    hub_config: str | None = None
    hub_test: str = "test"
    by_template: bool = False


def masked(question: str) -> str:
    """The question with its numbers masked, which makes it a template."""
    return fold(re.sub(r"[0-9]+(?:[.,][0-9]+)*", "#", question)).casefold()


def _gold(value: Any) -> str:
    number = parse_number(str(value))
    if number is None:
        raise ValueError(f"the gold answer {str(value)[:40]!r} is not a number")
    return canonical_number(number)


def _read_gsm8k(row: Row) -> dict[str, Any]:
    rationale, _, gold = row["answer"].rpartition("####")
    lines = re.sub(r"<<[^<>]*>>", "", rationale).splitlines()
    text = "\n".join(fold(line) for line in lines if line.strip())
    return {"question": row["question"], "answer": _gold(gold), "rationale": text}


def _read_svamp(row: Row) -> dict[str, Any]:
    body, question = fold(row["Body"]), fold(row["Question"])
    # Some bodies are half a sentence: "If there is a discount of 25 dollars on each pack".
    if body and body[-1] not in ".?!,":
        body, question = body + ",", question[:1].lower() + question[1:]
    skill = row.get("Type") or ""
    return {"question": f"{body} {question}", "answer": _gold(row["Answer"]), "skill": skill}


def _read_multiarith(row: Row) -> dict[str, Any]:
    if "sQuestion" not in row:  # the hub's rows have no equation
        return {"question": row["question"], "answer": _gold(row["final_ans"])}
    equation, answer = row["lEquations"][0], _gold(row["lSolutions"][0])
    skill = " ".join(op for op in "+-*/" for _ in range(equation.count(op)))
    return {"question": row["sQuestion"], "answer": answer, "skill": skill}


def _read_csqa(row: Row) -> dict[str, Any]:
    question, choices = row["question"], row.get("choices")
    if isinstance(question, dict):
        question, choices = question["stem"], question["choices"]
    if isinstance(choices, list):
        choices = {"label": [c["label"] for c in choices], "text": [c["text"] for c in choices]}
    if choices is None:
        raise KeyError("choices")
    answer = LETTERS[choices["label"].index(row["answerKey"])]
    options = tuple(fold(text) for text in choices["text"])
    return {"question": question, "answer": answer, "choices": options}


def _read_strategyqa(row: Row) -> dict[str, Any]:
    if "input" not in row:  # the hub's rows
        facts = row.get("facts") or ""
        facts = " ".join(facts) if isinstance(facts, list) else facts
        answer = "yes" if row["answer"] in (True, "true", "True", "yes", "Yes") else "no"
        return {"question": row["question"], "answer": answer, "rationale": fold(facts)}
    scores = row["target_scores"]
    answer = "yes" if scores["Yes"] > scores["No"] else "no"
    text = fold(row.get("target") or "")
    rationale = re.sub(r"^(?:yes|no)\b[.,:;]?\s*", "", text, flags=re.IGNORECASE)
    return {"question": row["input"], "answer": answer, "rationale": rationale}


_MULTIARITH = Benchmark(
    kind="number", files=("multiarith/MultiArith.json",), read=_read_multiarith,
    split_file="splits/multiarith__default.json", hub="ChilleD/MultiArith")
BENCHMARKS: dict[str, Benchmark] = {
    "gsm8k": Benchmark(
        kind="number", files=("gsm8k/train.jsonl", "gsm8k/test.jsonl"), read=_read_gsm8k,
        split_file="splits/gsm8k__default.json", hub="openai/gsm8k", hub_config="main"),
    "svamp": Benchmark(
        kind="number", files=("svamp/SVAMP.json",), read=_read_svamp,
        split_file="splits/svamp__default.json", hub="ChilleD/SVAMP"),
    "multiarith": _MULTIARITH,
    "multiarith-template": replace(
        _MULTIARITH, split_file="splits/multiarith__template.json", by_template=True),
    "csqa": Benchmark(
        kind="choice", files=("csqa/train_rand_split.jsonl", "csqa/dev_rand_split.jsonl"),
        read=_read_csqa, split_file="splits/commonsense_qa__default.json",
        hub="tau/commonsense_qa", hub_test="validation"),
    "strategyqa": Benchmark(
        kind="yes-no", files=("strategyqa/task.json",), read=_read_strategyqa,
        split_file="splits/strategy_qa__default.json", hub="ChilleD/StrategyQA"),
}


def load_benchmark(name: str, split: str, data_dir: str | Path | None = None) -> list[Problem]:
    """One split of a benchmark, in the order of its file.

    Args:
        name: a key of BENCHMARKS.
        split: one of SPLITS, which are disjoint and together cover the whole data set.
        data_dir: folder with the original files and splits/; None loads from the hub.

    Raises:
        ProblemError: a file, a row or the hub cannot be read.
    """
    benchmark = BENCHMARKS[name]
    if data_dir is None:
        train, test = _from_hub(name, benchmark)
    else:
        train, test = _from_folder(name, benchmark, Path(data_dir))
    if split == "test":
        return test
    held_out = carve(train, VALIDATION_SHARE)
    return [p for i, p in enumerate(train) if (i in held_out) == (split == "validation")]


def carve(problems: list[Problem], share: float) -> set[int]:
    """Indices of about `share` of the problems, whole templates at a time.

    Chosen by a hash of the template: the same questions give the same choice, whatever their
    order, their ids and the run's seed.
    """
    groups: dict[str, list[int]] = {}
    for index, problem in enumerate(problems):
        groups.setdefault(masked(problem.question), []).append(index)
    by_hash = sorted(groups, key=lambda t: hashlib.sha256(t.encode("utf-8", "replace")).digest())
    wanted, chosen = round(len(problems) * share), set[int]()
    for template in by_hash:
        if len(chosen) + len(groups[template]) <= wanted:
            chosen.update(groups[template])
    return chosen


def _from_folder(
    name: str, benchmark: Benchmark, folder: Path
) -> tuple[list[Problem], list[Problem]]:
    if not folder.is_dir():
        raise ProblemError(
            f"{folder}: no such folder. --data-dir is the folder that has {benchmark.files[0]}.")
    problems: list[Problem] = []
    base = name.removesuffix("-template")
    for number, file in enumerate(benchmark.files):
        prefix = f"{base}-{('train', 'test')[number]}" if len(benchmark.files) > 1 else base
        problems += _read_rows(benchmark, _rows(folder, file), prefix, file)
    path = folder / benchmark.split_file
    if not path.is_file():
        raise ProblemError(
            f"{path}: missing; it says which rows of {name} are train and which are test. Copy the "
            f"folder data/split of github.com/itsnamgyu/reasoning-teacher to {folder / 'splits'}, "
            "or leave --data-dir out to load from the Hugging Face hub.")
    split = _json(path)
    try:
        train, test = (
            [problems[i] for i in map(int, split[key]) if i >= 0] for key in ("train", "test"))
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise ProblemError(
            f'{path}: expected {{"train": [row numbers], "test": [row numbers]}} below '
            f"{len(problems)} ({type(error).__name__}: {error}). Copy the file again.") from error
    return train, test


def _from_hub(name: str, benchmark: Benchmark) -> tuple[list[Problem], list[Problem]]:
    base = name.removesuffix("-template")
    parts = []
    with skip_dead_hub() as fault:
        for split, hub_split in (("train", "train"), ("test", benchmark.hub_test)):
            try:
                import datasets  # slow to import, and not needed with a local folder

                rows = datasets.load_dataset(
                    benchmark.hub, benchmark.hub_config, split=hub_split)
            except Exception as error:
                raise ProblemError(
                    f'Could not load "{benchmark.hub}" from the Hugging Face hub '
                    f"({fault or type(error).__name__}); check the network, or pass --data-dir "
                    f"with a folder that has {benchmark.files[0]} and {benchmark.split_file}."
                ) from error
            source = f"{benchmark.hub} ({hub_split})"
            parts.append(_read_rows(benchmark, rows, f"{base}-{split}", source))
    train, test = parts
    if benchmark.by_template:
        everything = train + test
        held_out = carve(everything, TEMPLATE_TEST_SHARE)
        train = [p for i, p in enumerate(everything) if i not in held_out]
        test = [p for i, p in enumerate(everything) if i in held_out]
    return train, test


def _read_rows(
    benchmark: Benchmark, rows: Iterable[Any], prefix: str, source: str
) -> list[Problem]:
    problems = []
    for index, row in enumerate(rows):
        try:
            fields = benchmark.read(row)
            fields["question"] = fold(fields["question"])
            more = fields.get("rationale", ""), fields.get("skill", "")
            for text in (fields["question"], *fields.get("choices", ()), *more):
                if reason := unreadable(text):
                    raise ValueError(f"a text {reason}")
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            reason = str(error) or type(error).__name__
            if isinstance(error, KeyError):
                reason = f"no field {error}"
            raise ProblemError(
                f"{source}, row {index}: not a row of this benchmark ({reason}). Use the original "
                "file unchanged.") from error
        problems.append(Problem(id=f"{prefix}-{index}", kind=benchmark.kind, **fields))
    return problems


def _rows(folder: Path, file: str) -> list[Any]:
    path = folder / file
    if not path.is_file():
        raise ProblemError(
            f"{path}: missing. --data-dir {folder} must have the benchmark's original file {file}.")
    if path.suffix != ".json":
        lines = enumerate(path.read_bytes().split(b"\n"), start=1)
        return [_parse(line, f"{path}, line {n}") for n, line in lines if line.strip()]
    data = _json(path)
    rows = data.get("examples") if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise ProblemError(f"{path}: has no list of rows. Use the original file unchanged.")
    return rows


def _json(path: Path) -> Any:
    return _parse(path.read_bytes(), str(path))


def _parse(data: bytes, source: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProblemError(
            f"{source}: not JSON ({error}). Use the original file unchanged.") from error
