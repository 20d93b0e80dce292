"""The planner's bytes against the bytes of real students, and against the memory of a real step."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from card import measured as bytes_for
from l2r_lite.app.ledger import Ledger
from l2r_lite.app.planner import SHAPES, MemoryPlan, knobs, plan_memory
from l2r_lite.app.timing import time_round
from l2r_lite.data.hub import cache_folder
from l2r_lite.data.problems import load_problems
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.student import Student
from l2r_lite.students.four_bit import four_bit_layers
from l2r_lite.students.loading import load_student
from l2r_lite.students.presets import PRESETS

SMOL = cache_folder() / "SmolLM2-135M-Instruct"
needs_smol = pytest.mark.skipif(not SMOL.is_dir(), reason=f"no SmolLM2 in {SMOL}; a run with --preset smol puts it there")


def bytes_of(student: Student) -> tuple[int, int, int]:
    """Weights, constants and adapter as they lie in memory, each storage once."""
    seen: dict[int, int] = {}

    def new(tensors: object) -> int:
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}  # type: ignore[attr-defined]
        fresh = {k: v for k, v in storages.items() if k not in seen}
        seen.update(fresh)
        return sum(fresh.values())

    adapter = new(p.data for p in student.trainable.values())
    states = [layer.weight.quant_state for layer in four_bit_layers(student.model).values()]
    constants = new(t for s in states for t in (s.absmax, s.code, s.offset, s.state2.absmax, s.state2.code))
    weights = new([*(p.data for p in student.model.parameters()), *student.model.buffers()])
    return weights, constants, adapter


@pytest.mark.parametrize("name", ["pocket", pytest.param("smol", marks=needs_smol)])
def test_weights_constants_and_adapter_are_exact_to_the_byte(name: str) -> None:
    student = load_student(name, lora_rank=8, dtype=torch.float32)
    plan = plan_memory(LoopConfig(student=name, lora_rank=8, problems="pocket"), dtype=torch.float32)
    assert (plan.weights, plan.constants, plan.adapter) == bytes_of(student)


def test_without_four_bit_there_are_no_constants_and_every_weight_counts_whole() -> None:
    plan = plan_memory(LoopConfig(four_bit=False), dtype=torch.float32)
    student = load_student("pocket", four_bit=False)
    assert plan.constants == 0 and plan.weights == bytes_of(student)[0]


STEP = """
import gc, re, sys, torch
from l2r_lite.app import planner
from l2r_lite.data.problems import load_problems
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.training import train_step
from l2r_lite.students import packing, rows as layout
from l2r_lite.students.loading import load_student

def status(key):
    return int(re.search(key + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

name, rows = sys.argv[1], int(sys.argv[2])
planner.TOKENS_AT_ONCE = layout.cut.__kwdefaults__["tokens"] = 10**6  # all rows in one piece: more to compare
student = load_student(name)
alike = {}  # without padding: the plan is of rows that are as long as the longest
for p in load_problems("pocket", "train", limit=2000):
    texts = [f"{step} = 7. " * 8 + f"The answer is {p.answer}." for step in ("3 + 4", "4 + 3", "5 + 2")]
    length = tuple(len(ids) for ids in student.encode(student.prompt(p), " " + texts[0]))
    alike.setdefault(length, []).extend([TrainingItem(p, *texts), TrainingItem(p, texts[1], texts[0], texts[2])])
(prompt, written), items = max(alike.items(), key=lambda entry: len(entry[1]))
items = items[: 2 * rows]  # two lessons a question, each the other's positive: a row
assert len(items) == 2 * rows == 2 * len(layout.make_rows(student, items))
for checkpointing in (False, True):
    student = load_student(name, dtype=torch.float32, gradient_checkpointing=checkpointing)
    config = LoopConfig(student=name, problems="pocket", batch_size=rows, reflection_weight=0.5,
                        gradient_checkpointing=checkpointing)
    student.model.train()
    train_step(student, items[:1], config, packing.packed_loss)  # what is made once is not the step's
    student.model.zero_grad(); gc.collect()
    open("/proc/self/clear_refs", "w").write("5")  # the highest point is counted anew
    before = status("VmRSS")
    train_step(student, items, config, packing.packed_loss)
    measured = status("VmHWM") - before
    plan = planner.plan_memory(config, prompt_tokens=prompt, rationale_tokens=written, dtype=torch.float32)
    print(plan.activations, measured)
    del student; gc.collect()
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the highest memory can be reset on Linux only")
@pytest.mark.parametrize(("name", "rows"), [
    ("pocket", 32), pytest.param("smol", 4, marks=[pytest.mark.slow, needs_smol]),
])  # fmt: skip
def test_the_peak_of_a_training_step_is_within_ten_percent_of_the_measured_one(name: str, rows: int) -> None:
    """Without checkpointing, and with it."""
    # With a fixed threshold glibc returns freed blocks at once; else the process holds up to 1.7 times what tensors need.
    settings = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", STEP, name, str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, env=settings, check=True)
    pairs = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(pairs) == 2 and pairs[1][0] < pairs[0][0]
    for planned, measured in pairs:
        assert planned == pytest.approx(measured, rel=0.1)


@pytest.mark.parametrize(("rows", "questions"), [(20, 10), (40, 60), (156, 156)])
def test_an_exam_needs_no_more_than_planned_and_not_much_less(rows: int, questions: int) -> None:
    """All questions of one length, all rationales of the full one: keys, values, prompts and logits at their most."""
    samples, by_length = 1 if rows == 156 else 2, dict[int, list[str]]()
    student = load_student("pocket", device="cpu")
    for problem in load_problems("pocket", "train", limit=2000):
        prompt = student.prompt(problem)
        by_length.setdefault(len(student.encode(prompt)[0]), []).append(prompt)
    length, prompts = max(by_length.items(), key=lambda entry: len(entry[1]))
    student.end_ids, student.writer.may_end_sentence = set(), [False] * student.head.out_features  # nothing ends early
    options = {"samples": samples, "temperature": 0.7, "max_new_tokens": 40, "rows": rows}
    needed = bytes_for(lambda: student.generate(prompts[:questions], **options))
    config = LoopConfig(exam_rows=rows, samples=samples, max_new_tokens=40)
    plan = plan_memory(config, prompt_tokens=length, dtype=torch.float32)
    assert needed <= plan.exam - plan.weights - plan.constants - plan.adapter <= 1.5 * needed


def test_logits_and_demonstrations_are_planned() -> None:
    plan, shown = (plan_memory(PRESETS["consumer"].with_(demonstrations=n)) for n in (0, 3))
    assert plan.choosing == 64 * 152064 * (2 + 4 + 4)  # rows × vocabulary, in bf16 and twice in fp32
    assert shown.writing == plan.writing * (3 * 356 + 356) / 356  # every row keeps them, too
    assert shown.reading > plan.reading and shown.activations > plan.activations


def test_the_ledger_counts_what_lives_at_once() -> None:
    x = torch.ones(1000)
    with Ledger([x]) as ledger:
        a = x + 1
        view = a[:10]
        del a
        view.mul_(2)
        del view
        b = x * 2
        assert (ledger.now, ledger.peak) == (4000, 4000)
        c = torch.cat([b, b])
        assert (ledger.now, ledger.peak) == (12000, 12000)
        del b, c
    assert (ledger.now, ledger.peak) == (0, 12000)


def test_presets_are_planned_without_weights_and_fit_the_cards_they_are_meant_for() -> None:
    plans = {name: plan_memory(config) for name, config in PRESETS.items() if config.student != "pocket"}
    million = {name: round(p.parameters / 1e6) for name, p in plans.items()}
    assert million == {"smol": 135, "t4": 1544, "consumer": 7616, "paper": 6051}
    assert plans["t4"].fits(16) and plans["consumer"].fits(12) and plans["paper"].fits(12)
    assert not plans["consumer"].fits(8)


def test_more_work_needs_more_memory_and_checkpointing_less() -> None:
    config = LoopConfig(batch_size=8, max_new_tokens=8, reflection_weight=0.5)
    small = plan_memory(config)
    assert plan_memory(config, prompt_tokens=200).activations > small.activations
    assert plan_memory(config.with_(batch_size=16)).activations > 1.8 * small.activations
    assert plan_memory(config.with_(reflection_weight=0.0)).activations < small.activations
    assert plan_memory(config.with_(gradient_checkpointing=True)).activations < small.activations
    assert plan_memory(config.with_(batch_size=16, micro_batch=8)) == small


def test_a_run_that_does_not_fit_is_told_the_knob_that_saves_most_first() -> None:
    config = PRESETS["consumer"].with_(micro_batch=16, gradient_checkpointing=False)
    plan = plan_memory(config)
    turns = knobs(config, plan, 16)
    assert len(turns) >= 2 and [p.peak for _, p in turns] == sorted(p.peak for _, p in turns)
    assert turns[0][1].peak < 0.6 * plan.peak and turns[0][0] in {"--micro-batch 1", "--gradient-checkpointing"}
    assert knobs(config, MemoryPlan("x", *[1] * 8), 16) == []


def test_an_unknown_student_is_named_with_those_that_are_known() -> None:
    with pytest.raises(StudentError, match=r"no/such-model.*Qwen2\.5-7B"):
        plan_memory(LoopConfig(student="no/such-model"))
    assert SHAPES.is_file()


def test_a_round_is_reckoned_from_a_short_try_as_a_run_trains_and_the_student_stays_as_it_was(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object) -> None:
        raise AssertionError("the plain losses take longer than a run's")

    monkeypatch.setattr("l2r_lite.loop.losses.read_texts", slow)
    student = load_student("pocket")
    before = {name: p.clone() for name, p in student.trainable.items()}
    problems = load_problems("pocket", "train", limit=60)
    config = LoopConfig(exam_rows=40, epochs=2, batch_size=16, reflection_weight=0.5)
    took = time_round(config, student, problems)
    assert took.exam > 0 and took.training > 0 and 0 < took.mistakes <= 1
    items = 60 * took.mistakes * config.lessons
    assert 2 * items / 16 <= took.steps <= (2 + config.replay) * items / 16 + 2
    assert all(torch.equal(before[name], p) and p.grad is None for name, p in student.trainable.items())
    assert isinstance(student.model, nn.Module) and not student.model.training
