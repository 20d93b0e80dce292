"""The model card of an exported student: its origin, its results, and the terms that apply."""

import json
import os
from pathlib import Path
from typing import Any

from l2r_lite import __version__
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.records import Problem
from l2r_lite.runs.show import code
from l2r_lite.students.sources import SHORT_NAMES
from l2r_lite.students.templates import chat_question

# As stated in the data sets' repositories. They may change it, so the card says to look it up.
NO_LICENCE = "none stated with its files"
DATA_LICENCES = {
    "pocket": "made by l2r_lite's own generator (Apache-2.0)", "gsm8k": "MIT", "svamp": "MIT",
    "strategyqa": "MIT", "csqa": NO_LICENCE, "multiarith": NO_LICENCE,
    "multiarith-template": NO_LICENCE}
APACHE = (
    "HuggingFaceTB/SmolLM2-135M-Instruct", "Qwen/Qwen2.5-1.5B-Instruct",
    "Qwen/Qwen2.5-7B-Instruct", "EleutherAI/gpt-j-6b")


_EXAMPLE = Problem(
    "card", "Tom has 3 pens. Tom gets 4 more. How many pens does Tom have now?", "7", "number")


def base_model(config: LoopConfig) -> tuple[str, bool]:
    """The base model's name, and whether it is a hub id; of a local path only the last part."""
    full = SHORT_NAMES.get(config.student, config.student)
    on_hub = config.student != "pocket" and not os.path.isdir(os.path.expanduser(full))
    return full if on_hub else Path(config.student).name, on_hub


def model_card(config: LoopConfig, report: dict[str, Any], *, adapter: bool = False) -> str:
    """A README.md for the hub.

    Args:
        report: the run's report.json.
        adapter: the folder has the LoRA adapter only.
    """
    base, on_hub = base_model(config)
    repeated = ", as these options say" if adapter else "; its generation config does the same"
    own = config.student == config.problems == "pocket" and config.teacher == "scripted"
    apache = own or base in APACHE
    licence = "Apache-2.0" if apache else "look it up at the model's source"
    data_licence = DATA_LICENCES.get(config.problems, "whatever applies to your own file")
    head = {
        "library_name": "peft" if adapter else "transformers", "pipeline_tag": "text-generation",
        "license": "apache-2.0" if own else "other", **({"base_model": base} if on_hub else {}),
        "tags": ["tailored-learning", "l2r-lite", "reasoning"]}
    front = "\n".join(f"{name}: {json.dumps(value)}" for name, value in head.items())
    rows = "\n".join(_row(entry, report["best_round"]) for entry in report["rounds"])
    return f"""---
{front}
---
# A student of l2r_lite

{code(base)}, after {report["best_round"]} of {len(report["rounds"]) - 1} rounds of tailored
learning ([arXiv 2310.13332](https://arxiv.org/abs/2310.13332)) with l2r_lite {__version__}: in each
round it took an exam, its mistakes were turned into lessons, and it trained on those. With λ > 0 it
also trained on the contrast to its own mistakes.

```python
{_loading(config, base, adapter)}
tokenizer = AutoTokenizer.from_pretrained("FOLDER OR HUB NAME")
{_asking(config)}
print(tokenizer.decode(model.generate(**tokens{_as_evaluated(config) if adapter else ""})[0]))
```

{_asked(config)} Its reply ends with "The answer is …". In its evaluations it wrote greedily and at
most {config.max_new_tokens} tokens{repeated}.{_demonstrations(config)}

## Training

{_training(config, report, adapter)}

## Results

| round | mistakes | lessons | test accuracy | 95 % interval over questions |
|---|---|---|---|---|
{rows}

One run with one seed: the interval is over questions, not over runs. This student was chosen on
validation questions, which are not test questions. Nothing was measured on other kinds of question,
and a student may have forgotten what its lessons did not cover.

## Licences

These weights come from three sources, and the terms of each apply. Look them up before you share
the weights.

- the base model {code(base)}: {licence};
- the data {code(Path(config.problems).name)}: {data_licence};
- the lessons: {_teacher_terms(config)}.
"""


def _loading(config: LoopConfig, base: str, adapter: bool) -> str:
    """Lines of Python that load the model; with an adapter, its base as the run loaded it."""
    if not adapter:
        return (
            "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
            'model = AutoModelForCausalLM.from_pretrained("FOLDER OR HUB NAME")')
    lines = [
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig", ""]
    how = ""
    if config.four_bit:
        how = ", quantization_config=nf4"
        lines += [
            'nf4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4",',
            "                         bnb_4bit_use_double_quant=True)"]
    return "\n".join([
        *lines, f"base = AutoModelForCausalLM.from_pretrained({json.dumps(base)}{how})",
        'model = PeftModel.from_pretrained(base, "FOLDER OR HUB NAME")'])


def _as_evaluated(config: LoopConfig) -> str:
    return f", max_new_tokens={config.max_new_tokens}, do_sample=False, repetition_penalty=1.0"


def _asking(config: LoopConfig) -> str:
    """Lines of Python that turn a question into `tokens`."""
    if config.prompt != "chat":
        question = json.dumps(student_prompt(_EXAMPLE))
        return f'question = {question}\ntokens = tokenizer(question, return_tensors="pt")'
    return (
        f"question = {json.dumps(chat_question(_EXAMPLE))}\n"
        'chat = [{"role": "user", "content": question}]\n'
        'form = {"add_generation_prompt": True, "return_tensors": "pt", "return_dict": True}\n'
        "tokens = tokenizer.apply_chat_template(chat, **form)")


def _asked(config: LoopConfig) -> str:
    if config.prompt == "chat":
        return (
            "It was asked and trained in chats of its tokeniser's template, with these words about "
            "how to answer.")
    return (
        "Its prompt is `Question: …` with `Answer:` on the next line; the tokeniser's chat "
        "template puts a user's message into that form.")


def _demonstrations(config: LoopConfig) -> str:
    if not config.demonstrations:
        return ""
    return (
        f" It was trained and examined with {config.demonstrations} worked examples before every "
        "question (demonstrations.jsonl in its run's folder); without them it answers differently.")


def _training(config: LoopConfig, report: dict[str, Any], adapter: bool) -> str:
    here, rounds = report["environment"], report["rounds"]
    lessons = sum(r["lessons"] for r in rounds[1:] if r["round"] <= report["best_round"])
    packages = [name for name in ("torch", "transformers", "peft", "bitsandbytes") if name in here]
    versions = ", ".join(code(f"{name} {here[name]}") for name in packages)
    questions = f"{rounds[-1].get('train_questions', 0)} training questions"
    four_bit = "4-bit NF4, " if config.four_bit else ""
    rate = f"learning rate {config.learning_rate:g}"
    how = "" if adapter else ", merged into the weights"
    return f"""| | |
|---|---|
| data | {code(Path(config.problems).name)}: {questions} |
| teacher | {_teacher(config)} |
| lessons | {lessons}, each verified against the known answer |
| method | {four_bit}LoRA of rank {config.lora_rank}{how} |
| settings | λ = {config.reflection_weight:g}, {rate}, seed {config.seed} |
| made with | {versions}, on {code(here.get("device", "an unknown device"))} |"""


def _row(entry: dict[str, Any], best: int) -> str:
    low, high = entry["ci95"]
    mark = " (this student)" if entry["round"] == best else ""
    return (
        f"| {entry['round']}{mark} | {entry.get('mistakes', '–')} | {entry.get('lessons', '–')} "
        f"| {entry['accuracy']:.1%} | {low:.1%} – {high:.1%} |")


def _teacher(config: LoopConfig) -> str:
    kind, _, model = config.teacher.partition(":")
    if kind == "openai":
        how = "shown questions only" if config.annotator else "asked about each mistake"
        return f"{code(model)}, {how}"
    words = {"scripted": "a script that knows each solution", "none": "nobody (self-training)"}
    return words.get(kind, "rationales recorded earlier")


def _teacher_terms(config: LoopConfig) -> str:
    kind, _, model = config.teacher.partition(":")
    if kind == "openai":
        return (
            f"the terms of use of the service that serves {code(model)}; some forbid training "
            "other models on its words")
    if kind == "recorded":
        return "the terms of the model that wrote them and of its publisher"
    return "none"
