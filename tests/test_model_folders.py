"""A stranger's model folder: its config.json chooses no code, and what does not fit together is named in one sentence."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoTokenizer

from families import FULL, build
from l2r_lite.app.cli import main
from l2r_lite.app.planner import student_shape
from l2r_lite.loop.errors import StudentError, printable
from l2r_lite.students.loading import load_student
from l2r_lite.students.merging import merge

CODE = ["kernels-community/flash-attn", "nonsense", "flash_attention_2", "flex_attention", "paged|sdpa", "\x1b[2J", 7, ["a"],
        {"": "evil/kernels"}]  # fmt: skip


@pytest.fixture
def student(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "student"))


def edit(folder: Path, **changes: Any) -> None:
    data = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(data))


def ignored(told: list[warnings.WarningMessage]) -> list[str]:
    return [str(w.message) for w in told if "was ignored, because it may fetch and run" in str(w.message)]


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What transformers would have fetched, if the package `kernels` were here."""
    fetched: list[Any] = []
    monkeypatch.setattr(transformers.modeling_utils, "is_kernels_available", lambda *_, **__: True)
    monkeypatch.setattr(transformers.modeling_utils, "lazy_import_flash_attention", lambda *a, **k: fetched.append(a))
    return fetched


def test_without_our_guard_a_config_would_have_code_fetched(student: Path, kernels: list[Any]) -> None:
    """The next test proves something."""
    edit(student, _attn_implementation="kernels-community/flash-attn")
    transformers.AutoModelForCausalLM.from_pretrained(student)
    assert kernels


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "experts_implementation"])
def test_a_config_that_names_other_code_is_ignored_and_the_user_told_in_one_sentence(
    key: str, student: Path, kernels: list[Any]
) -> None:
    for value in CODE:
        edit(student, **{key: value})
        for use in (load_student, student_shape):
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                use(str(student))  # type: ignore[operator]
            (sentence,) = ignored(told)
            assert sentence.startswith(f"{student}: its config.json asks for {key.removeprefix('_')} = ")
            assert sentence == printable(sentence) and "\n" not in sentence
    assert not kernels


def test_attention_of_torch_is_used_as_the_folder_asks(student: Path) -> None:
    for name in ("eager", "sdpa"):
        edit(student, attn_implementation=name)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert load_student(str(student)).model.config._attn_implementation == name
        assert not ignored(told)


def test_a_part_of_a_model_names_no_code_either(tmp_path: Path) -> None:
    from transformers import AutoConfig, Gemma3Config

    from l2r_lite.students.sources import model_config

    Gemma3Config().save_pretrained(tmp_path)
    data = json.loads((tmp_path / "config.json").read_text())
    data["_attn_implementation"] = {"text_config": "evil/kernels"}
    (tmp_path / "config.json").write_text(json.dumps(data))
    assert AutoConfig.from_pretrained(tmp_path).text_config._attn_implementation == "evil/kernels"
    with pytest.warns(UserWarning, match="attn_implementation = 'evil/kernels'; this was ignored"):
        config = model_config(str(tmp_path))
    assert config.text_config._attn_implementation is config._attn_implementation is None


def test_a_merged_model_has_no_such_code(student: Path, kernels: list[Any]) -> None:
    loaded = load_student(str(student), four_bit=False, dtype=torch.float32)
    edit(student, _attn_implementation="kernels-community/flash-attn")
    with pytest.warns(UserWarning, match="kernels-community/flash-attn"):
        merged = merge(loaded)
    assert merged.config._attn_implementation in ("sdpa", "eager") and not kernels


# --- sizes that do not fit ---


def refusal(folder: Path) -> str:
    with pytest.raises(StudentError) as error:
        load_student(str(folder))
    assert "\n" not in str(error.value) and str(folder) in str(error.value) and len(str(error.value)) < 700
    return str(error.value)


def test_a_vocabulary_of_another_size_than_the_weights_is_one_sentence(student: Path) -> None:
    size = json.loads((student / "config.json").read_text())["vocab_size"]
    for other in (size + 64, size - 64, 10**9):
        edit(student, vocab_size=other)
        assert f"its weights have other sizes than its config.json says (vocab_size = {other}" in refusal(student)


def test_nonsense_in_a_config_is_one_sentence(student: Path) -> None:
    good = (student / "config.json").read_text()
    for changes in (
        {"vocab_size": 0}, {"vocab_size": -1}, {"vocab_size": "x"}, {"vocab_size": None}, {"hidden_size": 128}, {"dtype": "x"},
        {"num_attention_heads": 3}, {"model_type": []}, {"rope_scaling": {"type": "x"}}, {"rope_parameters": "x"},
        {"max_position_embeddings": "x"}, {"quantization_config": []}, {"pad_token_id": 10**6}, {"architectures": 1},
        {"per_layer_config": {"0": {"_attn_implementation": "evil/kernels"}}},
    ):  # fmt: skip
        edit(student, **changes)
        if changes != {"architectures": 1}:
            assert "cannot be loaded" in refusal(student), changes
        else:
            load_student(str(student))
        (student / "config.json").write_text(good)
    load_student(str(student))


def test_weights_that_are_missing_are_never_random_numbers(student: Path) -> None:
    for changes, missing in (({"num_hidden_layers": 3}, "model.layers.2"), ({"tie_word_embeddings": False}, "lm_head")):
        good = (student / "config.json").read_text()
        edit(student, **changes)
        assert f"such as {missing}" in (said := refusal(student)) and "would be random numbers" in said
        (student / "config.json").write_text(good)


@pytest.mark.parametrize("four_bit", [True, False])
def test_a_tokenizer_with_more_words_than_embeddings_is_one_sentence(four_bit: bool, tmp_path: Path) -> None:
    kind, settings = FULL["llama"]
    folder = build((kind, settings | {"vocab_size": 640}), tmp_path / "student")
    with pytest.raises(StudentError, match=r'no embedding for \(7, such as ".+" = 640, of 640 embeddings\).*\(647\)'):
        load_student(str(folder), four_bit=four_bit, dtype=torch.float32)
    folder = build(FULL["llama"], tmp_path / "other")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"<word{i}>" for i in range(200)])
    tokenizer.save_pretrained(folder)
    with pytest.raises(StudentError, match=r'\(79, such as "<word121>" = 768, of 768 embeddings\)'):
        load_student(str(folder), four_bit=four_bit, dtype=torch.float32)


def test_the_command_line_says_it_in_one_sentence_and_leaves_no_folder_behind(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(student, vocab_size=700)
    assert main(["run", "--out", str(tmp_path / "run"), "--limit", "6", "--student", str(student)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "its weights have other sizes" in told
    edit(student, vocab_size="x")
    assert main(["plan", "--student", str(student)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "Validation error for field 'vocab_size'" in told
    assert not (tmp_path / "run" / "config.json").exists()
