"""A tiny student with random weights that answers nonsense fast."""

from __future__ import annotations

from pathlib import Path

from l2r_lite.students.sources import POCKET


def build_tiny(folder: Path, *, hidden: int = 64, seed: int = 0) -> Path:
    """Save an untrained Llama with the pocket tokenizer; its weights are large, so that no two logits tie."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(POCKET)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=512, tie_word_embeddings=True,
        initializer_range=0.2, bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def wake_up(student, generator) -> None:  # noqa: ANN001
    """Give LoRA's B small random values, so that the adapter does something and A has gradients."""
    import torch

    for name, weight in student.trainable.items():
        if "lora_B" in name:
            weight.data.copy_(torch.randn(weight.shape, generator=generator) * 0.02)
