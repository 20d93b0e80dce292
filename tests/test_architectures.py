"""The one-pass losses and the fast writer agree with the plain ones on every model family that the presets name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPTJConfig, LlamaConfig, PretrainedConfig, Qwen2Config

from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.data.pocket.world import make_problems
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.losses import tailored_loss
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.student import Student
from l2r_lite.loop.training import train_step
from l2r_lite.loop.writing import PlainWriter
from l2r_lite.students.loading import load_student
from l2r_lite.students.packing import packed_loss
from l2r_lite.students.sources import POCKET
from tiny_student import wake_up

SMALL = {"vocab_size": 768, "bos_token_id": 0, "eos_token_id": 0}
LLAMA_LIKE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
              "num_key_value_heads": 1}  # fmt: skip
FAMILIES: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**SMALL, **LLAMA_LIKE),
    "qwen2": Qwen2Config(**SMALL, **LLAMA_LIKE),
    "gpt-j": GPTJConfig(**SMALL, n_embd=64, n_layer=2, n_head=2, rotary_dim=16, n_inner=128, resid_pdrop=0, embd_pdrop=0,
                        attn_pdrop=0),
}  # fmt: skip


@pytest.fixture(scope="module", params=[(f, b) for f in FAMILIES for b in (True, False)], ids=str)
def student(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Student:
    family, four_bit = request.param
    folder: Path = tmp_path_factory.mktemp(family)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(FAMILIES[family]).save_pretrained(folder)
    AutoTokenizer.from_pretrained(POCKET).save_pretrained(folder)
    student = load_student(str(folder), four_bit=four_bit, dtype=torch.float32)
    wake_up(student, torch.Generator().manual_seed(1))
    return student


@pytest.fixture(params=["", "Question: 1 + 1?\nAnswer: 1 + 1 = 2. The answer is 2.\n\n"], ids=["alone", "after demonstrations"])
def prefixed(request: pytest.FixtureRequest, student: Student) -> Iterator[Student]:
    student.demonstrate(request.param)
    yield student
    student.demonstrate("")


def test_one_pass_gives_the_losses_and_gradients_of_the_plain_three(prefixed: Student) -> None:
    wrong = "First 2 + 3 = 5. The answer is 4."
    items = [TrainingItem(p, write_rationale(p, 0), write_rationale(p, 1), wrong) for p in make_problems("train", 6)]
    config, told, gradients = LoopConfig(reflection_weight=0.5, micro_batch=4), [], []
    for objective in (tailored_loss, packed_loss):
        prefixed.model.zero_grad(set_to_none=True)
        told.append(train_step(prefixed, items, config, objective))
        gradients.append(torch.cat([w.grad.flatten() for w in prefixed.trainable.values() if w.grad is not None]))
    assert told[1] == pytest.approx(told[0], abs=1e-5) and told[0]["cl"] > 0
    assert (gradients[1] - gradients[0]).norm() < 1e-3 * gradients[0].norm()


def test_the_fast_writers_texts_are_the_plain_ones(prefixed: Student) -> None:
    prompts = [student_prompt(p) for p in make_problems("test", 4)]
    for options in ({}, {"samples": 2, "temperature": 0.9}):
        plain = PlainWriter(prefixed).generate(prompts, max_new_tokens=12, **options)
        assert prefixed.generate(prompts, max_new_tokens=12, **options) == plain
