"""What the tests share: a tiny student that answers nonsense fast, and the pocket world's problems."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from l2r_lite.sources import POCKET

# Tests run in parallel: two processes with two torch threads each on two cores are 5–10 times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")


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


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student of 2 layers and hidden size 64, as a folder."""
    return build_tiny(tmp_path_factory.mktemp("students") / "tiny")


@pytest.fixture(scope="session")
def load_tiny(tiny_folder: Path) -> Callable:
    """Load the tiny student anew; `wake=True` draws its LoRA B, which starts at 0 and hides A's gradients."""

    def load(*, wake: bool = False, **options):  # noqa: ANN202
        import torch

        from l2r_lite.student import Student

        student = Student.load(str(tiny_folder), **options)
        if wake:
            wake_up(student, torch.Generator().manual_seed(1))
        return student

    return load


def wake_up(student, generator) -> None:  # noqa: ANN001
    """Give LoRA's B small random values, so that the adapter does something and A has gradients."""
    import torch

    for name, weight in student.trainable.items():
        if "lora_B" in name:
            weight.data.copy_(torch.randn(weight.shape, generator=generator) * 0.02)


@pytest.fixture(scope="session")
def pocket_problems() -> list:
    from l2r_lite.pocket.world import make_problems

    return make_problems("train", 72, seed=5)


@pytest.fixture
def tiny(load_tiny: Callable):  # noqa: ANN201
    """A freshly loaded tiny student: a test may train it."""
    return load_tiny()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests measured (record_property), passed or not."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in report.user_properties if report.when == "call" else ():
                terminalreporter.write_line(f"measured: {name}: {value}")
