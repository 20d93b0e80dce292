"""Coverage-guided fuzzing of the grader and of every parser of text from outside (atheris, which `make soak` installs).

    python tests/soak/fuzz.py -runs=10000000 [-max_len=4096] [CORPUS]        # libFuzzer's own flags

The first byte of an input chooses the reader, the rest is what it reads. A reader may refuse in one of the project's own
errors; any other exception, or an answer that does not read back as itself, ends the run with the input that did it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["l2r_lite"]):
    from l2r_lite import (
        arithmetic,
        benchmarks,
        config,
        endpoint,
        evidence,
        grading,
        problems,
        prompts,
        replies,
        runfolder,
        teacher,
    )
    from l2r_lite.records import Lesson, Problem, Sample

CHOICES = ("bank", "library", "a (B)", "mall", "New York")
FILE = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)) / "fuzzed.jsonl"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")  # halves of characters, which atheris does not take, are hypothesis' part


def _file(data: bytes) -> Path:
    FILE.write_bytes(data)
    return FILE


def read_number(data: bytes) -> None:
    _same(grading.extract_answer(_text(data), "number"), "number")


def read_verdict(data: bytes) -> None:
    _same(grading.extract_answer(_text(data), "yes-no"), "yes-no")


def read_choice(data: bytes) -> None:
    _same(grading.extract_answer(_text(data), "choice", CHOICES), "choice")


def read_option(data: bytes) -> None:
    *options, text = _text(data).split("|")
    _same(grading.extract_answer(text, "choice", options), "choice")


def _same(answer: str | None, kind: grading.Kind) -> None:
    assert answer is None or grading.same_answer(answer, answer, kind), answer


def read_equations(data: bytes) -> None:
    for equation in arithmetic.equations(_text(data)):
        assert equation.holds or equation.left != equation.right or equation.left is None, equation


def read_gold(data: bytes) -> None:
    value = grading.parse_number(_text(data))
    assert value is None or grading.parse_number(grading.canonical_number(value)) == value


def read_written(data: bytes) -> None:
    cut = prompts.cut_after_answer(_text(data))
    assert prompts.cut_after_answer(cut) == cut


def read_teaching(data: bytes) -> None:
    found = prompts.read_teaching(_text(data))
    assert found is None or all(isinstance(r, str) and r for r in found[2])


def read_reply(data: bytes) -> None:
    heard = endpoint.read_reply(data)
    assert bool(heard.text) != bool(heard.fault)


def read_own_problems(data: bytes) -> None:
    for problem in problems.load_problems(_file(data)):
        json.dumps(prompts.student_prompt(problem), ensure_ascii=False).encode()
        assert problem.kind != "number" or grading.parse_number(problem.answer) is not None


def read_benchmark_row(data: bytes) -> None:
    for benchmark in benchmarks.BENCHMARKS.values():
        try:
            benchmarks._read_rows(benchmark, [json.loads(data)], "x", "x")
        except benchmarks.ProblemError:
            continue


def read_recorded(data: bytes) -> None:
    teacher.RecordedTeacher(_file(data))


def read_cache(data: bytes) -> None:
    problem = Problem("a", "q", "1", "number")
    replies.ReplyCache(_file(data)).mistakes([problem])


def read_records(data: bytes) -> None:
    for cls in (Problem, Sample, Lesson):
        try:
            runfolder.read_lines(_file(data), cls)
        except runfolder.RunError:
            continue


def read_config(data: bytes) -> None:
    config.LoopConfig.read(_file(data))


def read_log(data: bytes) -> None:
    evidence.read_log(_file(data))


READERS: tuple[Callable[[bytes], None], ...] = (
    read_number, read_verdict, read_choice, read_option, read_equations, read_gold, read_written, read_teaching, read_reply,
    read_own_problems, read_benchmark_row, read_recorded, read_cache, read_records, read_config, read_log,
)  # fmt: skip


def one_input(data: bytes) -> None:
    if data:
        reader = READERS[data[0] % len(READERS)]
        try:
            reader(data[1:])
        except ValueError as error:
            if not type(error).__module__.startswith("l2r_lite") and not isinstance(error, json.JSONDecodeError):
                raise


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
