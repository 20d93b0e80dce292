"""The files of a run folder and what each must hold; reading.py checks it.

FORMAT.md is made from here: python -m l2r_lite.runs.schema > l2r_lite/FORMAT.md
"""

import dataclasses
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

from l2r_lite.data.gold import gold_number
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.records import LETTERS, Lesson, Problem, Rejection, Sample
from l2r_lite.runs.fields import ANY_NUMBER, MOST, described, fault, records_in, table
from l2r_lite.teachers.cost import Meter

Count = Annotated[int, (0, MOST)]
Share = Annotated[float, (0, 1)]
Amount = Annotated[float, (0, MOST)]


class Untrained(TypedDict):
    """The student before any training: entry 0 of a report's rounds."""

    round: Annotated[Count, "0, 1, 2, … in this order"]
    accuracy: Annotated[Share, "share of the test questions answered right"]
    ci95: Annotated[tuple[Share, Share], "95 % interval of the accuracy, over questions"]
    validation_accuracy: Annotated[Share, "the same on the validation questions"]
    by_skill: Annotated[dict[str, Share], "skill → accuracy, with the same skills in every round"]
    evaluation_seconds: NotRequired[Annotated[Amount, "for validation and test"]]


class Trained(Untrained):
    """A finished round: entries 1, 2, … of a report's rounds."""

    samples: Annotated[Count, "answers in the exam"]
    mistakes: Annotated[Count, "wrong ones among them"]
    teacher_calls: Annotated[Count, "mistakes sent to the teacher"]
    lessons: Annotated[Count, "verified rationales"]
    items: Annotated[Count, "training items: lessons, earlier lessons, own right answers"]
    triplet_share: Annotated[Share, "share of the items with a positive and a negative"]
    exam_seconds: Amount
    train_seconds: Amount
    feedback_seconds: NotRequired[Amount]
    train_questions: NotRequired[Annotated[Count, "questions in the exam"]]
    lessons_in_doubt: NotRequired[Annotated[Count, "lessons whose steps do not give the answer"]]
    rejected: NotRequired[Annotated[Count, "rationales that verification refused"]]
    rejected_by_reason: NotRequired[dict[str, Count]]
    without_lesson: NotRequired[Annotated[dict[str, Count], "reason → mistakes without a lesson"]]
    teacher_cost_so_far: NotRequired[Annotated[Meter, "of this start; a paid teacher only"]]


class Report(TypedDict):
    """A run's results."""

    config: Annotated[LoopConfig, "as in config.json"]
    environment: Annotated[dict[str, Any], "machine and versions"]
    rounds: Annotated[list[Untrained], "entry 0, then one Trained entry per finished round"]
    best_round: Annotated[Count, "the round whose student is kept: best on validation"]
    accuracy: Annotated[Share | None, "of the student kept; null before the first evaluation"]
    ci95: Annotated[tuple[Share, Share] | None, "its interval"]
    peak_rss_mb: Annotated[Amount | None, "most memory used, in 10⁶ bytes"]
    stopped: Annotated[str, "why it ended: rounds, no-improvement, budget, user"]


class Item(TypedDict):
    """A training item."""

    problem_id: str
    anchor: Annotated[str, "the rationale trained on"]
    positive: Annotated[str | None, "another right rationale"]
    negative: Annotated[str | None, "the student's own mistake"]
    source: Annotated[str, "lesson, replay (an earlier one) or own (a right answer of its own)"]


class Feedback(TypedDict):
    """What the teacher was asked in a round."""

    teacher_calls: Annotated[Count, "mistakes sent"]
    without_lesson: NotRequired[Annotated[dict[str, Count], "reason → mistakes without a lesson"]]
    so_far: NotRequired[Annotated[Meter, "what a paid teacher has cost since this start"]]


class Seals(TypedDict):
    """Checksums of the finished stages."""

    format: Annotated[Count, "of the run folder"]
    config: Annotated[LoopConfig, "the settings that the run was made with"]
    sha256: Annotated[dict[str, str], "file → digest"]


def _report_rule(report: Mapping[str, Any]) -> str:
    rounds = report["rounds"]
    for number, entry in enumerate(rounds):
        name = f"rounds[{number}]"
        if wrong := fault(entry, Trained if number else Untrained, name):
            return wrong
        if entry["round"] != number:
            return f"{name}.round is {entry['round']}, and must be {number}"
        if entry["by_skill"].keys() != rounds[0]["by_skill"].keys():
            return f"{name}.by_skill has other skills than rounds[0].by_skill"
    if rounds and report["best_round"] >= len(rounds):
        return f"best_round is {report['best_round']}, and must be one of its {len(rounds)} rounds"
    if rounds and None in (report["accuracy"], report["ci95"]):
        return "accuracy or ci95 is null, and must be that of the student kept"
    return ""


def _problem_rule(problem: Problem) -> str:
    right = {
        "number": gold_number(problem.answer) is not None,
        "yes-no": problem.answer in ("yes", "no"),
        "choice": problem.answer in tuple(LETTERS[: len(problem.choices)])}
    return "" if right[problem.kind] else f"answer is not one of kind {problem.kind}"


_AGAIN = "Remove the file to repeat its stage."


@dataclasses.dataclass(frozen=True)
class File:
    """One file of a run folder.

    Attributes:
        kind: the record in it; a .jsonl file has one per line.
        remedy: what to do about a damaged one; DIR stands for the run folder.
        rule: what is wrong with a record whose fields are right, if anything.
    """

    kind: Any
    about: str
    remedy: str = _AGAIN
    rule: Callable[[Any], str] = lambda record: ""


_PROBLEMS = File(Problem, "the questions of a split", _AGAIN, _problem_rule)
_EXAM = File(Sample, "a student's answers, in the order of the questions")
_WITH_LESSONS = "Remove the file and lessons.jsonl beside it to repeat its stage."
_WITH_ADAPTER = "Remove the file and the folder adapter beside it to repeat its stage."
FILES = {
    "config.json": File(LoopConfig, "the settings", "Put back the settings of this run."),
    "problems/train.jsonl": _PROBLEMS, "problems/validation.jsonl": _PROBLEMS,
    "problems/test.jsonl": _PROBLEMS,
    "demonstrations.jsonl": File(Lesson, "worked examples before every question", _AGAIN),
    "round-N/exam.jsonl": _EXAM, "round-N/validation.jsonl": _EXAM, "round-N/test.jsonl": _EXAM,
    "round-N/lessons.jsonl": File(Lesson, "verified rationales"),
    "round-N/rejected.jsonl": File(Rejection, "rationales that were refused", _WITH_LESSONS),
    "round-N/feedback.json": File(Feedback, "what was asked of the teacher", _WITH_LESSONS),
    "round-N/training.jsonl": File(Item, "what the student was trained on", _WITH_ADAPTER),
    # NaN shows a training that went wrong.
    "round-N/losses.jsonl": File(
        dict[str, Annotated[float, ANY_NUMBER]], "what each training step logged", _WITH_ADAPTER),
    "round-N/stages.json": File(dict[str, Amount], "stage → its seconds", "Remove the file."),
    "report.json": File(
        Report, "results", "Write it again with: l2r-lite run --resume DIR", _report_rule),
    "seals.json": File(Seals, "checksums", "Remove the file to use the run's files as they are."),
}


def entry_of(file: Path) -> File:
    """What FILES says about a file. Raises KeyError if it says nothing."""
    folder = re.sub(r"^round-[0-9]+$", "round-N", file.parent.name)
    return FILES.get(f"{folder}/{file.name}") or FILES[file.name]


def as_markdown() -> str:
    """FORMAT.md. The settings are left out: `l2r-lite run --help` explains them."""
    rows, kinds = [], []
    for name, file in FILES.items():
        kinds += records_in(file.kind)
        each = "one per line: " if name.endswith(".jsonl") else ""
        rows.append(f"| `{name}` | {file.about} | {each}{described(file.kind)} |")
    shown = [kind for kind in dict.fromkeys([*kinds, Trained]) if kind is not LoopConfig]
    return "\n".join([
        "# The files of a run folder", "",
        "Made by `python -m l2r_lite.runs.schema` from the types that every file is checked with "
        "when it is read.", "Fields that are not listed are ignored. `LoopConfig` holds the "
        "settings that `l2r-lite run --help` explains.", "",
        "| file | holds | content |", "|---|---|---|", *rows, "", *map(table, shown)])


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
