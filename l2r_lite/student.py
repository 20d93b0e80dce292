"""The student: a language model in 4 bits (NF4, double quantisation) with a LoRA adapter, on a CPU or a GPU alike.

    student = Student.load("pocket")
    student.generate(["Question: Tom has 3 pens. Tom gets 4 more. How many pens does Tom have now?\\nAnswer:"])
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from l2r_lite.decoding import uniform_numbers, write
from l2r_lite.folding import folded
from l2r_lite.hub import no_waiting
from l2r_lite.nf4 import check_four_bit_layers, import_quickly, keep_plain_layout
from l2r_lite.prompts import cut_after_answer
from l2r_lite.runfolder import SCRATCH
from l2r_lite.sources import SHORT_NAMES, StudentError, locate

if TYPE_CHECKING:
    from l2r_lite.config import LoopConfig


SMALL = 50e6  # bytes of weights up to which a student in a folder computes in fp32 on every CPU


def pick_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pick_dtype(device: torch.device, where: str = "") -> torch.dtype:
    """The compute type that the device has in hardware: bf16 if it can, else fp16 on a GPU (a T4) and fp32 on a CPU.

    A small student (SMALL) in the folder `where` computes in fp32 on every CPU: bf16 would save nothing that is worth its
    rounding, and other CPUs would answer otherwise.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= 8 else torch.float16
    if where and 0 < sum(f.stat().st_size for f in Path(where).glob("*.safetensors")) < SMALL:
        return torch.float32
    has_bf16 = torch.backends.mkldnn.is_available() and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if has_bf16 else torch.float32


class Student:
    """A quantised base model, its LoRA adapter and its tokeniser.

    Attributes:
        name: as asked for ("pocket", "smol", a folder, a hub id).
        model: the peft model; only LoRA weights (fp32) require gradients.
        device, dtype, four_bit: where and in what it computes.
        prefix: token ids that stand before every prompt, the few-shot demonstrations; none at first.
        context: the most tokens that it can read at once, those it writes among them; None where its kind has no limit.
    """

    def __init__(self, name: str, model: Any, tokenizer: Any, *, four_bit: bool, dtype: torch.dtype) -> None:
        self.name, self.model, self.tokenizer = name, model, tokenizer
        self.four_bit, self.dtype = four_bit, dtype
        self.device = next(model.parameters()).device
        base = model.get_base_model()
        self.decoder: Any = base.base_model  # without the projection onto the vocabulary
        self.head: Any = base.get_output_embeddings()
        declared = base.generation_config.eos_token_id if base.generation_config else None
        self.checkpointing = False
        self.prefix: tuple[int, ...] = ()
        self.context: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        # Each text is tokenised once a round: a prompt comes again in the exam, and an item in every epoch.
        self._tokens = lru_cache(2**15)(lambda text, first: tuple(tokenizer(text, add_special_tokens=first).input_ids))
        self.end_ids = {tokenizer.eos_token_id, *(declared if isinstance(declared, list) else [declared])} - {None}

    @classmethod
    def load(
        cls, name: str = "pocket", *, four_bit: bool = True, lora_rank: int = 16, lora_alpha: int = 32, seed: int = 0,
        device: str | torch.device | None = None, dtype: torch.dtype | None = None, gradient_checkpointing: bool = False,
    ) -> Student:  # fmt: skip
        """Load a base model, quantise it and put a fresh LoRA adapter on every linear layer.

        Args:
            name: "pocket", "smol", a folder of safetensors, or a hub id.
            four_bit: NF4 with double quantisation; False keeps the weights in `dtype`, for comparison.
            lora_rank, lora_alpha: size r ≥ 1 of the adapter and its scale α (the update is α/r · BA).
            seed: draws the adapter's A; B starts at 0, so that a fresh student answers as its base model.
            device, dtype: None picks the GPU if there is one, and what `pick_dtype` says.
            gradient_checkpointing: recompute activations in the backward pass; slower, for cards that are too small.

        Raises:
            StudentError: the model cannot be found, read or quantised correctly; the message says what to do.
        """
        import_quickly()  # peft imports it
        from peft import LoraConfig, get_peft_model
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

        where = locate(name)
        device = torch.device(device) if device else pick_device()
        dtype = dtype or pick_dtype(device, where)
        quantise = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
        )
        options = {"dtype": dtype, "device_map": {"": str(device)}, "use_safetensors": True, "trust_remote_code": False}
        with quiet(), no_waiting(where):
            try:
                tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
                base = AutoModelForCausalLM.from_pretrained(
                    where, quantization_config=quantise if four_bit else None, **options
                )
            except (OSError, ValueError, SafetensorError) as error:
                reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
                raise StudentError(
                    f'student "{name}" cannot be loaded: {reason} Known short names: {", ".join(SHORT_NAMES)}; '
                    "else a folder with safetensors, or a hub id (which needs a connection once)."
                ) from error
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        if four_bit:
            keep_plain_layout(base)
            check_four_bit_layers(base, name)
        torch.manual_seed(seed)
        base.config.use_cache = False
        config = LoraConfig(r=lora_rank, lora_alpha=lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM")
        with quiet():
            model = get_peft_model(base, config)
        if gradient_checkpointing:
            base.gradient_checkpointing_enable({"use_reentrant": False})
        student = cls(name, model, tokenizer, four_bit=four_bit, dtype=dtype)
        student.checkpointing = gradient_checkpointing
        student._check_head()
        return student

    @torch.no_grad()
    def _check_head(self) -> None:
        # We project onto the vocabulary ourselves, only where a label needs it. A model that does more between decoder
        # and logits (scaling, soft caps) would be trained on wrong logits without a word.
        self.model.eval()
        ids = torch.arange(5, 13, device=self.device)[None]
        full = self.model(input_ids=ids).logits.float()
        ours = self.head(self.decoder(input_ids=ids).last_hidden_state).float()
        if not torch.allclose(full, ours, rtol=1e-2, atol=1e-2 * full.abs().max().item()):
            raise StudentError(
                f'student "{self.name}": its logits are not its head applied to the last hidden state (soft caps or '
                "scaling?); such models are not supported. Choose a Llama, Qwen2, SmolLM2, Mistral or GPT-J model."
            )

    @property
    def trainable(self) -> dict[str, nn.Parameter]:
        """The LoRA weights by name: all that training changes."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    @property
    def footprint_mb(self) -> float:
        """Memory of all weights and buffers, the adapter's too, in MB (10⁶ bytes); not of 4-bit blocks' scales."""
        return self.model.get_base_model().get_memory_footprint() / 1e6

    @cached_property
    def may_end_sentence(self) -> list[bool]:
        """For each token, whether the text can be at the end of a sentence with it: it has a full stop or a line break."""
        texts = self.tokenizer.batch_decode([[token] for token in range(self.head.out_features)])
        return ["." in text or "\n" in text for text in texts]

    def demonstrate(self, text: str) -> None:
        """Put worked examples before every prompt from now on ("" takes them away); their tokens are computed once for all."""
        self.prefix = tuple(self.tokenizer(text).input_ids) if text else ()

    def prefix_cache(self, rows: int) -> Any:
        """Keys and values of the prefix, computed once and shown to so many rows; gradients pass. Empty without a prefix."""
        from transformers import DynamicCache

        config = self.model.config.get_text_config()
        cache = DynamicCache(config=config)
        if self.prefix:
            once = DynamicCache(config=config)
            self.decoder(input_ids=torch.tensor([self.prefix], device=self.device), past_key_values=once, use_cache=True)
            for layer, known in zip(cache.layers, once.layers, strict=True):
                layer.lazy_initialization(known.keys, known.values)
                layer.keys, layer.values = (x.expand(rows, -1, -1, -1) for x in (known.keys, known.values))  # no copies
        return cache

    def encode(self, prompt: str, completion: str | None = None) -> tuple[list[int], list[int]]:
        """Token ids of a prompt, and of a completion with the end-of-text token; the two never share a token.

        The prefix is not among them; where there is one, the text's first token (if the tokeniser has such) stands before it.
        """
        ids = list(self._tokens(prompt, not self.prefix))
        return ids, [] if completion is None else [*self._tokens(completion, False), self.tokenizer.eos_token_id]

    def room(self, prompts: Iterable[str]) -> float:
        """Tokens that are left for a rationale behind the longest of these prompts; negative if it is too long itself."""
        longest = max((len(self.encode(p)[0]) for p in prompts), default=0)
        return (self.context or math.inf) - len(self.prefix) - longest

    def check_room(self, prompts: Mapping[str, str], new_tokens: int) -> None:
        """Check that a rationale of so many tokens has room behind each prompt.

        Most students would go on without a word and write noise: they were never trained on later positions. Others have a
        table of positions, and end in an IndexError.

        Args:
            prompts: what to call it in the message → what the student reads.

        Raises:
            StudentError: names the first one that is too long.
        """
        long = [name for name, prompt in prompts.items() if self.room([prompt]) < new_tokens]
        if not long:
            return
        size, shown = len(self.encode(prompts[long[0]])[0]), len(self.prefix)
        more = f" (and so are {len(long) - 1} more)" if len(long) > 1 else ""
        before = f" after {shown:,} of demonstrations" if shown else ""
        raise StudentError(
            f"{long[0][:120]} is too long{more}: its {size:,} tokens{before} and {new_tokens:,} for the rationale "
            f'(max_new_tokens) are more than the {self.context:,} that student "{self.name}" can read at once. Shorten the '
            "question or leave it out, or take a student with a longer context."
        )

    def generate(
        self, prompts: Sequence[str], *, samples: int = 1, temperature: float = 0.0, max_new_tokens: int = 96,
        seed: int = 0, rows: int = 256, progress: Callable[[int], object] | None = None,
    ) -> list[list[str]]:  # fmt: skip
        """Answer prompts; each text ends after its first answer line or at the model's end of text.

        Every (seed, prompt, sample) has its own random numbers, so that a sample does not depend on its neighbours.

        Args:
            samples: texts a prompt, ≥ 1.  temperature: 0 is greedy; 1 samples from the model's own distribution.
            rows: sequences in memory at once.
            progress: called after every token with the number of prompts finished since; an exception from it stops the work.

        Returns:
            For each prompt, in order, a list of `samples` texts.

        Raises:
            StudentError: a prompt leaves no room for `max_new_tokens`.
        """
        self.check_room({f"“{' '.join(p.split())[:60]}…”": p for p in prompts}, max_new_tokens)
        self.model.eval()
        with folded(self.model, self.dtype):
            new = write(
                self, [self.encode(p)[0] for p in prompts], samples=samples, temperature=temperature, steps=max_new_tokens,
                rows=rows, noise=lambda i, k: uniform_numbers(f"{seed}/{k}/{prompts[i]}", max_new_tokens), progress=progress,
            )  # fmt: skip
        texts = self.tokenizer.batch_decode([ids for row in new for ids in row], skip_special_tokens=True)
        return [[cut_after_answer(t) for t in texts[i : i + samples]] for i in range(0, len(texts), samples)]

    def save_adapter(self, folder: Path) -> None:
        """Write the adapter as safetensors; the folder appears whole or not at all."""
        folder = Path(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=folder.parent))
        self.model.save_pretrained(scratch, safe_serialization=True)
        os.chmod(scratch, 0o755)  # noqa: S103 - as any folder of a run
        if folder.exists():
            shutil.rmtree(folder)
        scratch.rename(folder)

    def load_adapter(self, folder: Path) -> None:
        """Put a saved adapter's weights in place of the present ones.

        Raises:
            StudentError: no adapter there, or one of another shape.
        """
        from peft import set_peft_model_state_dict
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        file = Path(folder) / "adapter_model.safetensors"
        if not file.is_file():
            raise StudentError(f"{folder}: no adapter_model.safetensors there; is this the adapter of a finished round?")
        try:
            weights = load_file(file, device=str(self.device))
        except (SafetensorError, OSError) as error:
            raise StudentError(f"{file}: is damaged ({error}); remove the folder to have its round trained again.") from error
        other = StudentError(f"{folder}: this adapter was made for another student or LoRA rank than {self.name}.")
        if len(weights) != len(self.trainable):
            raise other
        try:
            result = set_peft_model_state_dict(self.model, weights)
        except RuntimeError as error:
            raise other from error
        if result.unexpected_keys:
            raise other


def load_student(config: LoopConfig, device: torch.device | None = None) -> Student:
    """The student of a run, fresh."""
    return Student.load(
        config.student, four_bit=config.four_bit, lora_rank=config.lora_rank, lora_alpha=config.lora_alpha, seed=config.seed,
        device=device, gradient_checkpointing=config.gradient_checkpointing,
    )  # fmt: skip


class quiet:  # noqa: N801 - used like a function
    """Hides loading chatter of transformers (bars, advice); errors still come through."""

    def __enter__(self) -> None:
        from transformers.utils import logging as chatter

        self.warnings = warnings.catch_warnings()
        self.warnings.__enter__()
        warnings.simplefilter("ignore", FutureWarning)  # peft and transformers to each other
        self.level = chatter.get_verbosity()
        chatter.set_verbosity_error()
        chatter.disable_progress_bar()
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        from transformers.utils import logging as chatter

        self.warnings.__exit__(None, None, None)
        chatter.set_verbosity(self.level)
        chatter.enable_progress_bar()
