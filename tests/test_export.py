"""What comes out of a run is read here by those who would use it: plain transformers, peft, datasets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from l2r_lite.cli import main
from l2r_lite.config import LoopConfig
from l2r_lite.export import export_run
from l2r_lite.prompts import student_prompt
from l2r_lite.records import Problem
from l2r_lite.rounds import run_rounds
from l2r_lite.runfolder import RunError, read_lines
from l2r_lite.sources import POCKET
from l2r_lite.student import Student


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    config = LoopConfig(rounds=1, limit=60, validation_limit=17, test_limit=17, samples=1, epochs=2)
    run_rounds(config, out, progress=False)
    return out


@pytest.fixture(scope="module")
def exported(run: Path) -> Path:
    to = run.parent / "exported"
    assert main(["export", str(run), "--to", str(to)]) == 0
    return to


@pytest.fixture(scope="module")
def prompts(run: Path) -> list[str]:
    return [student_prompt(p) for p in read_lines(run / "problems" / "train.jsonl", Problem)[:25]]


def trained(run: Path) -> Student:
    student = Student.load("pocket")
    student.load_adapter(run / "student")
    return student


def test_the_exported_student_answers_in_plain_transformers_as_it_did_before(
    run: Path, exported: Path, prompts: list[str]
) -> None:
    before = [answers[0] for answers in trained(run).generate(prompts, max_new_tokens=40)]
    model = AutoModelForCausalLM.from_pretrained(exported / "model", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(exported / "model")
    for prompt, answer in zip(prompts, before, strict=True):
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        written = model.generate(ids, max_new_tokens=40, do_sample=False, attention_mask=torch.ones_like(ids))
        text = tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True).strip()
        assert text.startswith(answer) and answer


def test_the_adapter_loads_with_plain_peft(run: Path) -> None:
    student = trained(run)
    base = AutoModelForCausalLM.from_pretrained(POCKET, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, run / "student").eval()
    loaded = {k: v for k, v in model.state_dict().items() if "lora_" in k}
    assert loaded.keys() == {k for k, v in student.model.state_dict().items() if "lora_" in k}
    assert all(torch.equal(v, student.model.state_dict()[k]) for k, v in loaded.items())


def test_lessons_and_preferences_load_with_datasets_and_hold_what_the_round_trained_on(run: Path, exported: Path) -> None:
    from datasets import load_dataset

    def rows(name: str) -> list[dict]:
        return list(load_dataset("json", data_files=str(exported / name), split="train", cache_dir=str(run.parent / "cache")))

    lessons, preferences = rows("lessons.jsonl"), rows("preferences.jsonl")
    trained_on = [x for x in read_lines(run / "round-1" / "training.jsonl", dict) if x["source"] == "lesson"]
    assert [m["messages"][1]["content"] for m in lessons] == [" ".join(x["anchor"].split()) for x in trained_on]
    assert all([m["role"] for m in row["messages"]] == ["user", "assistant"] for row in lessons)
    assert len(preferences) == sum(x["negative"] is not None for x in trained_on) > 0
    wrong = {x["negative"] for x in trained_on}
    for row in preferences:
        assert row["prompt"][0]["content"].endswith("Answer:") and row["rejected"][0]["content"] in wrong
        assert row["chosen"][0]["content"] not in wrong


def test_the_model_card_says_where_the_student_comes_from(exported: Path) -> None:
    card = (exported / "model" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n") and all(word in card for word in ("arXiv 2310.13332", "pocket", "licence", "95 % interval"))
    assert sorted(p.name for p in exported.iterdir()) == ["lessons.jsonl", "model", "preferences.jsonl"]
    assert not list((exported / "model").glob("*.bin"))


def test_an_export_overwrites_nothing_and_needs_a_finished_round(run: Path, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is there already"):
        export_run(run, exported)
    (tmp_path / "config.json").write_text((run / "config.json").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(RunError, match="--resume"):
        export_run(tmp_path, tmp_path / "new")
    assert not (tmp_path / "new").exists() and not list(tmp_path.glob(".new*"))
