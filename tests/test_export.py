"""The tools that use a run's exports can read them: plain transformers, peft, datasets."""

from __future__ import annotations

import base64
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, AutoTokenizer

from l2r_lite.app.cli import main
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import RunError
from l2r_lite.loop.prompts import completion, student_prompt
from l2r_lite.loop.records import Problem
from l2r_lite.loop.runfolder import read_json, read_lines
from l2r_lite.loop.student import Student
from l2r_lite.runs.card import model_card
from l2r_lite.runs.export import chat_template, export_run, push_to_hub
from l2r_lite.runs.run import run_rounds
from l2r_lite.students.adapters import load_adapter, save_adapter
from l2r_lite.students.loading import load_student
from l2r_lite.students.sources import POCKET
from tiny_student import wake_up


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
    student = load_student("pocket")
    load_adapter(student, run / "student")
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
    assert card.startswith("---\n")
    assert all(words in card for words in ("arXiv 2310.13332", "pocket", "## Licences", "95 % interval"))
    assert sorted(p.name for p in exported.iterdir()) == ["lessons.jsonl", "model", "preferences.jsonl"]
    assert not list((exported / "model").glob("*.bin"))


def test_a_card_names_no_folder_of_this_machine_and_says_whose_terms_apply(run: Path) -> None:
    report = read_json(run / "report.json")
    own = LoopConfig(student=str(run.parent / "mine"), problems="/home/me/stall.jsonl", teacher="recorded:/home/me/r.jsonl")
    (run.parent / "mine").mkdir()
    card = model_card(own, report)
    assert "/home" not in card and str(run.parent) not in card and "base_model" not in card
    assert "license: \"other\"" in card and "your own file" in card
    asked = model_card(LoopConfig(student="Qwen/Qwen2.5-7B-Instruct", problems="gsm8k", teacher="openai:gpt-4o-mini"), report)
    assert 'base_model: "Qwen/Qwen2.5-7B-Instruct"' in asked and "MIT" in asked and "that serves `gpt-4o-mini`" in asked
    assert "worked examples" not in card
    assert "with 3 worked examples" in model_card(own.with_(demonstrations=3), report)


def test_a_chat_becomes_what_the_student_read_and_wrote_token_for_token(run: Path, exported: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(exported / "model")
    student = trained(run)
    for line in (exported / "lessons.jsonl").read_text(encoding="utf-8").splitlines()[:20]:
        messages = json.loads(line)["messages"]
        prompt, rationale = student.encode(messages[0]["content"], completion(messages[1]["content"]))
        chat = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
        assert chat["input_ids"] == prompt + rationale
        assert chat["assistant_masks"] == [0] * len(prompt) + [1] * len(rationale)
    bare = [{"role": "user", "content": "What is 2 + 3?"}]
    assert tokenizer.apply_chat_template(bare, tokenize=False) == "Question: What is 2 + 3?\nAnswer:"


def test_a_chat_begins_as_the_tokeniser_begins_every_text() -> None:
    tokenizer = AutoTokenizer.from_pretrained(POCKET)
    assert len(tokenizer("").input_ids) == 0
    first = tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{first} $A", special_tokens=[(first, tokenizer.eos_token_id)]
    )
    chat = [{"role": "user", "content": "Question: 2?\nAnswer:"}]
    found = tokenizer.apply_chat_template(chat, chat_template=chat_template(tokenizer), return_dict=True)["input_ids"]
    assert found == tokenizer("Question: 2?\nAnswer:").input_ids and found[0] == tokenizer.eos_token_id


def test_an_adapter_is_exported_without_weights_of_the_base_and_loads_as_its_card_says(run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(run, tmp_path / "run"))
    student = load_student("pocket")
    wake_up(student, torch.Generator().manual_seed(0))  # the round kept may be that before training, with an empty adapter
    save_adapter(student, run / "student")
    assert main(["export", str(run), "--to", str(tmp_path / "out"), "--adapter"]) == 0
    folder = tmp_path / "out" / "adapter"
    assert not (tmp_path / "out" / "model").exists() and (tmp_path / "out" / "lessons.jsonl").is_file()
    assert (folder / "adapter_model.safetensors").read_bytes() == (run / "student" / "adapter_model.safetensors").read_bytes()
    assert sum(f.stat().st_size for f in folder.glob("*.safetensors")) < 2e6
    assert read_json(folder / "adapter_config.json")["base_model_name_or_path"] == "pocket"  # not a folder of this machine
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert 'library_name: "peft"' in card and "merged into" not in card and str(POCKET) not in card
    code = card.split("```python")[1].split("```")[0].replace("FOLDER OR HUB NAME", str(folder))
    found: dict = {}
    exec(code.replace('from_pretrained("pocket"', f'from_pretrained("{POCKET}"'), found)  # noqa: S102 - the card's example
    with torch.no_grad():
        ids = found["tokens"]["input_ids"]
        right = student.model(ids).logits
        with student.model.disable_adapter():
            fresh = student.model(ids).logits
        off = (found["model"](ids).logits.float() - right).norm()  # the card's base computes in 16 bits
        assert off < 0.01 * right.norm() and off < 0.1 * (fresh - right).norm()


def test_trl_tunes_the_exported_student_on_its_lessons_and_on_its_preferences(exported: Path, tmp_path: Path) -> None:
    trl = pytest.importorskip("trl", reason="trl is in the extra `test`")
    from datasets import load_dataset

    options = {"output_dir": str(tmp_path), "max_steps": 2, "per_device_train_batch_size": 4, "report_to": "none",
               "use_cpu": True, "bf16": False, "save_strategy": "no", "logging_steps": 1, "disable_tqdm": True}  # fmt: skip
    lessons, preferences = (
        load_dataset("json", data_files=str(exported / name), split="train", cache_dir=str(tmp_path / "cache"))
        for name in ("lessons.jsonl", "preferences.jsonl")
    )
    model = AutoModelForCausalLM.from_pretrained(exported / "model", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(exported / "model")
    tuning = trl.SFTTrainer(model, trl.SFTConfig(assistant_only_loss=True, **options), train_dataset=lessons,
                            processing_class=tokenizer)  # fmt: skip
    assert tuning.train().training_loss < 3
    written = [token for token in tuning.train_dataset[0]["labels"] if token >= 0]  # what is learnt: the student's own words
    assert tokenizer.decode(written, skip_special_tokens=True).strip() == lessons[0]["messages"][1]["content"]
    preferring = trl.DPOTrainer(model, args=trl.DPOConfig(**options), train_dataset=preferences, processing_class=tokenizer)
    preferring.train()
    assert any("rewards/margins" in entry for entry in preferring.state.log_history)


@dataclass
class FakeHub:
    """The hub's part in an upload, on loopback: who am I, a new repository, which files, the commit."""

    url: str = ""
    created: list[dict] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    asked: set[tuple[str, str]] = field(default_factory=set)  # path and token of each request

    def answer(self, path: str, body: bytes) -> tuple[int, dict]:
        if path == "/api/repos/create":
            new = json.loads(body)
            if new["name"] in [repo["name"] for repo in self.created]:
                return 409, {"error": "You already created this model repo"}
            self.created.append(new)
            return 200, {"url": f"{self.url}/me/{new['name']}", "name": f"me/{new['name']}"}
        if path.endswith("/preupload/main"):
            asked = [file["path"] for file in json.loads(body)["files"]]
            return 200, {"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in asked]}
        if path.endswith("/commit/main"):
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return 200, {"commitUrl": f"{self.url}/me/student/commit/{'0' * 40}", "commitOid": "0" * 40, "success": True}
        return 200, {"id": "me/student", "sha": "0" * 40, "siblings": [], "errors": [], "warnings": [], "name": "me"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    fake = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fake.asked.add((self.path.partition("?")[0], self.headers.get("Authorization", "")))
            status, said = fake.answer(self.path.partition("?")[0], body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", fake.url)
        monkeypatch.setenv("HF_TOKEN", "hf_planted")
        yield fake
        server.shutdown()


def test_a_student_is_pushed_privately_and_whole_and_never_over_another(hub: FakeHub, exported: Path) -> None:
    address = push_to_hub(exported / "model", "me/student")
    assert address == f"{hub.url}/me/student" and len(hub.created) == 1
    assert hub.created[0].get("private") is True or hub.created[0]["visibility"] == "private"
    assert hub.files == {p.name: p.read_bytes() for p in (exported / "model").iterdir()}
    # Another worker's client may still call a port that it has freed and we were given: only the hub's paths count.
    # Once a day huggingface_hub asks, without a key, for its list of agents.
    asked = {token for path, token in hub.asked if path.startswith("/api/") and path != "/api/agent-harnesses"}
    assert asked == {"Bearer hf_planted"}, hub.asked
    with pytest.raises(RunError, match="me/student: the hub refused the upload .*The export is complete") as error:
        push_to_hub(exported / "model", "me/student")
    assert "hf_planted" not in str(error.value) and len(hub.created) == 1


def test_without_a_login_nothing_is_exported_for_the_hub(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:  # fmt: skip
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    assert main(["export", str(run), "--to", str(tmp_path / "out"), "--push-to-hub", "me/student"]) == 2
    assert "hf auth login" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_an_export_overwrites_nothing_and_needs_a_finished_round(run: Path, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="already exists"):
        export_run(run, exported)
    (tmp_path / "config.json").write_text((run / "config.json").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(RunError, match="--resume"):
        export_run(tmp_path, tmp_path / "new")
    assert not (tmp_path / "new").exists() and not list(tmp_path.glob(".new*"))
