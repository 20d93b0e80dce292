"""What fits where: the memory of a run on a card or a laptop, before any weights are there.

    plan = plan_memory(PRESETS["consumer"])
    plan.parts                    # bytes of weights, constants, adapter, gradients, optimizer, activations, …
    plan.peak                     # the most that is needed at once: in a training step, or in an exam

Weights are counted exactly. Activations are not a formula: one training step of the real architecture, with one and with two
layers, runs on tensors without memory, and every allocation is counted; layers are alike, so two points give the line.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.exam import take_exam
from l2r_lite.students.folding import joined
from l2r_lite.students.hub import skip_dead_hub
from l2r_lite.app.ledger import step_peak
from l2r_lite.students.four_bit import four_bit_bytes
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.records import Lesson, Problem
from l2r_lite.loop.errors import StudentError
from l2r_lite.students.sources import SHORT_NAMES, SMOL, cache_folder, locate, not_served
from l2r_lite.loop.student import Student
from l2r_lite.students.loading import quiet
from l2r_lite.loop.items import epoch_batches, make_items
from l2r_lite.loop.training import train_step
from l2r_lite.students.packing import TOKENS_AT_ONCE

SHAPES = Path(__file__).with_name("shapes.json")
CARDS = (8, 12, 16, 24)  # GB of memory of usual consumer cards
CUDA_CONTEXT = 500e6  # bytes that a CUDA process takes before its first tensor; an assumption, cards differ
TABLES = 64 + 1024  # bytes a matrix: its own copies of the 16 levels, and of the 256 of the second quantisation
RESERVE = 0.9  # share of a card that may be planned for: allocators leave gaps


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of each part of a run.

    Attributes:
        weights: of the base model; the matrices in 4 bits, embeddings and norms in the compute type.
        constants: scales of the 4-bit blocks, and what belongs to them.
        adapter, gradients, optimizer: LoRA weights in fp32, their gradients, Adam's two moments.
        activations: what the items in memory at once keep for their backward pass, with their logits, at the highest point.
        writing: keys and values of an exam's rows; on a CPU in fp32 also each layer's folded matrix (folding.py).
    """

    student: str
    parameters: int
    weights: int
    constants: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    writing: int

    @property
    def parts(self) -> dict[str, int]:
        names = ("weights", "constants", "adapter", "gradients", "optimizer", "activations", "writing")
        return {name: getattr(self, name) for name in names}

    @property
    def training(self) -> int:
        """Bytes at the highest point of a training step."""
        return sum(self.parts.values()) - self.writing

    @property
    def exam(self) -> int:
        return self.weights + self.constants + self.adapter + self.writing

    @property
    def peak(self) -> int:
        return max(self.training, self.exam)

    def fits(self, gigabytes: float) -> bool:
        """Whether the run fits a card of so many GB."""
        return self.peak <= self.usable(gigabytes)

    @staticmethod
    def usable(gigabytes: float) -> float:
        """Bytes of a card of so many GB that a run may use: without CUDA's own share, and with a tenth left for gaps."""
        return RESERVE * gigabytes * 1e9 - CUDA_CONTEXT


def plan_memory(
    config: LoopConfig, *, prompt_tokens: int = 100, rationale_tokens: int | None = None, dtype: torch.dtype = torch.bfloat16
) -> MemoryPlan:
    """Count what a run with these settings needs; the longest prompt and rationale decide.

    Args:
        prompt_tokens: of the longest question, as the student reads it.
        rationale_tokens: of the longest rationale; None takes config.max_new_tokens.
        dtype: the compute type: bf16, fp16 on a T4, fp32 on CPUs without bf16.

    Raises:
        StudentError: the student's shape is not known and cannot be looked up.
    """
    written = rationale_tokens or config.max_new_tokens
    shape = student_shape(config.student)
    key = _key(shape)
    size = _sizes(key, config.four_bit, config.lora_rank, dtype)
    rows = items_at_once(config, prompt_tokens, written)
    parts = 3 if config.reflection_weight > 0 else 1
    length = prompt_tokens + parts * written
    targets = rows * (prompt_tokens + min(parts, 2) * written)
    kept = _activations(key, rows, length, targets, config.lora_rank, config.gradient_checkpointing, dtype)
    unpacked = size.largest * dtype.itemsize if config.four_bit else 0  # one matrix at a time, forwards and backwards
    folded = size.matrices * 4 if config.four_bit and dtype == torch.float32 else 0
    cache = _cache(shape, config.exam_rows, prompt_tokens + written, dtype)
    return MemoryPlan(config.student, size.parameters, size.weights, size.constants, size.adapter, size.adapter,
                      2 * size.adapter, kept + unpacked, cache + folded)  # fmt: skip


def items_at_once(config: LoopConfig, prompt_tokens: int = 100, rationale_tokens: int | None = None) -> int:
    """How many of the longest items a training step holds in memory at once: see training.pack_by_length."""
    length = prompt_tokens + (3 if config.reflection_weight > 0 else 1) * (rationale_tokens or config.max_new_tokens)
    return min(config.micro_batch or config.batch_size, config.batch_size, max(1, TOKENS_AT_ONCE // length))


def knobs(config: LoopConfig, plan: MemoryPlan, gigabytes: float, **tokens: Any) -> list[tuple[str, MemoryPlan]]:
    """What to turn when a run does not fit, the knob that saves most first; each with the plan after it."""
    size = items_at_once(config, **{k: v for k, v in tokens.items() if k != "dtype"})
    tries: dict[str, LoopConfig] = {}
    if size > 1:
        tries[f"--micro-batch {max(1, size // 4)}"] = config.with_(micro_batch=max(1, size // 4))
    if not config.gradient_checkpointing:
        tries["--gradient-checkpointing"] = config.with_(gradient_checkpointing=True)
    if config.exam_rows > 16:
        tries[f"--exam-rows {config.exam_rows // 4}"] = config.with_(exam_rows=config.exam_rows // 4)
    if not config.four_bit:
        tries["--four-bit"] = config.with_(four_bit=True)
    plans = [(name, plan_memory(changed, **tokens)) for name, changed in tries.items()]
    saving = [(name, p) for name, p in sorted(plans, key=lambda pair: pair[1].peak) if p.peak < 0.98 * plan.peak]
    return [] if plan.fits(gigabytes) else saving


def student_shape(name: str) -> Any:
    """The transformers config of a student: from its folder, from our list, else from the hub; no weights are read.

    Raises:
        StudentError: none of these knows it.
    """
    from transformers import AutoConfig

    known = json.loads(SHAPES.read_text(encoding="utf-8"))["shapes"]
    full = SHORT_NAMES.get(name, name)
    if full == SMOL and (cache_folder() / "SmolLM2-135M-Instruct" / "config.json").is_file():
        full = str(cache_folder() / "SmolLM2-135M-Instruct")
    if full in known and not Path(full).is_dir():
        return AutoConfig.for_model(**known[full])
    try:
        if not Path(full).is_dir() and (fault := not_served(full)):
            raise OSError(fault)
        where = locate(full)
        with skip_dead_hub(where):
            return AutoConfig.from_pretrained(where, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise StudentError(
            f'student "{name}": its config.json is neither here nor on the hub ({str(error).splitlines()[0]}); name one of '
            f"{', '.join(known)}, or a folder."
        ) from error


def _skeleton(shape: Any, rank: int, dtype: torch.dtype) -> Any:
    """The student's layers with their adapter, without any memory (torch's meta device)."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    with quiet(), torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape, dtype=dtype)
        return get_peft_model(model, LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM"))


def _matrices(model: Any) -> dict[str, torch.Tensor]:
    """What bitsandbytes keeps in 4 bits: every linear layer's weight but the head's."""
    head = model.get_base_model().get_output_embeddings()
    return {
        name: module.weight for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head and ".lora_" not in name
    }  # fmt: skip


@dataclass(frozen=True)
class _Sizes:
    """Bytes of weights, constants and adapter; numbers of parameters, in 4-bit matrices, and in the largest of them."""

    weights: int
    constants: int
    adapter: int
    parameters: int
    matrices: int
    largest: int


@lru_cache(maxsize=32)
def _sizes(key: str, four_bit: bool, rank: int, dtype: torch.dtype) -> _Sizes:
    model = _skeleton(_shape(key), rank, dtype)
    base = [p for p in model.parameters() if not p.requires_grad]
    matrices = [w.numel() for w in _matrices(model).values()]
    weights = sum(p.numel() * dtype.itemsize for p in base) + sum(b.numel() * b.element_size() for b in model.buffers())
    constants = 0
    if four_bit:
        for count in matrices:
            weights += -(-count // 2) - count * dtype.itemsize
            constants += four_bit_bytes([count]) - -(-count // 2) + TABLES
    adapter = sum(p.numel() * 4 for p in model.parameters() if p.requires_grad)
    return _Sizes(weights, constants, adapter, sum(p.numel() for p in base), sum(matrices), max(matrices))


def _cache(shape: Any, rows: int, tokens: int, dtype: torch.dtype) -> int:
    """Keys and values of all rows that are written at once."""
    heads = getattr(shape, "num_key_value_heads", None) or shape.num_attention_heads
    width = getattr(shape, "head_dim", None) or shape.hidden_size // shape.num_attention_heads
    return 2 * shape.num_hidden_layers * heads * width * rows * tokens * dtype.itemsize


def _key(shape: Any) -> str:
    return json.dumps({**shape.to_diff_dict(), "model_type": shape.model_type}, sort_keys=True, default=str)


def _shape(key: str, **changes: Any) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(**{**json.loads(key), **changes})


@lru_cache(maxsize=64)
def _activations(
    key: str, rows: int, length: int, targets: int, rank: int, checkpointing: bool, dtype: torch.dtype
) -> int:  # fmt: skip
    peaks = []
    for count in (1, 2):
        model = _skeleton(_shape(key, num_hidden_layers=count, layer_types=None), rank, dtype)
        with quiet():
            peaks.append(step_peak(model, rows, length, targets, checkpointing, dtype))
    return peaks[0] + (peaks[1] - peaks[0]) * (_shape(key).num_hidden_layers - 1)


@dataclass(frozen=True)
class RoundTime:
    """Seconds of the first round as a short measurement foretells them; the test after it is not in."""

    exam: float
    training: float
    steps: int
    mistakes: float


def time_round(config: LoopConfig, student: Student, problems: Sequence[Problem]) -> RoundTime:
    """Sit one batch of the exam and do three training steps, and reckon the first round from them.

    The student's own wrong answers stand in for the lessons, which nobody has written yet: they are about as long.

    Args:
        problems: the training questions of the run.
    """
    batch = problems[: max(1, config.exam_rows // config.samples)]
    share = len(batch) / len(problems)
    student.generate([student_prompt(p) for p in batch[:2]], max_new_tokens=2)  # what is only slow the first time
    started = time.perf_counter()
    exam = take_exam(student, batch, samples=config.samples, temperature=config.temperature, seed=config.seed,
                     max_new_tokens=config.max_new_tokens, rows=config.exam_rows, progress=False)  # fmt: skip
    exam_seconds = (time.perf_counter() - started) / share
    wrong = {m.problem.id: m for m in exam.mistakes}
    sent = min(len(wrong), math.ceil(config.feedback_limit * share)) if config.feedback_limit else len(wrong)
    stand_ins = [Lesson(k, m.rationale + " " * n) for k, m in list(wrong.items())[:sent] for n in range(config.lessons)]
    items = make_items(batch, stand_ins, exam.mistakes, exam.correct, replay=config.replay, seed=config.seed)
    steps = (config.steps or config.epochs * math.ceil(len(items) / share / config.batch_size)) if items else 0
    seconds = []
    student.model.train()
    for some in epoch_batches(items, config.batch_size, random.Random(config.seed))[:4]:
        started = time.perf_counter()
        with joined(student.model, student.dtype):
            train_step(student, some, config)
        seconds.append((time.perf_counter() - started) / len(some))  # the last batch of a pass may be short
    student.model.zero_grad()
    student.model.eval()
    each = config.batch_size * statistics.median(seconds or [0.0])
    return RoundTime(exam_seconds, each * steps, steps, len(wrong) / len(batch))
