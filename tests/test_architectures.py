"""The packed batch and the decoding loop agree with the plain way on every model family that the presets name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPTJConfig, LlamaConfig, PretrainedConfig, Qwen2Config

from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.data.pocket.world import make_problems
from l2r_lite.loop.losses import triplet_loss
from l2r_lite.loop.prompts import completion, cut_after_answer, student_prompt
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.student import Student
from l2r_lite.students.packing import losses, pack
from l2r_lite.students.sources import POCKET

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
    return load_student(str(folder), four_bit=four_bit, dtype=torch.float32)


@pytest.fixture(params=["", "Question: 1 + 1?\nAnswer: 1 + 1 = 2. The answer is 2.\n\n"], ids=["alone", "after demonstrations"])
def prefixed(request: pytest.FixtureRequest, student: Student) -> Iterator[Student]:
    student.demonstrate(request.param)
    yield student
    student.demonstrate("")


def test_packed_batch_gives_the_losses_of_separate_passes(prefixed: Student) -> None:
    student = prefixed
    wrong = "First 2 + 3 = 5. The answer is 4."
    items = [TrainingItem(p, write_rationale(p, 0), write_rationale(p, 1), wrong) for p in make_problems("train", 6)]
    student.model.eval()
    with torch.no_grad():
        lm, cl = losses(student, pack(student, items))
        alone, _ = losses(student, pack(student, items, with_triplets=False))
        states = []
        for item in items:
            for text in (item.anchor, item.positive, item.negative):
                prompt, tokens = student.encode(student_prompt(item.problem), completion(str(text)))
                ids = torch.tensor([[*student.prefix, *prompt, *tokens]])
                states.append(student.decoder(input_ids=ids).last_hidden_state[0, -1])
    h, h_plus, h_minus = torch.stack(states).view(len(items), 3, -1).unbind(1)
    assert lm.item() == pytest.approx(alone.item(), abs=1e-5)
    assert cl.item() == pytest.approx(triplet_loss(h, h_plus, h_minus).item(), abs=1e-5)


def test_greedy_answers_equal_those_of_transformers_generate(prefixed: Student) -> None:
    student = prefixed
    prompts = [student_prompt(p) for p in make_problems("test", 4)]
    for prompt, (ours,) in zip(prompts, student.generate(prompts, max_new_tokens=12), strict=True):
        ids = torch.tensor([[*student.prefix, *student.encode(prompt)[0]]])
        theirs = student.model.generate(input_ids=ids, max_new_tokens=12, do_sample=False, use_cache=True, pad_token_id=0)
        text = student.tokenizer.decode(theirs[0, ids.shape[1] :], skip_special_tokens=True)
        assert ours == cut_after_answer(text)
