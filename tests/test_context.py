"""A question too long for the student is named before anything is computed, and never trained on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.records import Lesson, Problem, Rejection
from l2r_lite.loop.runfolder import read_lines
from l2r_lite.loop.student import Student
from l2r_lite.runs.run import run_rounds
from l2r_lite.students.context import check_room, room
from l2r_lite.students.loading import load_student
from l2r_lite.students.sources import POCKET

CONTEXT = 512  # of the pocket student, and of the tiny one


def write(file: Path, words: dict[str, int]) -> None:
    """Own problems: id → words of its question."""
    rows = [{"id": key, "question": "seven " * n + f"and {i}?", "answer": i, "split": ("train", "validation", "test")[i % 3]}
            for i, (key, n) in enumerate(words.items())]  # fmt: skip
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def config(tiny_folder: Path, tmp_path: Path) -> LoopConfig:
    teacher = tmp_path / "rationales.jsonl"
    teacher.write_text('{"question": "unknown", "rationale": "unknown"}\n')
    return LoopConfig(
        student=str(tiny_folder), problems=str(tmp_path / "own.jsonl"), teacher=f"recorded:{teacher}", rounds=1, samples=1,
        limit=0, validation_limit=0, test_limit=0, epochs=1, max_new_tokens=12, reflection_weight=0.5,
    )  # fmt: skip


def test_a_run_with_a_question_that_is_too_long_is_refused_and_with_a_shorter_one_it_runs(
    config: LoopConfig, tmp_path: Path, load_tiny: Callable
) -> None:
    write(tmp_path / "own.jsonl", {"a": 3, "b": 3, "c": 3, "d": 3, "long-one": 600, "longer-one": 700})
    with pytest.raises(StudentError) as error:
        run_rounds(config, tmp_path / "run", progress=False)
    tokens = len(load_tiny().encode(student_prompt(Problem("", "seven " * 600 + "and 4?", "4", "number")))[0])
    assert f'problem "long-one" is too long (and so are 1 more): its {tokens:,} tokens and 12 for' in str(error.value)
    assert "more than the 512 that" in str(error.value) and "leave it out" in str(error.value)
    write(tmp_path / "own.jsonl", {"a": 3, "b": 3, "c": 3, "d": 3, "long-one": 5, "longer-one": 7})
    assert run_rounds(config, tmp_path / "run", progress=False)["stopped"] == "rounds"


def test_the_longest_prompt_that_fits_is_answered_and_one_token_more_is_refused(tiny: Student) -> None:
    prompt = "Question: Tom has 3 pens and a dog. How many?\nAnswer:"
    free = CONTEXT - len(tiny.encode(prompt)[0])
    assert room(tiny, [prompt, "Question:"]) == free
    check_room(tiny, {prompt: prompt}, free)
    with pytest.raises(StudentError, match=r"^“Question: Tom has 3 pens and a dog\. How many\? Answer:…” is too long:"):
        tiny.generate([prompt], max_new_tokens=free + 1)
    tiny.demonstrate("Question: 1 + 1?\nAnswer: The answer is 2.\n\n")
    assert room(tiny, [prompt]) == free - len(tiny.prefix) < free
    with pytest.raises(StudentError, match=f"tokens after {len(tiny.prefix)} of demonstrations and {free} for"):
        check_room(tiny, {"it": prompt}, free)


def test_demonstrations_that_leave_no_room_are_told(config: LoopConfig, tmp_path: Path) -> None:
    write(tmp_path / "own.jsonl", {key: 120 for key in "abcdef"})
    rows = [{"question": "seven " * 120 + f"and {i}?", "rationale": f"It is {i}. The answer is {i}."} for i in range(6)]
    (tmp_path / "rationales.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(StudentError, match=r"\d+ of demonstrations and 100 for"):
        run_rounds(config.with_(demonstrations=1, max_new_tokens=100), tmp_path / "run", progress=False)


def test_a_lesson_that_cannot_be_read_behind_its_question_is_refused(config: LoopConfig, tmp_path: Path) -> None:
    """A recorded teacher cannot be asked for shorter ones: its lessons may be longer than what the student may write."""
    write(tmp_path / "own.jsonl", {key: 3 for key in "abcdef"})
    texts = ["Count on. " * 20 + "The answer is 0.", "Count on. " * 300 + "The answer is 0."]
    rows = [{"question": "seven seven seven and 0?", "rationale": text} for text in texts]
    (tmp_path / "rationales.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run_rounds(config, tmp_path / "run", progress=False)
    assert [x.rationale for x in read_lines(tmp_path / "run" / "round-1" / "lessons.jsonl", Lesson)] == texts[:1]
    refused = read_lines(tmp_path / "run" / "round-1" / "rejected.jsonl", Rejection)
    assert [(r.problem_id, r.reason) for r in refused if r.rationale] == [("a", "too long")]


def test_a_student_with_a_table_of_positions_does_not_end_in_an_index_error(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=768, n_embd=64, n_layer=1, n_head=1, n_positions=64, bos_token_id=0, eos_token_id=0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(POCKET).save_pretrained(tmp_path)
    student = load_student(str(tmp_path), four_bit=False, dtype=torch.float32)
    assert student.context == 64
    for places, wanted in ((64, StudentError), (None, (IndexError, RuntimeError))):
        student.context = places
        with pytest.raises(wanted):
            student.generate(["Question: " + "seven " * 20 + "?\nAnswer:"], max_new_tokens=40)
