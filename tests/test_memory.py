"""Memory that runs out in an exam or a training step: half as much at once, the same results, told once."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from card import TOO_MUCH, Card, measured
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.data.pocket.world import make_problems
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.exam import take_exam
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.runfolder import read_lines
from l2r_lite.loop.student import Student
from l2r_lite.loop.training import train_round
from l2r_lite.loop.writing import PlainWriter
from l2r_lite.runs.run import USUAL, run_rounds
from l2r_lite.students.loading import load_student
from l2r_lite.students.memory import Allowance, out_of_memory, step_that_fits
from l2r_lite.students.packing import packed_loss
from l2r_lite.students.slots import Slots

PROBLEMS = make_problems("train", 12, seed=4)
WRONG = "I think so. The answer is 1."
ITEMS = [TrainingItem(p, write_rationale(p, 0), write_rationale(p, 1), WRONG) for p in PROBLEMS]

# --- an exam ---


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_an_exam_that_does_not_fit_is_written_with_fewer_rows_and_the_same_words(
    load_tiny: Callable, temperature: float
) -> None:
    student = load_tiny(wake=True, device="cpu")
    prompts = [student.prompt(p) for p in PROBLEMS]
    options = {"samples": 2, "temperature": temperature, "max_new_tokens": 12}
    want = student.generate(prompts, rows=24, **options)
    needs = {rows: measured(lambda rows=rows: student.generate(prompts, rows=rows, **options)) for rows in (24, 6)}
    finished: list[int] = []
    with pytest.warns(UserWarning) as told, Card((needs[24] + 2 * needs[6]) // 3):
        got = student.generate(prompts, rows=24, progress=finished.append, **options)
        again = student.generate(prompts, rows=24, **options)
    assert got == want == again
    assert sum(finished) == len(prompts) and min(finished) <= 0  # what a failed attempt had finished is taken back
    (message,) = [str(w.message) for w in told if "memory" in str(w.message)]  # once, though there were two exams
    assert student.writer.allowance.most in (6, 12)
    assert message.startswith(f"Out of memory with 24 rationales written at once: from now on {student.writer.allowance.most}.")


def test_an_exam_goes_on_from_its_last_whole_part(load_tiny: Callable) -> None:
    """The parts that were saved are not written again."""
    student, calls, parts = load_tiny(wake=True, device="cpu"), [], []
    want = take_exam(student, PROBLEMS, rows=2, max_new_tokens=8, progress=False)
    write = student.writer.write

    def short(prompts: Sequence[Sequence[int]], *, rows: int, **options: object) -> list[list[list[int]]]:
        calls.append((len(prompts), rows))
        if parts and rows > 1:
            raise torch.OutOfMemoryError(TOO_MUCH)
        return write(prompts, rows=rows, **options)

    student.writer.write = short
    with pytest.warns(UserWarning, match="from now on 1"):
        got = take_exam(student, PROBLEMS, rows=2, max_new_tokens=8, on_samples=parts.append, progress=False)
    assert got == want and [len(part) for part in parts] == [8, 4]
    assert calls == [(8, 2), (4, 2), (4, 1)]


def test_the_plain_way_gets_fewer_rows_too(load_tiny: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    student = load_tiny(wake=True, device="cpu")
    prompts = [student.prompt(p) for p in PROBLEMS]
    want = PlainWriter(student).generate(prompts, max_new_tokens=8)
    student.fast_up_to, write, sizes = 0, PlainWriter._write, []

    def short(self: PlainWriter, prompts: list[str], *rest: object) -> list[str]:
        sizes.append(len(prompts))
        if len(prompts) > 3:
            raise torch.OutOfMemoryError(TOO_MUCH)
        return write(self, prompts, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(PlainWriter, "_write", short)
    with pytest.warns(UserWarning, match="from now on 3"):
        assert student.generate(prompts, rows=12, max_new_tokens=8) == want
    assert sizes == [12, 6, 3, 3, 3, 3]


# --- a training step ---


def trained(student: Student, config: LoopConfig, step: Callable | None = None) -> tuple[list[dict[str, float]], Tensor]:
    log = train_round(student, ITEMS, config, seed=0, objective=packed_loss, step=step, progress=False)
    return log, torch.cat([weight.detach().flatten() for weight in student.trainable.values()])


def test_training_that_does_not_fit_takes_the_same_steps_with_fewer_items_at_once(load_tiny: Callable) -> None:
    config = LoopConfig(reflection_weight=0.5, batch_size=12, epochs=4, learning_rate=1e-3)

    def load() -> Student:
        return load_tiny(wake=True, device="cpu", four_bit=False, dtype=torch.float32)

    want, weights = trained(load(), config)
    needs = {n: measured(lambda n=n: trained(load(), config.with_(micro_batch=n, epochs=1))) for n in (12, 2)}
    student, allowance = load(), Allowance("items at once", "--micro-batch")

    def step(items: Sequence[TrainingItem], config: LoopConfig, scaler: torch.amp.GradScaler) -> dict[str, float]:
        with Card((needs[12] + 3 * needs[2]) // 4):
            return step_that_fits(student, items, config, packed_loss, scaler, allowance)

    with pytest.warns(UserWarning) as told:
        got, ours = trained(student, config, step)
    assert allowance.most in (2, 3, 6)
    assert len([w for w in told if "Out of memory with 12 items at once" in str(w.message)]) == 1
    assert len(got) == len(want) == 4
    for mine, exact in zip(got, want, strict=True):
        assert mine == pytest.approx(exact, rel=1e-4)
    assert torch.allclose(ours, weights, atol=1e-4)


def test_half_a_step_leaves_no_gradient_and_no_changed_layer_behind(tiny_config: LoopConfig, tmp_path: Path) -> None:
    """The first piece has added its gradients when the second one fails."""
    failed = [False]

    def fails_in_the_middle(student: Student, items: Sequence[TrainingItem], config: LoopConfig) -> Iterator[dict[str, Tensor]]:
        for number, part in enumerate(packed_loss(student, items, config)):
            if number == 1 and not failed[0]:
                failed[0] = True
                raise torch.OutOfMemoryError(TOO_MUCH)
            yield part

    config = tiny_config.with_(micro_batch=4, rounds=1)
    run_rounds(config, tmp_path / "usual", progress=False)
    with pytest.warns(UserWarning, match="Out of memory with 4 items in memory at once in training: from now on 2"):
        run_rounds(config, tmp_path / "short", parts=dataclasses.replace(USUAL, objective=fails_in_the_middle), progress=False)
    assert failed[0]
    usual, short = (read_lines(tmp_path / name / "round-1" / "losses.jsonl", dict) for name in ("usual", "short"))
    for mine, exact in zip(short, usual, strict=True):
        assert mine == pytest.approx(exact, rel=1e-4)
    texts = [read_lines(tmp_path / name / "round-1" / "test.jsonl", dict) for name in ("usual", "short")]
    assert texts[0] == texts[1]


# --- a whole run, and what is not for us ---


def test_a_run_remembers_what_fits(tiny_config: LoopConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config.with_(exam_rows=16)
    want = run_rounds(config, tmp_path / "usual", progress=False)
    init, tried = Slots.__init__, []

    def small(self: Slots, layers: int, rows: int, columns: int, device: torch.device) -> None:
        tried.append(rows)
        if rows > 5:
            raise torch.OutOfMemoryError(TOO_MUCH)
        init(self, layers, rows, columns, device)

    monkeypatch.setattr(Slots, "__init__", small)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        got = run_rounds(config, tmp_path / "short", progress=False)
    assert [r["accuracy"] for r in got["rounds"]] == [r["accuracy"] for r in want["rounds"]]
    assert [rows for rows in tried if rows > 5] == [9, 8]  # of 9 questions; then never again
    assert len([w for w in told if "Out of memory" in str(w.message)]) == 1
    for name in ("round-1/exam.jsonl", "round-2/test.jsonl"):
        assert read_lines(tmp_path / "short" / name, dict) == read_lines(tmp_path / "usual" / name, dict)


def test_if_even_the_least_does_not_fit_one_sentence_says_what_helps(tiny: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError(TOO_MUCH)

    monkeypatch.setattr(Slots, "__init__", none)
    with pytest.raises(StudentError, match="out of memory with only 2 rationales written at once.*l2r-lite plan"):
        tiny.generate([tiny.prompt(p) for p in PROBLEMS], samples=2, temperature=0.5, rows=16, max_new_tokens=4)
    assert not any("forward" in vars(module) for module in tiny.model.modules())


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError(TOO_MUCH), True),
        (RuntimeError("HIP out of memory. Tried"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (MemoryError(), True),
        (RuntimeError("shape '[2]' is invalid"), False),
        (ValueError("out of memory"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_which_errors_say_that_memory_ran_out(error: BaseException, is_one: bool) -> None:
    assert out_of_memory(error) == is_one


def test_any_other_error_goes_through(tiny_folder: Path) -> None:
    student = load_student(str(tiny_folder), device="cpu")

    def stop(done: int) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        student.generate([student.prompt(PROBLEMS[0])], max_new_tokens=2, progress=stop)
    assert student.writer.allowance.most is None
