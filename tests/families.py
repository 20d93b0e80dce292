"""Tiny models of many families, with random weights, as base models of students."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from l2r_lite.students.sources import POCKET

_WORDS = {"vocab_size": 768, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
_SIZE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
_LLAMA = {**_WORDS, **_SIZE, "num_key_value_heads": 1, "head_dim": 32}
_SAME_HEADS = {**_LLAMA, "num_key_value_heads": 2}
_EXPERTS = {**_LLAMA, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
_GPT = {**_WORDS, "n_embd": 64, "n_layer": 2, "n_head": 2, "resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}
_LINEAR = {"linear_num_value_heads": 4, "linear_num_key_heads": 4, "linear_key_head_dim": 16, "linear_value_head_dim": 16,
           "layer_types": ["linear_attention", "full_attention"]}  # fmt: skip
_NO_HEAD_SIZE = {k: v for k, v in _LLAMA.items() if k != "head_dim"}

# Families that compute the fast way at any length: name → class of the config and what it gets.
FULL: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", _LLAMA),
    "mistral": ("MistralConfig", _LLAMA | {"sliding_window": None}),
    "qwen2": ("Qwen2Config", _LLAMA),
    "qwen3": ("Qwen3Config", _LLAMA),
    "phi": ("PhiConfig", _SAME_HEADS),
    "gemma": ("GemmaConfig", _LLAMA),
    "gpt2": ("GPT2Config", _GPT),
    "gpt-neox": ("GPTNeoXConfig", _WORDS | _SIZE),
    "gpt-j": ("GPTJConfig", _GPT | {"rotary_dim": 16, "n_inner": 128}),
    "codegen": ("CodeGenConfig", _GPT | {"n_embd": 128, "n_head": 4, "rotary_dim": 16, "n_inner": 128}),
    "opt": ("OPTConfig", _WORDS | _SIZE | {"ffn_dim": 128, "word_embed_proj_dim": 64, "dropout": 0, "attention_dropout": 0}),
    "falcon": ("FalconConfig", _WORDS | _SIZE),
    "stablelm": ("StableLmConfig", _SAME_HEADS),
    "olmo2": ("Olmo2Config", _LLAMA),
    "granite": ("GraniteConfig", _LLAMA),
    "smollm3": ("SmolLM3Config", _LLAMA),
    "glm4": ("Glm4Config", _LLAMA),
    "helium": ("HeliumConfig", _LLAMA),
    "nemotron": ("NemotronConfig", _LLAMA),
    "mixtral": ("MixtralConfig", _LLAMA | {"num_local_experts": 4}),
    "qwen2-moe": ("Qwen2MoeConfig", _EXPERTS | {"shared_expert_intermediate_size": 64}),
    "qwen3-moe": ("Qwen3MoeConfig", _EXPERTS),
}
# Families whose layers, some or all, attend to a window: the fast way up to its length.
WINDOWED: dict[str, tuple[str, dict[str, Any]]] = {
    "mistral with a window": ("MistralConfig", _LLAMA),
    "qwen2 with a window": ("Qwen2Config", _LLAMA | {"use_sliding_window": True, "max_window_layers": 1}),
    "phi-3": ("Phi3Config", _LLAMA),
    "gemma-3": ("Gemma3TextConfig", _LLAMA),
    "starcoder2": ("Starcoder2Config", _LLAMA),
    "olmo3": ("Olmo3Config", _LLAMA),
    "exaone4": ("Exaone4Config", _LLAMA),
    "ministral": ("MinistralConfig", _LLAMA),
    "gpt-oss": ("GptOssConfig", _LLAMA | {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "gpt-neo": ("GPTNeoConfig", _WORDS | {
        "hidden_size": 64, "num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]],
        "intermediate_size": 128, "resid_dropout": 0, "embed_dropout": 0, "attention_dropout": 0}),
}  # fmt: skip
# Families that compute the plain way always: positions as distances, or layers with a running state.
PLAIN: dict[str, tuple[str, dict[str, Any]]] = {
    "bloom": ("BloomConfig", _WORDS | {"hidden_size": 64, "n_layer": 2, "n_head": 2}),
    "mpt": ("MptConfig", _WORDS | {"d_model": 64, "n_layers": 2, "n_heads": 2, "expansion_ratio": 2}),
    "lfm2": ("Lfm2Config", _NO_HEAD_SIZE | {"layer_types": ["conv", "full_attention"]}),
    "qwen3-next": ("Qwen3NextConfig", _EXPERTS | _LINEAR | {"shared_expert_intermediate_size": 64}),
    "qwen3.5": ("Qwen3_5TextConfig", _LLAMA | _LINEAR),
    "recurrent-gemma": ("RecurrentGemmaConfig", _LLAMA | {
        "lru_width": 64, "attention_window_size": 512, "block_types": ["recurrent", "attention"]}),
}  # fmt: skip
# Families that are refused when they are loaded.
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma2": ("Gemma2Config", _LLAMA),
    "cohere": ("CohereConfig", _LLAMA),
    "mamba": ("MambaConfig", _WORDS | {"hidden_size": 64, "num_hidden_layers": 2, "state_size": 8}),
    "llama4": ("Llama4TextConfig", _LLAMA | {"num_local_experts": 2, "intermediate_size_mlp": 128}),
}
SUPPORTED = FULL | WINDOWED | PLAIN


def build(family: tuple[str, dict[str, Any]], folder: Path, *, window: int = 0, spread: float = 0.15) -> Path:
    """Save a tiny model with the pocket student's tokeniser.

    Args:
        window: of the layers that have one; 0: the family's own.
        spread: standard deviation of the weights; large ones make attention matter.
    """
    kind, settings = family
    config = getattr(transformers, kind)(**settings)
    if window:
        setattr(config, "window_size" if kind == "GPTNeoConfig" else "sliding_window", window)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, 0, spread)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(POCKET).save_pretrained(folder)
    return folder
