"""A trial at load: can we use this model, and does the fast way give the same as the plain way?

The fast way (packing.py, fast_writer.py) uses its own masks and positions. That is exact for full
attention with rotary or learned positions, but not for attention windows, attention biases by
distance (ALiBi) or layers with a running state; those models use the plain way of loop/losses.py
and loop/writing.py.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.records import Problem, TrainingItem
from l2r_lite.loop.student import Student
from l2r_lite.loop.writing import PlainWriter
from l2r_lite.students.fast_writer import Board, FastWriter
from l2r_lite.students.packing import hidden_states
from l2r_lite.students.rows import collate, make_rows

_PROBLEM = Problem("trial", "Tom has 3 red apples and 4 green ones. How many?", "7", "number")
_ITEM = TrainingItem(
    _PROBLEM, "First 3 + 4 = 7. The answer is 7.", "Add both: 3 + 4 = 7. The answer is 7.",
    "Tom eats 3 of them, so 4 - 3 = 1. The answer is 1.")
_PROMPTS = ("Question: 2 + 3?\nAnswer:", "Question: What is 12 + 7, and why is it so?\nAnswer:")
_STEPS = 3  # tokens written in the trial
# Largest relative difference of hidden states that rounding explains.
_ROUNDING = {torch.float64: 1e-6, torch.float32: 1e-3}
_ROUNDING_16_BIT = 0.15


def attention_window(config: Any) -> float:
    """The longest text, in tokens, that every layer attends to as a whole; inf if unlimited."""
    windows = [getattr(config, name, None) for name in (
        "sliding_window", "attention_window_size", "attention_chunk_size")]
    if getattr(config, "use_sliding_window", True) is False:  # Qwen2: set, but switched off
        windows[0] = None
    if "local" in getattr(config, "attention_layers", ()):  # GPT-Neo
        windows.append(config.window_size)
    return min([w for w in windows if isinstance(w, int) and w > 0], default=math.inf)


def try_out(student: Student) -> None:
    """Run a short trial, and set the length up to which the fast way is right for this student.

    Raises:
        StudentError: the model cannot be used; says why in one sentence.
    """
    _check_tokens(student)
    student.model.eval()
    try:
        with torch.no_grad():
            apart = torch.cat([_read_alone(student, text) for text in _texts(student)])
            written = PlainWriter(student).generate(_PROMPTS, max_new_tokens=_STEPS)
            _check_head(student)
        if not apart.isfinite().all() or len(written) != len(_PROMPTS):
            raise ValueError("its hidden states are not finite numbers")
    except StudentError:
        raise
    except Exception as error:
        raise StudentError(
            f'student "{student.name}": this kind of model ({_kind(student)}) cannot be used: '
            f"a trial ended in {_told(error)}. Choose a Llama, Qwen, SmolLM, Mistral, Phi or GPT "
            "model.") from error
    student.fast_up_to = attention_window(student.model.config.get_text_config())
    if not _fast_way_is_right(student, apart):
        student.fast_up_to = 0
        warnings.warn(
            f'student "{student.name}": this kind of model ({_kind(student)}) computes in the '
            "plain way, one text at a time: correct, but several times slower.", stacklevel=3)


def _check_tokens(student: Student) -> None:
    if student.tokenizer.eos_token_id is None:
        raise StudentError(
            f'student "{student.name}": its tokenizer has no end token (eos_token), so it cannot '
            "learn where an answer ends. Set one, save the folder again, and load that.")


@torch.no_grad()
def _check_head(student: Student) -> None:
    """Refuse a model with steps besides the head between decoder and logits (soft caps, scaling).

    We project onto the vocabulary ourselves, only where a label needs it, so we would silently
    train a model with such steps on wrong logits.
    """
    config = student.model.config.get_text_config()
    capped = getattr(config, "final_logit_softcapping", None)
    ids = torch.tensor([student.encode(_PROMPTS[0])[0]], device=student.device)
    full = student.model(input_ids=ids).logits.float()
    ours = student.head(student.decoder(input_ids=ids).last_hidden_state).float()
    close = torch.allclose(full, ours, rtol=1e-2, atol=1e-2 * full.abs().max().item())
    if capped or not close:
        raise StudentError(
            f'student "{student.name}": its logits are not its head applied to the last hidden '
            "state (soft caps or scaling?); such models are not supported. Choose a Llama, Qwen2, "
            "SmolLM2, Mistral or GPT-J model.")


def _fast_way_is_right(student: Student, apart: Tensor) -> bool:
    """Whether the fast way's hidden states are right, in a packed pass and while writing."""
    most = _ROUNDING.get(student.dtype, _ROUNDING_16_BIT)
    if max(map(len, _texts(student))) > student.fast_up_to:
        return False  # even short texts are longer than the window
    try:
        with torch.no_grad():
            packed = _read_packed(student)
        written, again = _write_and_read(student)
    except Exception:  # noqa: BLE001 - models with another cache or mask may raise any error
        return False
    return _off(packed, apart) < most and _off(written, again) < most


def _texts(student: Student) -> list[list[int]]:
    """The three texts of the trial's item, each after the prompt."""
    row = _row(student)
    prompt = row.part.count(0)
    stops = [prompt, *(end + 1 for end in row.ends)]
    return [row.ids[:prompt] + row.ids[a:b] for a, b in zip(stops, stops[1:], strict=False)]


def _row(student: Student) -> Any:
    (row,) = make_rows(student, [_ITEM])
    return row


def _read_alone(student: Student, ids: Sequence[int]) -> Tensor:
    """Hidden states of a text computed on its own, (tokens, hidden)."""
    read = student.decoder(input_ids=torch.tensor([ids], device=student.device), use_cache=False)
    return read.last_hidden_state[0]


def _read_packed(student: Student) -> Tensor:
    """The same states as those of `_texts`, from one packed pass."""
    row = _row(student)
    hidden = hidden_states(student, collate(student, [row]))[0]
    prompt = row.part.count(0)
    stops = [prompt, *(end + 1 for end in row.ends)]
    parts = [hidden[a:b] for a, b in zip(stops, stops[1:], strict=False)]
    return torch.cat([state for part in parts for state in (hidden[:prompt], part)])


@torch.inference_mode()
def _write_and_read(student: Student) -> tuple[Tensor, Tensor]:
    """The state after each prompt and each written token: from the cache, and from the text."""
    prompts = [student.encode(prompt)[0] for prompt in _PROMPTS]
    longest = max(map(len, prompts))
    board = Board(FastWriter(student), len(prompts), 1, longest, _STEPS)
    board.read(sorted(range(len(prompts)), key=lambda i: len(prompts[i])), prompts, None)
    written, again = [], []
    slots = {prompt: slot for slot, (prompt, _) in board.busy.items()}
    for _ in range(_STEPS):
        written += [board.hidden[slots[i]] for i in range(len(prompts))]
        again += [_read_alone(student, ids)[-1] for ids in prompts]
        tokens = board.choose(0.0)
        prompts = [[*ids, int(tokens[slots[i]])] for i, ids in enumerate(prompts)]
        board.step(tokens)
    return torch.stack(written), torch.stack(again)


def _off(ours: Tensor, theirs: Tensor) -> float:
    """The largest relative difference of any token's state; nan counts as infinite."""
    ours, theirs = ours.double(), theirs.double()
    difference = (ours - theirs).norm(dim=-1) / theirs.norm(dim=-1).clamp_min(1e-9)
    return math.inf if difference.isnan().any() else difference.max().item()


def _kind(student: Student) -> str:
    return str(student.model.config.get_text_config().model_type)


def _told(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}" if text else type(error).__name__
