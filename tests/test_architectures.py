"""The fast way and the plain way agree on every model family; unusable models are refused in one sentence."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from families import FULL, PLAIN, REFUSED, SUPPORTED, WINDOWED, build
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.data.pocket.world import make_problems
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.losses import tailored_loss
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.student import Student
from l2r_lite.loop.training import train_step
from l2r_lite.loop.writing import PlainWriter
from l2r_lite.students.loading import load_student
from l2r_lite.students.merging import merge
from l2r_lite.students.packing import packed_loss
from tiny_student import wake_up

SHOWN = "Question: 1 + 1?\nAnswer: 1 + 1 = 2. The answer is 2.\n\n"
PROBLEMS = make_problems("train", 6)
ITEMS = [TrainingItem(p, write_rationale(p, 0), write_rationale(p, 1), "First 2 + 3 = 5. The answer is 4.") for p in PROBLEMS]
# On a CPU, sizes that are no multiple of 64 are refused in 4 bits; these have one of 32.
NOT_IN_FOUR_BITS = {"qwen3-next", "qwen3.5"}
QUICK = ["llama", "gpt-j", "gpt2", "mistral with a window", "bloom"]


def marks(name: str) -> list[pytest.MarkDecorator]:
    return [] if name in QUICK else [pytest.mark.slow]


CASES = [
    pytest.param(name, four_bit, id=f"{name}, {'4-bit' if four_bit else 'fp32'}", marks=marks(name))
    for name in SUPPORTED for four_bit in (True, False) if not (four_bit and name in NOT_IN_FOUR_BITS)
]  # fmt: skip


def load(folder: Path, **options: Any) -> Student:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a family computes the plain way
        student = load_student(str(folder), **{"dtype": torch.float32, **options})
    wake_up(student, torch.Generator().manual_seed(1))
    return student


def losses_and_gradients(student: Student) -> list[tuple[dict[str, float], torch.Tensor]]:
    found = []
    for objective in (tailored_loss, packed_loss):
        student.model.zero_grad(set_to_none=True)
        logged = train_step(student, ITEMS, LoopConfig(reflection_weight=0.5, micro_batch=4), objective)
        found.append((logged, torch.cat([w.grad.flatten() for w in student.trainable.values() if w.grad is not None])))
    return found


@pytest.mark.parametrize(("name", "four_bit"), CASES)
def test_exam_and_training_are_those_of_the_plain_way(name: str, four_bit: bool, tmp_path: Path) -> None:
    student = load(build(SUPPORTED[name], tmp_path, window=64 if name in WINDOWED else 0), four_bit=four_bit)
    prompts = [student_prompt(p) for p in PROBLEMS[:4]]
    for shown in ("", SHOWN, 8 * SHOWN):  # the last is longer than the window
        student.demonstrate(shown)
        (plain, by_hand), (packed, ours) = losses_and_gradients(student)
        assert packed == pytest.approx(plain, abs=1e-4) and plain["cl"] > 0
        assert (ours - by_hand).norm() < 2e-3 * by_hand.norm()
        wanted = PlainWriter(student).generate(prompts, max_new_tokens=12)
        assert student.generate(prompts, max_new_tokens=12) == wanted
        drawn = {"samples": 2, "temperature": 0.9, "max_new_tokens": 12}
        wanted, ours = PlainWriter(student).generate(prompts, **drawn), student.generate(prompts, **drawn)
        # A random number may fall between two tokens closer than rounding: one text of eight may differ.
        assert sum(a != b for pair in zip(wanted, ours, strict=True) for a, b in zip(*pair, strict=True)) <= 1


@pytest.mark.parametrize(("name", "four_bit"), CASES)
def test_the_merged_model_computes_what_the_student_does(name: str, four_bit: bool, tmp_path: Path) -> None:
    student = load(build(SUPPORTED[name], tmp_path), four_bit=four_bit)
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        wanted, merged = student.model(input_ids=ids).logits, merge(student)(input_ids=ids).logits
    assert (merged - wanted).norm() < 1e-4 * wanted.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", [pytest.param(n, marks=marks(n)) for n in SUPPORTED])
def test_the_trial_at_load_tells_the_families_apart(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    folder = build(SUPPORTED[name], tmp_path, window=512 if name in WINDOWED else 0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        student = load_student(str(folder), four_bit=False, dtype=dtype)
    wanted = 0 if name in PLAIN else 512 if name in WINDOWED else torch.inf
    assert student.fast_up_to == wanted
    assert (name in PLAIN) == any("computes in the plain way" in str(w.message) for w in told)


def test_a_window_shorter_than_any_text_means_the_plain_way(tmp_path: Path) -> None:
    folder = build(WINDOWED["mistral with a window"], tmp_path, window=12)
    with pytest.warns(UserWarning, match=r"\(mistral\) computes in the plain way"):
        assert load_student(str(folder), dtype=torch.float32).fast_up_to == 0


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_cannot_be_a_student_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(StudentError, match="Choose a Llama") as refused:
        load_student(str(build(REFUSED[name], tmp_path)), four_bit=False, dtype=torch.float32)
    assert "\n" not in str(refused.value)


def tokenizer_with(folder: Path, change: Any, rows: int = 768) -> Path:
    kind, settings = FULL["llama"]
    build((kind, settings | {"vocab_size": rows}), folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    change(tokenizer)
    tokenizer.save_pretrained(folder)
    return folder


def test_an_end_token_that_a_tokenizer_appends_is_not_part_of_a_prompt(tmp_path: Path) -> None:
    def append(tokenizer: Any) -> None:
        from tokenizers.processors import TemplateProcessing

        ends = [(tokenizer.eos_token, tokenizer.eos_token_id)]
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"$A {tokenizer.eos_token}", special_tokens=ends)

    plain = load_student(str(build(FULL["llama"], tmp_path / "plain")), dtype=torch.float32)
    folder = tokenizer_with(tmp_path / "appends", append)
    assert AutoTokenizer.from_pretrained(folder)("Answer:").input_ids[-1] == 0
    student = load_student(str(folder), dtype=torch.float32)
    assert student.encode("Answer:", " 5.") == plain.encode("Answer:", " 5.")
    student.demonstrate(SHOWN)
    assert 0 not in student.prefix


def test_a_tokenizer_without_an_end_token_is_refused(tmp_path: Path) -> None:
    folder = tokenizer_with(tmp_path, lambda tokenizer: setattr(tokenizer, "eos_token", None))
    with pytest.raises(StudentError, match="no end token"):
        load_student(str(folder), dtype=torch.float32)


def test_an_end_token_without_an_embedding_is_refused_and_such_a_padding_replaced(tmp_path: Path) -> None:
    folder = tokenizer_with(tmp_path / "end", lambda t: t.add_special_tokens({"eos_token": "<new>"}), rows=647)
    told = r'no embedding for \(1, such as "<new>" = 647, of 647 embeddings\).*resize_token_embeddings\(648\)'
    with pytest.raises(StudentError, match=told):
        load_student(str(folder), dtype=torch.float32)
    folder = tokenizer_with(tmp_path / "pad", lambda t: t.add_special_tokens({"pad_token": "<new>"}), rows=647)
    assert load_student(str(folder), dtype=torch.float32).tokenizer.pad_token_id == 0


def test_an_adapter_that_cannot_be_merged_is_not_exported(tmp_path: Path) -> None:
    student = load(build(FULL["llama"], tmp_path))
    layer = next(m for m in student.model.modules() if hasattr(m, "lora_A"))
    layer.get_delta_weight = lambda name: 9 * type(layer).get_delta_weight(layer, name)
    with pytest.raises(StudentError, match="cannot be merged"):
        merge(student)


def test_the_models_of_this_file_are_different_ones(tmp_path: Path) -> None:
    kinds = {AutoModelForCausalLM.from_pretrained(build(SUPPORTED[n], tmp_path / n)).config.model_type for n in QUICK}
    assert len(kinds) == len(QUICK)
