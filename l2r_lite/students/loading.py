"""Load a student: 4-bit NF4 weights, a fresh LoRA adapter, a fast writer."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from l2r_lite.data.hub import skip_dead_hub
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.student import Student
from l2r_lite.students.bitsandbytes_layout import keep_plain_layout
from l2r_lite.students.chat import make_student
from l2r_lite.students.fast_writer import FastWriter
from l2r_lite.students.four_bit import check_four_bit_layers
from l2r_lite.students.quick_import import import_quickly
from l2r_lite.students.sources import SHORT_NAMES, locate, model_config
from l2r_lite.students.trial import try_out

SMALL = 50e6  # bytes; a student in a folder with fewer weights computes in fp32 on every CPU


def load_student(
    name: str = "pocket", *, four_bit: bool = True, lora_rank: int = 16, lora_alpha: int = 32,
    seed: int = 0, device: str | torch.device | None = None, dtype: torch.dtype | None = None,
    gradient_checkpointing: bool = False, prompt: str = "plain", thoughts: bool = False,
) -> Student:
    """Load a base model, quantise it and put a fresh LoRA adapter on every linear layer.

    Args:
        name: "pocket", "smol", a folder of safetensors, or a hub id.
        four_bit: NF4 with double quantisation; False keeps the weights in `dtype`.
        lora_rank, lora_alpha: size r ≥ 1 of the adapter and its scale α (the update is α/r · BA).
        seed: draws the adapter's A; B starts at 0, so a fresh student answers like its base model.
        device, dtype: None picks the GPU if there is one, and the type from `pick_dtype`.
        gradient_checkpointing: recompute activations in the backward pass: slower, less memory.
        prompt, thoughts: "plain", "chat" (by its chat template) or "auto", and whether <think>
            blocks stay in its chats: see chat.py.

    Raises:
        StudentError: the model cannot be found, read or quantised correctly.
    """
    import_quickly()  # before peft, which imports bitsandbytes
    from peft import LoraConfig, get_peft_model

    where = locate(name)
    device = torch.device(device) if device else pick_device()
    dtype = dtype or pick_dtype(device, where)
    base, tokenizer = _load_base(name, where, device, dtype, four_bit)
    if four_bit:
        keep_plain_layout(base)
        check_four_bit_layers(base, name)
    torch.manual_seed(seed)
    base.config.use_cache = False
    lora = LoraConfig(
        r=lora_rank, lora_alpha=lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM")
    try:
        with quiet():
            model = get_peft_model(base, lora)
    except ValueError as error:
        raise StudentError(
            f'student "{name}": peft cannot put an adapter on this kind of model '
            f"({base.config.model_type}). Choose a Llama, Qwen, SmolLM, Mistral, Phi or GPT "
            "model.") from error
    if gradient_checkpointing:
        base.gradient_checkpointing_enable({"use_reentrant": False})
    student = make_student(
        name, model, tokenizer, prompt, thoughts=thoughts, four_bit=four_bit, dtype=dtype)
    student.checkpointing = gradient_checkpointing
    student.writer = FastWriter(student)
    base.generation_config = greedy(student)
    with quiet():
        try_out(student)
    return student


def student_from(config: LoopConfig, device: torch.device | None = None) -> Student:
    """Load the fresh student of a run."""
    return load_student(
        config.student, four_bit=config.four_bit, lora_rank=config.lora_rank,
        lora_alpha=config.lora_alpha, seed=config.seed, device=device,
        gradient_checkpointing=config.gradient_checkpointing, prompt=config.prompt,
        thoughts=config.thoughts)


def greedy(student: Student, **more: Any) -> Any:
    """A generation config that writes as an evaluation does: greedily, to the student's end tokens.

    An instruct model's own config would repeat less (repetition_penalty) and cut the distribution.
    """
    from transformers import GenerationConfig

    return GenerationConfig(
        do_sample=False, eos_token_id=sorted(student.end_ids),
        pad_token_id=student.tokenizer.pad_token_id, bos_token_id=student.tokenizer.bos_token_id,
        **more)


def pick_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pick_dtype(device: torch.device, where: str = "") -> torch.dtype:
    """The compute type that the device supports in hardware.

    That is bf16, else fp16 on a GPU (a T4) and fp32 on a CPU. A SMALL student in the folder `where`
    computes in fp32 on every CPU: bf16 would save little, and results would differ between CPUs.
    """
    if device.type == "cuda":
        has_bf16 = torch.cuda.get_device_capability(device)[0] >= 8
        return torch.bfloat16 if has_bf16 else torch.float16
    size = sum(f.stat().st_size for f in Path(where).glob("*.safetensors")) if where else 0
    if 0 < size < SMALL:
        return torch.float32
    has_bf16 = torch.backends.mkldnn.is_available() and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if has_bf16 else torch.float32


def _load_base(
    name: str, where: str, device: torch.device, dtype: torch.dtype, four_bit: bool
) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    quantise = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    with quiet(), skip_dead_hub(where):
        try:
            tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
            config = model_config(where)
            base, loaded = AutoModelForCausalLM.from_pretrained(
                where,
                config=config,
                output_loading_info=True,
                quantization_config=quantise if four_bit else None,
                dtype=dtype,
                device_map={"": str(device)},
                use_safetensors=True,
                trust_remote_code=False,
            )
        except Exception as error:  # a damaged folder can raise anything
            told = " ".join(str(error).split()) or type(error).__name__
            if "ignore_mismatched_sizes" in told:
                told = (
                    "its weights have other sizes than its config.json says (vocab_size = "
                    f"{getattr(config, 'vocab_size', '?')}, …); fetch the model again")
            raise StudentError(
                f'student "{name}" cannot be loaded: {told[:300].rstrip(".")}. Known short names: '
                f"{', '.join(SHORT_NAMES)}; else a folder with safetensors, or a hub id (which "
                "needs a connection once).") from error
    if loaded["missing_keys"]:
        raise StudentError(
            f'student "{name}": weights are missing, which would be random numbers '
            f"({len(loaded['missing_keys'])}, such as {min(loaded['missing_keys'])}); its "
            "config.json was made for another model, or a file is missing. Fetch it again.")
    rows = base.get_input_embeddings().num_embeddings
    _check_vocabulary(name, tokenizer, rows)
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= rows:
        tokenizer.pad_token = tokenizer.eos_token
    return base, tokenizer


def _check_vocabulary(name: str, tokenizer: Any, rows: int) -> None:
    """Refuse tokens without an embedding, except one for padding, which is replaced."""
    tokens = tokenizer.get_vocab()
    beyond = {word: i for word, i in tokens.items() if i >= rows and word != tokenizer.pad_token}
    if beyond:
        word = min(beyond, key=beyond.__getitem__)
        raise StudentError(
            f'student "{name}": its tokenizer has tokens that the model has no embedding for '
            f'({len(beyond)}, such as "{word}" = {beyond[word]}, of {rows} embeddings). Call '
            f"model.resize_token_embeddings({max(beyond.values()) + 1}) and save the folder again.")


@contextmanager
def quiet() -> Iterator[None]:
    """Hide the progress bars and advice of transformers while it loads; errors still appear."""
    from transformers.utils import logging as chatter

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    level = chatter.get_verbosity()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # between peft and transformers
        chatter.set_verbosity_error()
        chatter.disable_progress_bar()
        try:
            yield
        finally:
            chatter.set_verbosity(level)
            chatter.enable_progress_bar()
