"""The memory of a run on a card or a laptop, estimated before any weights are loaded.

    plan = plan_memory(PRESETS["consumer"])
    plan.parts          # bytes of weights, constants, adapter, gradients, optimizer, activations, …
    plan.peak           # the most that is needed at once, in a training step or in an exam

Weights are counted exactly. Activations are counted too: one training step of the real architecture
runs on tensors without memory (ledger.py), with one layer and with two. All layers are alike, so we
extrapolate from these two.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from l2r_lite.app.ledger import read_peak, step_peak
from l2r_lite.data.hub import cache_folder, skip_dead_hub
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import StudentError
from l2r_lite.students.fast_writer import PREFILL_TOKENS
from l2r_lite.students.folding import FOLD_AT_MOST
from l2r_lite.students.four_bit import four_bit_bytes
from l2r_lite.students.loading import quiet
from l2r_lite.students.rows import TOKENS_AT_ONCE
from l2r_lite.students.sources import SHORT_NAMES, SMOL, locate, model_config, not_served

SHAPES = Path(__file__).with_name("shapes.json")
CARDS = (8, 12, 16, 24)  # GB of memory of common consumer cards
CUDA_CONTEXT = 500e6  # bytes that CUDA takes before the first tensor; an assumption, cards differ
TABLES = 64 + 1024  # bytes per matrix: its copies of the 16 levels, and of the 256 for scales
RESERVE = 0.9  # share of a card that may be planned for: allocators leave gaps


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of each part of a run.

    Attributes:
        weights: of the base model: matrices in 4 bits, embeddings and norms in the compute type.
        constants: scales of the 4-bit blocks, with their tables.
        adapter, gradients, optimizer: LoRA weights in fp32, their gradients, Adam's two moments.
        activations: peak of what the items in memory at once keep for their backward pass, with
            their logits.
        writing: keys and values of an exam's rows, at their full length; on a CPU in fp32 also each
            layer's folded matrix (folding.py).
        reading: peak of what an exam needs to read prompts (PREFILL_TOKENS at once).
        choosing: logits of an exam's rows, in the compute type and twice in fp32.
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
    reading: int = 0
    choosing: int = 0

    @property
    def parts(self) -> dict[str, int]:
        fields = asdict(self)
        return {name: fields[name] for name in fields if name not in ("student", "parameters")}

    @property
    def training(self) -> int:
        """Peak bytes of a training step."""
        once = self.weights + self.constants + self.adapter
        return once + self.gradients + self.optimizer + self.activations

    @property
    def exam(self) -> int:
        """Peak bytes of an exam. It reads prompts and chooses tokens in turn."""
        once = self.weights + self.constants + self.adapter
        return once + self.writing + max(self.reading, self.choosing)

    @property
    def peak(self) -> int:
        return max(self.training, self.exam)

    def fits(self, gigabytes: float) -> bool:
        """Whether the run fits a card with this memory in GB."""
        return self.peak <= self.usable(gigabytes)

    @staticmethod
    def usable(gigabytes: float) -> float:
        """Bytes of a card that a run may use: without CUDA's share and a tenth for gaps."""
        return RESERVE * gigabytes * 1e9 - CUDA_CONTEXT


def plan_memory(
    config: LoopConfig, *, prompt_tokens: int = 100, rationale_tokens: int | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> MemoryPlan:
    """Count the memory of a run with these settings, for its longest prompt and rationale.

    Demonstrations count as so many longest questions with their rationales.

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
    parts, shown = _rationales(config), config.demonstrations * (prompt_tokens + written)
    targets = rows * (prompt_tokens + min(parts, 2) * written)
    activations = _activations(
        key, rows, shown + prompt_tokens + parts * written, targets, config.lora_rank,
        config.gradient_checkpointing, dtype)
    places = shown + prompt_tokens + written
    writing = _cache(shape, config.exam_rows, places, dtype)
    together = max(1, min(config.exam_rows // config.samples, PREFILL_TOKENS // prompt_tokens))
    reading = _reading(key, together, shown + prompt_tokens, config.lora_rank, dtype)
    choosing = config.exam_rows * shape.vocab_size * (dtype.itemsize + 8)
    if config.four_bit:
        activations += size.largest * dtype.itemsize  # one matrix is unpacked at a time
        reading += size.largest * dtype.itemsize
    if dtype == torch.float32 and size.matrices * 4 <= FOLD_AT_MOST:
        writing += size.matrices * 4
    return MemoryPlan(
        config.student, size.parameters, size.weights, size.constants, adapter=size.adapter,
        gradients=size.adapter, optimizer=2 * size.adapter, activations=activations,
        writing=writing, reading=reading, choosing=choosing)


def items_at_once(
    config: LoopConfig, prompt_tokens: int = 100, rationale_tokens: int | None = None
) -> int:
    """How many of the longest items a training step holds in memory at once (packing.py)."""
    written = rationale_tokens or config.max_new_tokens
    fitting = max(1, TOKENS_AT_ONCE // (prompt_tokens + _rationales(config) * written))
    return min(config.micro_batch or config.batch_size, config.batch_size, fitting)


def _rationales(config: LoopConfig) -> int:
    """Rationales in an item: the anchor; with self-reflection also the positive and negative."""
    return 3 if config.reflection_weight > 0 else 1


def knobs(
    config: LoopConfig, plan: MemoryPlan, gigabytes: float, **tokens: Any
) -> list[tuple[str, MemoryPlan]]:
    """The flags that help when a run does not fit, each with the new plan; the best first.

    Args:
        tokens: the arguments that `plan` was made with.
    """
    if plan.fits(gigabytes):
        return []
    lengths = {name: count for name, count in tokens.items() if name != "dtype"}
    size = items_at_once(config, **lengths)
    tries: dict[str, LoopConfig] = {}
    if size > 1:
        fewer = max(1, size // 4)
        tries[f"--micro-batch {fewer}"] = config.with_(micro_batch=fewer)
    if not config.gradient_checkpointing:
        tries["--gradient-checkpointing"] = config.with_(gradient_checkpointing=True)
    if config.exam_rows > 16:
        fewer = config.exam_rows // 4
        tries[f"--exam-rows {fewer}"] = config.with_(exam_rows=fewer)
    if not config.four_bit:
        tries["--four-bit"] = config.with_(four_bit=True)
    plans = [(flag, plan_memory(changed, **tokens)) for flag, changed in tries.items()]
    saving = [(flag, after) for flag, after in plans if after.peak < 0.98 * plan.peak]
    return sorted(saving, key=lambda pair: pair[1].peak)


def student_shape(name: str) -> Any:
    """A student's transformers config: from its folder, our list or the hub; without weights.

    Raises:
        StudentError: none of these knows it.
    """
    from transformers import AutoConfig

    known = json.loads(SHAPES.read_text(encoding="utf-8"))["shapes"]
    full = SHORT_NAMES.get(name, name)
    kept = cache_folder() / "SmolLM2-135M-Instruct"
    if full == SMOL and (kept / "config.json").is_file():
        full = str(kept)
    if full in known and not Path(full).is_dir():
        return AutoConfig.for_model(**known[full])
    try:
        if not Path(full).is_dir() and (fault := not_served(full)):
            raise OSError(fault)
        where = locate(full)
        with skip_dead_hub(where):
            return model_config(where)
    except Exception as error:  # a damaged config.json can raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise StudentError(
            f'student "{name}": its config.json is neither here nor on the hub ({reason}); name '
            f"one of {', '.join(known)}, or a folder.") from error


def _skeleton(shape: Any, rank: int, dtype: torch.dtype) -> Any:
    """The student's layers with their adapter, without allocating memory (torch's meta device)."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    lora = LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM")
    with quiet(), torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape, dtype=dtype)
        return get_peft_model(model, lora)


@dataclass(frozen=True)
class _Sizes:
    """Bytes of weights, constants and adapter; numbers of parameters.

    Attributes:
        matrices, largest: numbers in all 4-bit matrices, and in the largest of them.
    """

    weights: int
    constants: int
    adapter: int
    parameters: int
    matrices: int
    largest: int


@lru_cache(maxsize=32)
def _sizes(key: str, four_bit: bool, rank: int, dtype: torch.dtype) -> _Sizes:
    model = _skeleton(_shape(key), rank, dtype)
    head = model.get_base_model().get_output_embeddings()
    # bitsandbytes keeps every linear layer in 4 bits, except the head.
    matrices = [
        module.weight.numel() for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head and ".lora_" not in name]
    parameters = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    weights = parameters * dtype.itemsize
    weights += sum(buffer.numel() * buffer.element_size() for buffer in model.buffers())
    constants = 0
    if four_bit:
        for count in matrices:
            packed = math.ceil(count / 2)
            weights += packed - count * dtype.itemsize
            constants += four_bit_bytes([count]) - packed + TABLES
    return _Sizes(weights, constants, trained * 4, parameters, sum(matrices), max(matrices))


def _cache(shape: Any, rows: int, tokens: int, dtype: torch.dtype) -> int:
    """Bytes of the keys and values of all rows that are written at once."""
    heads = getattr(shape, "num_key_value_heads", None) or shape.num_attention_heads
    width = getattr(shape, "head_dim", None) or shape.hidden_size // shape.num_attention_heads
    return 2 * shape.num_hidden_layers * heads * width * rows * tokens * dtype.itemsize


def _key(shape: Any) -> str:
    """A transformers config as text: a key for the caches; `_shape` reads it back."""
    fields = {**shape.to_diff_dict(), "model_type": shape.model_type}
    return json.dumps(fields, sort_keys=True, default=str)


def _shape(key: str, **changes: Any) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(**{**json.loads(key), **changes})


@lru_cache(maxsize=64)
def _activations(
    key: str, rows: int, length: int, targets: int, rank: int, checkpointing: bool,
    dtype: torch.dtype,
) -> int:
    peaks = []
    for layers in (1, 2):
        shape = _shape(key, num_hidden_layers=layers, layer_types=None)
        model = _skeleton(shape, rank, dtype)
        with quiet():
            peaks.append(step_peak(model, rows, length, targets, checkpointing, dtype))
    one, two = peaks
    return one + (two - one) * (_shape(key).num_hidden_layers - 1)


@lru_cache(maxsize=64)
def _reading(key: str, rows: int, length: int, rank: int, dtype: torch.dtype) -> int:
    peaks = []
    for layers in (1, 2):
        shape = _shape(key, num_hidden_layers=layers, layer_types=None)
        model = _skeleton(shape, rank, dtype)
        with quiet():
            peaks.append(read_peak(model, rows, length, dtype))
    one, two = peaks
    return one + (two - one) * (_shape(key).num_hidden_layers - 1)
