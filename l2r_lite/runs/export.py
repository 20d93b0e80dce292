"""Export a run's student as a plain transformers model, and its lessons as training data.

    l2r-lite export runs/mine --to exported
    AutoModelForCausalLM.from_pretrained("exported/model")

The adapter alone needs no export: `PeftModel.from_pretrained(base, "runs/mine/student")` loads it.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from l2r_lite import __version__
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import RunError
from l2r_lite.loop.prompts import completion, student_prompt
from l2r_lite.loop.records import Problem
from l2r_lite.loop.runfolder import read_json, write_json
from l2r_lite.runs.card import base_model, model_card
from l2r_lite.runs.config_file import read_config
from l2r_lite.runs.reading import read, read_problems, rounds
from l2r_lite.runs.report import read_report
from l2r_lite.students.adapters import load_adapter
from l2r_lite.students.chat import load_tokenizer
from l2r_lite.students.loading import greedy, load_student
from l2r_lite.students.merging import merge
from l2r_lite.students.templates import PLAIN_MARK, chat_question


def export_run(
    run: str | Path, to: str | Path, *, dtype: torch.dtype = torch.float32, adapter: bool = False,
) -> Path:
    """Write the best student of a run and all its lessons to a folder of their own.

    Args:
        run: a run folder with a finished round.
        to: a folder that does not exist yet; it appears complete or not at all.
        dtype: of the written weights. In fp32 the model answers like the student; 16 bits halve
            the size and round the weights.
        adapter: write the LoRA adapter, some MB, instead of a model with the base's weights; it is
            for the base model in the form that the run loaded: with `four_bit`, in NF4.

    Returns:
        The folder: `model/` or `adapter/` (safetensors, tokeniser, card), `lessons.jsonl` (chat
        "messages", for supervised fine-tuning) and `preferences.jsonl` (a lesson as chosen, the
        student's own mistake as rejected).

    Raises:
        RunError: no finished round, or the target exists already.
    """
    run, to = Path(run), Path(to)
    config = read_config(run / "config.json")
    if not (run / "student" / "adapter_model.safetensors").is_file():
        raise RunError(
            f"{run}: no student/ there, so no round of it is finished; resume with: l2r-lite run "
            f"--resume {run}")
    if os.path.lexists(to):
        raise RunError(f"{to}: already exists; choose a new folder, or remove this one.")
    to.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{to.name}.", dir=to.parent))
    model = scratch / ("adapter" if adapter else "model")
    card = model_card(config, read_report(run), adapter=adapter)
    try:
        if adapter:
            _copy_adapter(run / "student", model, base_model(config)[0])
        else:
            _write_merged(config, run / "student", model, dtype)
        tokenizer = load_tokenizer(config.student, config.prompt, thoughts=config.thoughts)
        if config.prompt == "plain":
            tokenizer.chat_template = chat_template(tokenizer)
        tokenizer.save_pretrained(model)
        (model / "README.md").write_text(card, encoding="utf-8")
        items = list(_training_lines(run))
        ask = chat_question if config.prompt == "chat" else student_prompt
        _write(scratch / "lessons.jsonl", (_messages(ask(p), line["anchor"]) for p, line in items))
        mistaken = [(p, line) for p, line in items if line["negative"]]
        _write(scratch / "preferences.jsonl", (_preference(ask(p), line) for p, line in mistaken))
        os.chmod(scratch, 0o755)  # noqa: S103 - as for any folder
        scratch.rename(to)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return to


def _write_merged(config: LoopConfig, adapter: Path, to: Path, dtype: torch.dtype) -> None:
    student = load_student(
        config.student, four_bit=config.four_bit, lora_rank=config.lora_rank,
        lora_alpha=config.lora_alpha, prompt=config.prompt, thoughts=config.thoughts)
    load_adapter(student, adapter)
    merged = merge(student, dtype)
    merged.generation_config = greedy(student, max_new_tokens=config.max_new_tokens)
    merged.save_pretrained(to, safe_serialization=True)


def _copy_adapter(adapter: Path, to: Path, base: str) -> None:
    """Copy an adapter; the base model's name takes the place of its folder on this machine."""
    to.mkdir()
    shutil.copy(adapter / "adapter_model.safetensors", to)
    settings = read_json(adapter / "adapter_config.json")
    write_json(to / "adapter_config.json", settings | {"base_model_name_or_path": base})


# Puts "Question: …" and "Answer:" around a user's message, unless it has them. Marks the student's
# replies, for training on these alone (TRL's assistant_only_loss).
_CHAT = (
    "{%- for message in messages -%}{%- if message.role == 'assistant' -%}"
    "{%- generation -%}{{ ' ' + message.content + eos_token }}{%- endgeneration -%}"
    "{%- elif message.content.startswith('Question:') -%}{{ message.content }}"
    "{%- else -%}{{ 'Question: ' + message.content + '\\nAnswer:' }}{%- endif -%}{%- endfor -%}")


def chat_template(tokenizer: Any) -> str:
    """Turns a chat into what the student read and wrote in exams and training, token for token.

    For a student that was asked plainly: its model's own template would add words that it never saw
    in tailored training.
    """
    begin = tokenizer.convert_ids_to_tokens(tokenizer("").input_ids)  # of every text, if any
    return PLAIN_MARK + "{{ " + json.dumps("".join(begin)) + " }}" + _CHAT


def check_login() -> None:
    """Raises RunError unless the user is logged in at the hub."""
    from huggingface_hub import get_token

    if not get_token():
        raise RunError(
            "you are not logged in to the Hugging Face hub; log in with: hf auth login")


def push_to_hub(model: Path, repository: str) -> str:
    """Upload an exported model to a new, private repository on the hub, with the user's login.

    Args:
        model: the folder `model/` or `adapter/` of an export.
        repository: OWNER/NAME, which does not exist yet.

    Returns:
        Its address. The user may make it public, once the licences in its card allow it.

    Raises:
        RunError: no login, or the hub refuses it.
    """
    from huggingface_hub import HfApi

    check_login()
    api = HfApi(library_name="l2r-lite", library_version=__version__)
    try:
        url = api.create_repo(repository, private=True)
        api.upload_folder(
            repo_id=url.repo_id, folder_path=model, commit_message="A student of l2r_lite")
    except Exception as error:  # any error of the hub or the network
        reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        raise RunError(
            f"{repository}: the hub refused the upload ({reason}). The export is complete in "
            f"{model}; after fixing that: hf upload {repository} {model}") from error
    return str(url)


def _training_lines(run: Path) -> Iterator[tuple[Problem, dict[str, Any]]]:
    """Every lesson trained on, once, with its problem; no replayed lessons and no own answers."""
    problems = {p.id: p for p in read_problems(run, "train")}
    seen = set()
    for file in rounds(run, "training.jsonl").values():
        for line in read(file, problems.values()):
            key = line["problem_id"], line["anchor"], line["negative"]
            if line["source"] == "lesson" and key not in seen:
                seen.add(key)
                yield problems[line["problem_id"]], line


def _messages(question: str, rationale: str) -> dict[str, Any]:
    return {"messages": [_user(question), _answer(rationale)]}


def _preference(question: str, line: dict[str, Any]) -> dict[str, Any]:
    """TRL's conversational preference form."""
    return {
        "prompt": [_user(question)], "chosen": [_answer(line["anchor"])],
        "rejected": [_answer(line["negative"])]}


def _user(question: str) -> dict[str, str]:
    return {"role": "user", "content": question}


def _answer(rationale: str) -> dict[str, str]:
    return {"role": "assistant", "content": completion(rationale).strip()}


def _write(file: Path, lines: Iterable[dict[str, Any]]) -> None:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    file.write_text(text, encoding="utf-8")
