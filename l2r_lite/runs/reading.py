"""Read the files of a run folder, each checked against schema.FILES.

Tables, figures, panels, comparison and export read a run folder in this way, and it is checked
before a run is resumed: the folder may be a stranger's.
"""

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from l2r_lite.loop import runfolder
from l2r_lite.loop.errors import RunError
from l2r_lite.loop.records import ExamReport, Problem, Sample
from l2r_lite.runs.fields import fault, shown
from l2r_lite.runs.schema import entry_of

SPLITS = ("train", "validation", "test")


def read(file: Path, problems: Iterable[Problem] | None = None) -> Any:
    """The content of one of FILES: a dict, or the list of its records.

    Args:
        problems: those that the records may be about.

    Raises:
        RunError: it is missing, or something in it is not as FILES says: one sentence that names
            the file, the field, what was found, what it must be, and the remedy.
    """
    if file.exists() and not file.is_file():  # a pipe or a device may never end
        raise RunError(f"{file}: is not a plain file. Remove it.")
    if file.suffix == ".json":
        data = runfolder.read_json(file)
        check(file, data)
        return data
    entry, records = entry_of(file), list[Any]()
    is_record = dataclasses.is_dataclass(entry.kind)
    known = None if problems is None else {problem.id for problem in problems}
    for number, row in enumerate(runfolder.read_lines(file, dict)):
        wrong = fault(row, entry.kind)
        if not wrong:
            records.append(runfolder.from_json(entry.kind, row) if is_record else row)
            wrong = entry.rule(records[-1])
        if not wrong and known is not None and row["problem_id"] not in known:
            wrong = f"problem_id {shown(row['problem_id'])} is not in the folder problems"
        if wrong:
            raise RunError(f"{file}, line {_line(file, number)}: {wrong}. {entry.remedy}")
    return records


def check(file: Path, data: Any) -> None:
    """Raises RunError, as `read` does, if the data of a .json file are not as FILES says."""
    entry = entry_of(file)
    if wrong := fault(data, entry.kind) or entry.rule(data):
        remedy = entry.remedy.replace("DIR", str(file.parent))
        raise RunError(f"{file}: {wrong}. {remedy}")


def read_problems(out: Path, split: str) -> tuple[Problem, ...]:
    """The problems of a split of a run. Raises the errors of `read`."""
    return tuple(read(out / "problems" / f"{split}.jsonl"))


def read_exam(file: Path, problems: Iterable[Problem]) -> ExamReport:
    """A finished exam on these problems. Raises the errors of `read`."""
    problems = tuple(problems)
    return ExamReport(problems, tuple(read(file, problems)))


def read_test(out: Path, number: int, problems: Iterable[Problem]) -> dict[str, Sample]:
    """Problem id → the answer of a round's student in the test, for every problem.

    Raises:
        RunError: as `read`, or a problem has no answer.
    """
    problems, file = tuple(problems), out / f"round-{number}" / "test.jsonl"
    found = {sample.problem_id: sample for sample in read(file, problems)}
    for problem in problems:
        if problem.id not in found:
            raise RunError(
                f"{file}: has no answer to problem {shown(problem.id)}. Remove the file to repeat "
                "its stage.")
    return found


def rounds(out: Path, name: str) -> dict[int, Path]:
    """Round → its file `name`, in the order of rounds; a folder such as round-abc is no round."""
    found = {}
    for file in out.glob(f"round-*/{name}"):
        number = re.fullmatch(r"round-(0|[1-9][0-9]{0,2})", file.parent.name)
        if number:
            found[int(number[1])] = file
    return dict(sorted(found.items()))


def check_folder(out: Path) -> None:
    """Read every file that the stages of a resumed run may read. Raises the errors of `read`.

    config.json and seals.json were read before, and report.json is written again.
    """
    problems = {
        split: read(file) for split in SPLITS
        if (file := out / "problems" / f"{split}.jsonl").exists()}
    train = problems.get("train")
    if (out / "demonstrations.jsonl").exists():
        read(out / "demonstrations.jsonl", train)
    for name in ("feedback.json", "stages.json", "training.jsonl", "losses.jsonl"):
        for file in rounds(out, name).values():
            read(file)
    for name in ("exam", "validation", "test", "lessons", "rejected"):
        for file in rounds(out, f"{name}.jsonl").values():
            read(file, problems.get(name) if name in SPLITS else train)


def _line(file: Path, record: int) -> int:
    """The number of a record's line; empty lines hold none."""
    lines = file.read_bytes().split(b"\n")
    return [number for number, line in enumerate(lines, 1) if line.strip()][record]
