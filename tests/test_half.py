"""16-bit students: fp16 (a T4 has nothing else) and bf16, forced on a CPU."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from families import FULL, build
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.data.pocket.world import make_problems
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.losses import tailored_loss, triplet_loss
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.runfolder import read_lines
from l2r_lite.loop.student import Student
from l2r_lite.loop.training import train_round, train_step
from l2r_lite.runs.run import run_rounds
from l2r_lite.students import loading
from l2r_lite.students.adapters import load_adapter
from l2r_lite.students.loading import load_student
from l2r_lite.students.packing import packed_loss
from l2r_lite.students.rows import collate, make_rows
from l2r_lite.students.slots import Slots
from tiny_student import wake_up

HALVES = {torch.float16: 5e-3, torch.bfloat16: 4e-2}  # relative tolerance: 10 and 7 bits of mantissa
PROBLEMS = make_problems("train", 12, seed=4)
WRONG = "I think so. The answer is 1."
ITEMS = [TrainingItem(p, write_rationale(p, 0), write_rationale(p, 1), WRONG) for p in PROBLEMS]
each_half = pytest.mark.parametrize("dtype", HALVES, ids=["fp16", "bf16"])


def load(folder: Path, dtype: torch.dtype, four_bit: bool) -> Student:
    student = load_student(str(folder), four_bit=four_bit, device="cpu", dtype=dtype)
    wake_up(student, torch.Generator().manual_seed(1))
    return student


@each_half
@pytest.mark.parametrize(
    ("family", "four_bit"), [("llama", True), ("llama", False), ("gpt2", False), ("gemma", True), ("phi", True)]
)
def test_losses_and_steps_are_those_of_fp32_within_rounding(
    family: str, four_bit: bool, dtype: torch.dtype, tmp_path: Path
) -> None:
    """One round of training: the same items, the same steps, both losses at every step."""
    folder = build(FULL[family], tmp_path / "student", spread=0.05)
    config = LoopConfig(reflection_weight=0.5, batch_size=4, epochs=2, learning_rate=1e-3)
    logs = {}
    for kind in (torch.float32, dtype):
        student = load(folder, kind, four_bit)
        for objective in (tailored_loss, packed_loss):
            logged = train_step(student, ITEMS, config, objective)
            student.model.zero_grad(set_to_none=True)
            assert all(math.isfinite(value) for value in logged.values())
            logs[kind, objective] = logged
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # fp16 finds its scale
            logs[kind] = train_round(student, ITEMS, config, seed=0, objective=packed_loss, progress=False)
        assert all(weight.isfinite().all() and weight.dtype == torch.float32 for weight in student.trainable.values())
    for objective in (tailored_loss, packed_loss):
        assert logs[dtype, objective] == pytest.approx(logs[torch.float32, objective], rel=HALVES[dtype], abs=2e-3)
    ours, theirs = ([(step["lm"], step["cl"]) for step in logs[kind]] for kind in (dtype, torch.float32))
    assert len(ours) == len(theirs) == 6
    for mine, exact in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(exact, rel=2 * HALVES[dtype], abs=5e-3)
    assert ours[-1][0] < ours[0][0]


@each_half
@pytest.mark.parametrize("four_bit", [True, False])
def test_the_whole_loop_runs_in_16_bits(
    tiny_config: LoopConfig, dtype: torch.dtype, four_bit: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "pick_dtype", lambda device, where="": dtype)
    config = tiny_config.with_(four_bit=four_bit, demonstrations=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        report = run_rounds(config, tmp_path / "run", progress=False)
    assert len(report["rounds"]) == 3 and report["stopped"] == "rounds"
    for number in (1, 2):
        losses = read_lines(tmp_path / "run" / f"round-{number}" / "losses.jsonl", dict)
        assert losses and all(math.isfinite(value) for step in losses for value in step.values())
    student = load_student(config.student, four_bit=four_bit)
    assert student.dtype == dtype
    load_adapter(student, tmp_path / "run" / "round-2" / "adapter")
    assert all(weight.isfinite().all() for weight in student.trainable.values())
    assert any(weight.any() for name, weight in student.trainable.items() if "lora_B" in name)


def test_cosines_of_large_fp16_states_are_those_of_fp32() -> None:
    """Their squares overflow: in fp16 the norms would be infinite and the cosines 0."""
    generator = torch.Generator().manual_seed(0)
    states = [3000 * torch.randn(4, 3584, generator=generator) for _ in range(3)]
    exact = triplet_loss(*states)
    assert triplet_loss(*(s.half() for s in states)).item() == pytest.approx(exact.item(), abs=1e-3)
    assert triplet_loss(*(s.double() for s in states)).dtype == torch.float64
    in_half = torch.nn.functional.cosine_similarity(states[0].half(), states[1].half(), -1)
    right = torch.nn.functional.cosine_similarity(states[0], states[1], -1)
    assert not torch.allclose(in_half.float(), right, atol=1e-3)  # shows that the test can fail


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_no_token_is_left_without_one_to_attend_to(tiny: Student, dtype: torch.dtype) -> None:
    """Also padding and free slots: a row of −inf only becomes nan, and nan spreads."""
    short, long = ITEMS[0], TrainingItem(PROBLEMS[1], 5 * ITEMS[1].anchor, ITEMS[1].positive, WRONG)
    for triplets in (True, False):
        mask = collate(tiny, make_rows(tiny, [short, long], with_triplets=triplets)).mask(dtype)
        assert mask.dtype == dtype and mask.isfinite().all()
        assert ((mask == 0).any(-1)).all()
    slots = Slots(1, 3, 10, torch.device("cpu"))
    slots.ends, slots.width = torch.tensor([0, 4, 6]), 7
    mask = slots.mask(dtype)
    assert mask.isfinite().all() and (mask == 0).sum(-1).flatten().tolist() == [1, 5, 7]


def test_steps_that_fp16_skips_are_counted_and_told(tiny_folder: Path) -> None:
    student = load_student(str(tiny_folder), device="cpu", dtype=torch.float16)
    before = {name: weight.clone() for name, weight in student.trainable.items()}
    seen, changed = [0], []

    def too_large_at_first(student: Student, items: Sequence[TrainingItem], config: LoopConfig) -> Iterator[dict[str, Tensor]]:
        seen[0] += 1
        for part in packed_loss(student, items, config):
            yield part | {"loss": part["loss"] * (1e30 if seen[0] <= 2 else 1e-4)}

    def note(logged: dict[str, float]) -> None:
        changed.append(any(not torch.equal(weight, before[name]) for name, weight in student.trainable.items()))

    config = LoopConfig(batch_size=3, epochs=1)
    with pytest.warns(UserWarning, match="2 of 4 training steps were skipped: .* too large for fp16"):
        log = train_round(student, ITEMS, config, seed=0, objective=too_large_at_first, on_step=note, progress=False)
    assert ["skipped" in step for step in log] == [True, True, False, False]
    assert ["gradient" in step for step in log] == [False, False, True, True]
    assert changed == [False, False, True, True]


def test_a_student_in_fp32_or_bf16_scales_nothing(tiny_folder: Path, recwarn: pytest.WarningsRecorder) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        student = load_student(str(tiny_folder), device="cpu", dtype=dtype)
        log = train_round(student, ITEMS[:4], LoopConfig(epochs=1), seed=0, objective=packed_loss, progress=False)
        assert all("gradient" in step and "skipped" not in step for step in log)
    assert not [w for w in recwarn if "skipped" in str(w.message)]
