"""What comes out of a run, for use elsewhere: the student as a plain transformers model, and its lessons as training data.

    l2r-lite export runs/mine --to exported                      # --push-to-hub me/my-student, after: hf auth login
    AutoModelForCausalLM.from_pretrained("exported/model")

The adapter alone needs no export: `PeftModel.from_pretrained(base, "runs/mine/student")` loads it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from l2r_lite import __version__
from l2r_lite.card import model_card
from l2r_lite.config import LoopConfig
from l2r_lite.hub import no_waiting
from l2r_lite.nf4 import full_weight
from l2r_lite.prompts import completion, student_prompt
from l2r_lite.records import Problem
from l2r_lite.report import read_report
from l2r_lite.runfolder import RunError, read_lines
from l2r_lite.sources import locate
from l2r_lite.student import Student


def export_run(run: str | Path, to: str | Path, *, dtype: torch.dtype = torch.float32) -> Path:
    """Write the best student of a run and all its lessons to a folder of their own.

    Args:
        run: a run folder with a finished round.
        to: a folder that does not exist yet; it appears whole or not at all.
        dtype: of the weights that are written. In fp32 the model answers as the student did; half the size rounds them.

    Returns:
        The folder: `model/` (safetensors, tokeniser, model card), `lessons.jsonl` (chat "messages", for supervised
        fine-tuning) and `preferences.jsonl` (a lesson as chosen, the student's own mistake as rejected).

    Raises:
        RunError: no finished round, or the target is there already.
    """
    run, to = Path(run), Path(to)
    config = LoopConfig.read(run / "config.json")
    if not (run / "student" / "adapter_model.safetensors").is_file():
        raise RunError(f"{run}: no student/ there, so no round of it is finished; go on with: l2r-lite run --resume {run}")
    if to.exists():
        raise RunError(f"{to}: is there already; name a folder that is not, or remove this one.")
    to.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{to.name}.", dir=to.parent))
    try:
        rank, alpha = config.lora_rank, config.lora_alpha
        student = Student.load(config.student, four_bit=config.four_bit, lora_rank=rank, lora_alpha=alpha)
        student.load_adapter(run / "student")
        merge(student, dtype).save_pretrained(scratch / "model", safe_serialization=True)
        student.tokenizer.chat_template = chat_template(student.tokenizer)
        student.tokenizer.save_pretrained(scratch / "model")
        (scratch / "model" / "README.md").write_text(model_card(config, read_report(run)), encoding="utf-8")
        items = list(_training_lines(run))
        _write(scratch / "lessons.jsonl", (_messages(p, line["anchor"]) for p, line in items))
        _write(scratch / "preferences.jsonl", (_preference(p, line) for p, line in items if line["negative"]))
        os.chmod(scratch, 0o755)  # noqa: S103 - as any folder
        scratch.rename(to)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return to


# "Question: …" and "Answer:" around a user's words, unless they stand there; what the student wrote is marked for those who
# train on it alone (TRL's assistant_only_loss).
_CHAT = (
    "{%- for message in messages -%}{%- if message.role == 'assistant' -%}"
    "{%- generation -%}{{ ' ' + message.content + eos_token }}{%- endgeneration -%}"
    "{%- elif message.content.startswith('Question:') -%}{{ message.content }}"
    "{%- else -%}{{ 'Question: ' + message.content + '\\nAnswer:' }}{%- endif -%}{%- endfor -%}"
)


def chat_template(tokenizer: Any) -> str:
    """Makes of a chat what the student reads in an exam and wrote in training, token for token.

    The template of an instruct model would put its own words around them, which tailored training never showed it.
    """
    first = tokenizer.convert_ids_to_tokens(tokenizer("").input_ids)  # what it begins every text with, if anything
    return "{{ " + json.dumps("".join(first)) + " }}" + _CHAT


def check_login() -> None:
    """Raises RunError unless the user is logged in at the hub."""
    from huggingface_hub import get_token

    if not get_token():
        raise RunError("nobody is logged in at the Hugging Face hub here; log in first with: hf auth login")


def push_to_hub(model: Path, repository: str) -> str:
    """Put an exported model into a new, private repository on the hub, under the user's own login.

    Args:
        model: the folder `model/` of an export.
        repository: OWNER/NAME, not there yet.

    Returns:
        Its address. To make it public is the user's decision, once the licences in its card allow it.

    Raises:
        RunError: no login, or the hub does not take it.
    """
    from huggingface_hub import HfApi

    check_login()
    api = HfApi(library_name="l2r-lite", library_version=__version__)
    try:
        url = api.create_repo(repository, private=True)
        api.upload_folder(repo_id=url.repo_id, folder_path=model, commit_message="A student of l2r_lite")
    except Exception as error:  # whatever the hub and the way there bring about
        raise RunError(
            f"{repository}: the hub did not take it ({type(error).__name__}: {str(error).strip().splitlines()[0]}). "
            f"The export is whole, in {model}; once the reason is gone: hf upload {repository} {model}"
        ) from error
    return str(url)


@torch.no_grad()
def merge(student: Student, dtype: torch.dtype = torch.float32) -> Any:
    """A plain transformers model that computes what the student does: its 4-bit weights as numbers, plus α/r · BA.

    Merging into the base model's *original* weights instead gives another model: the adapter was trained on the rounded ones.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    where = locate(student.name)
    with no_waiting(where):
        config = AutoConfig.from_pretrained(where, trust_remote_code=False)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain = dict(model.named_modules())
    base = student.model.get_base_model()
    adapted = {name: module for name, module in base.named_modules() if hasattr(module, "lora_A")}
    for name, parameter in base.named_parameters():
        if ".lora_" not in name and ".base_layer." not in name:
            plain[name.rpartition(".")[0]].get_parameter(name.rpartition(".")[2]).copy_(parameter.float())
    for name, module in adapted.items():
        plain[name].weight.copy_(full_weight(module.base_layer).float() + module.get_delta_weight("default").float())
        if module.base_layer.bias is not None:
            plain[name].bias.copy_(module.base_layer.bias.float())
    model.tie_weights()
    model.generation_config = base.generation_config
    return model.to(dtype).eval()


def _training_lines(run: Path) -> Iterator[tuple[Problem, dict[str, Any]]]:
    """Every lesson that was trained on, with its problem, once; replayed and own answers are not lessons."""
    problems = {p.id: p for p in read_lines(run / "problems" / "train.jsonl", Problem)}
    seen = set()
    for file in sorted(run.glob("round-*/training.jsonl"), key=lambda f: int(f.parent.name.removeprefix("round-"))):
        for line in read_lines(file, dict):
            if line["source"] == "lesson" and (key := (line["problem_id"], line["anchor"], line["negative"])) not in seen:
                seen.add(key)
                yield problems[line["problem_id"]], line


def _messages(problem: Problem, rationale: str) -> dict[str, Any]:
    return {"messages": [_said("user", student_prompt(problem)), _said("assistant", completion(rationale).strip())]}


def _preference(problem: Problem, line: dict[str, Any]) -> dict[str, Any]:
    """TRL's conversational preference form."""
    chosen, rejected = (completion(line[key]).strip() for key in ("anchor", "negative"))
    return {
        "prompt": [_said("user", student_prompt(problem))],
        "chosen": [_said("assistant", chosen)], "rejected": [_said("assistant", rejected)],
    }  # fmt: skip


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _write(file: Path, lines: Iterator[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


