"""Sixty texts that untrained students wrote, what a person reads in them, and graders."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from l2r_course.checks.base import watched
from l2r_lite.data.answers import extract_answer, same_answer
from l2r_lite.loop.records import Kind, Problem

Reader = Callable[[str, Kind, Sequence[str]], Any]


@dataclass(frozen=True)
class Output:
    """What a student wrote to a problem, and how it was sampled.

    Attributes:
        read: the answer that a careful human reader finds in the text, or None.
        form: what is special about the text; "" for hidden ones.
    """

    problem: Problem
    text: str
    read: str | None
    form: str
    model: str
    prompt: str
    temperature: float
    seed: int
    sample: int


def real_outputs(*, shown: bool = True) -> list[Output]:
    """The 30 texts of notebook 01, or 30 that it does not show (their source: outputs.json)."""
    data = json.loads(Path(__file__).with_name("outputs.json").read_text(encoding="utf-8"))
    outputs = []
    for i, row in enumerate(data["outputs"], start=1):
        if row.pop("shown") == shown:
            asked = {name: row.pop(name) for name in ("question", "kind")}
            problem = Problem(id=f"output-{i}", answer=row.pop("gold"),
                              choices=tuple(row.pop("choices")), **asked)
            outputs.append(Output(problem, **row))
    return outputs


def candidates(text: str, kind: Kind) -> list[str]:
    """Everything that could be an answer of this kind: numbers, yes and no, or letters in ()."""
    if kind == "number":
        return [n.replace(",", "") for n in re.findall(r"-?[0-9][0-9,]*(?:\.[0-9]+)?", text)]
    if kind == "yes-no":
        return re.findall(r"\b(yes|no)\b", text.lower())
    return re.findall(r"\(([A-Z])\)", text)


def first_candidate(text: str, kind: Kind, choices: Sequence[str] = ()) -> str | None:
    return next(iter(candidates(text, kind)), None)


def last_candidate(text: str, kind: Kind, choices: Sequence[str] = ()) -> str | None:
    return next(reversed(candidates(text, kind)), None)


def answer_line_only(text: str, kind: Kind, choices: Sequence[str] = ()) -> str | None:
    """The first candidate after the last "The answer is" and in the same sentence."""
    stated = re.findall(r"the answer is(.*?)(?:\.(?![0-9])|\n|$)", text, re.IGNORECASE)
    return first_candidate(stated[-1], kind) if stated else None


GRADERS: dict[str, Reader] = {
    "the first candidate": first_candidate,
    "the last candidate": last_candidate,
    "after “The answer is”": answer_line_only,
    "this library": extract_answer,
}


def agrees(got: Any, read: str | None, kind: Kind) -> bool:
    """Whether a program reads what the human reader did; numbers may have commas but no unit."""
    if got is None or read is None:
        return got is None and read is None
    if isinstance(got, int | float | Fraction) and not isinstance(got, bool):
        got = str(got)
    if not isinstance(got, str):
        return False
    bare = kind != "number" or re.fullmatch(r"\s*-?\$?[0-9.,/]+\s*", got)
    return bool(bare) and same_answer(got, read, kind)


def arguments(output: Output) -> tuple[str, Kind, Sequence[str]]:
    """What a reader is called with."""
    return output.text, output.problem.kind, output.problem.choices


def read_by(reader: Reader, output: Output) -> Any:
    """What a program reads in a text, without what it prints; an exception becomes a Raised."""
    return watched(reader, arguments(output))[0]


def as_a_person(reader: Reader, output: Output) -> bool:
    return agrees(read_by(reader, output), output.read, output.problem.kind)


def how_many(reader: Reader, outputs: Sequence[Output]) -> int:
    """How many outputs a program reads as the human reader did."""
    return sum(as_a_person(reader, output) for output in outputs)


def miscounted(reader: Reader, outputs: Sequence[Output]) -> tuple[int, int]:
    """What misreading does to an exam: (right answers called wrong, wrong ones called right)."""
    lost = passed = 0
    for output in outputs:
        problem = output.problem
        right = same_answer(output.read, problem.answer, problem.kind)
        got = read_by(reader, output)
        called = isinstance(got, str) and same_answer(got, problem.answer, problem.kind)
        lost += right and not called
        passed += called and not right
    return lost, passed
