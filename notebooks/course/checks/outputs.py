"""Forty texts that untrained students really wrote, what a person reads in each, and graders that read them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from l2r_course.checks.base import outcome

from l2r_lite.data.answers import extract_answer, same_answer
from l2r_lite.loop.records import Kind, Problem

Reader = Callable[[str, Kind, Sequence[str]], Any]


@dataclass(frozen=True)
class Output:
    """What a student wrote to a problem, and how it came about.

    `read`: the answer that a careful human reader says the text gives; None where it gives none.
    `form`: what is special.
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
    """The 30 texts of notebook 01, or the ten others that it does not show; where they come from stands in outputs.json."""
    data = json.loads(Path(__file__).with_name("outputs.json").read_text(encoding="utf-8"))
    outputs = []
    for i, row in enumerate(data["outputs"], start=1):
        if row.pop("shown") == shown:
            asked = {name: row.pop(name) for name in ("question", "kind")}
            problem = Problem(id=f"output-{i}", answer=row.pop("gold"),
                              choices=tuple(row.pop("choices")), **asked)
            outputs.append(Output(problem, **row))
    return outputs


# --- graders that a first version of a program often is; notebook 01 draws how they fare ---


def candidates(text: str, kind: Kind) -> list[str]:
    """Everything in a text that could be an answer of this kind: its numbers, its yes and no, its "(A)" and "(B)"."""
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
    """The first candidate after the last "The answer is", as long as the sentence lasts."""
    stated = re.findall(r"the answer is(.*?)(?:\.(?![0-9])|\n|$)", text, re.IGNORECASE)
    return first_candidate(stated[-1], kind) if stated else None


GRADERS: dict[str, Reader] = {
    "the first candidate": first_candidate,
    "the last candidate": last_candidate,
    "after “The answer is”": answer_line_only,
    "this library": extract_answer,
}


def agrees(got: Any, read: str | None, kind: Kind) -> bool:
    """Whether what a program read is what the human reader read; a number may carry commas but no unit."""
    if got is None or read is None:
        return got is None and read is None
    if isinstance(got, int | float | Fraction) and not isinstance(got, bool):
        got = str(got)
    if not isinstance(got, str) or (
        kind == "number" and not re.fullmatch(r"\s*-?\$?[0-9.,/]+\s*", got)):
        return False
    return same_answer(got, read, kind)


def read_by(reader: Reader, output: Output) -> Any:
    """What a program reads in a text; an exception is told as a value (base.Raised)."""
    return outcome(reader, (output.text, output.problem.kind, output.problem.choices))


def as_a_person(reader: Reader, output: Output) -> bool:
    return agrees(read_by(reader, output), output.read, output.problem.kind)


def how_many(reader: Reader, outputs: Sequence[Output]) -> int:
    """How many outputs a program reads as the human reader did."""
    return sum(as_a_person(reader, output) for output in outputs)


def miscounted(reader: Reader, outputs: Sequence[Output]) -> tuple[int, int]:
    """What misreading does to an exam: (right answers called mistakes, wrong answers called right)."""
    lost = passed = 0
    for output in outputs:
        problem = output.problem
        right = same_answer(output.read, problem.answer, problem.kind)
        got = read_by(reader, output)
        called = isinstance(got, str) and same_answer(got, problem.answer, problem.kind)
        lost, passed = lost + (right and not called), passed + (called and not right)
    return lost, passed
