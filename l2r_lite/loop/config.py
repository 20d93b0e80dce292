"""Every setting of a run, with the help text that the CLI and the panel show."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from typing import Any

from l2r_lite.loop.errors import ConfigError, printable

PROMPTS = ("auto", "plain", "chat")  # how a student is asked


def _knob(default: Any, about: str, low: float | None = None, high: float | None = None) -> Any:
    return field(default=default, metadata={"help": about, "low": low, "high": high})


@dataclass(frozen=True)
class LoopConfig:
    """All settings of a run; defaults: preset `pocket`. One config gives one report per machine."""

    # Student and problems.
    student: str = _knob("pocket", "pocket, smol, a folder with safetensors, or a hub id")
    problems: str = _knob("pocket", "pocket, gsm8k, svamp, multiarith, multiarith-template, csqa, "
                          "strategyqa or FILE.jsonl")
    data_dir: str | None = _knob(None, "folder with the benchmarks' original files (default: hub)")
    skip_bad: bool = _knob(False, "leave out bad lines of FILE.jsonl and list them")
    limit: int = _knob(850, "training questions (0: all)", 0)
    validation_limit: int = _knob(170, "validation questions (0: all); they select the student", 0)
    test_limit: int = _knob(425, "test questions (0: all); used for the report only", 0)
    rounds: int = _knob(3, "rounds of exam, feedback and tailored training", 0, 100)
    patience: int = _knob(0, "stop after N rounds without better validation (0: never)", 0)
    # Teacher and cost.
    teacher: str = _knob("scripted", "scripted (pocket world), recorded:FILE, openai:MODEL, none")
    base_url: str | None = _knob(None, "OpenAI-compatible server, e.g. http://localhost:11434/v1")
    teacher_cache: str | None = _knob(None, "file of cached teacher replies (default: shared)")
    budget: float | None = _knob(None, "hard cap on the teacher's cost per start, in US dollars", 0)
    price: str | None = _knob(None, "US dollars per million teacher tokens, as INPUT,OUTPUT")
    annotator: bool = _knob(False, "send the teacher random questions without mistakes")
    concurrency: int = _knob(8, "teacher calls in parallel", 1, 256)
    feedback_limit: int = _knob(0, "questions per round sent to the teacher (0: no limit)", 0)
    check_steps: bool = _knob(False, "reject lessons whose steps do not lead to their answer")
    lessons: int = _knob(2, "rationales requested per mistake", 1, 16)
    mistakes_per_question: int = _knob(1, "mistakes per question sent to the teacher", 1, 64)
    # Exam.
    samples: int = _knob(2, "samples per question in the exam", 1, 64)
    temperature: float = _knob(0.7, "sampling temperature in the exam", 0.01, 2)
    prompt: str = _knob("auto", "how students are asked: plain, chat (their chat template), auto")
    thoughts: bool = _knob(False, "keep <think> blocks in what a student writes in chats")
    demonstrations: int = _knob(0, "worked examples before every question (few-shot)", 0, 32)
    max_new_tokens: int = _knob(56, "longest rationale the student may write, in tokens", 8, 4096)
    exam_rows: int = _knob(240, "rationales written at once in an exam", 1, 4096)
    student_url: str | None = _knob(None, "server that runs the exams, e.g. vLLM")
    # Training.
    reflection_weight: float = _knob(0.0, "λ: weight of the self-reflection loss (0: off)", 0, 10)
    margin: float = _knob(1.0, "ρ: how much closer a right rationale must be than a mistake", 0, 2)
    replay: float = _knob(1.0, "share of earlier lessons to train on again, and own right answers "
                          "per lesson (0: only this round's lessons, as in the paper)", 0, 1)
    epochs: int = _knob(2, "passes over a round's lessons", 1, 100)
    steps: int = _knob(0, "training steps per round (0: `epochs` decides)", 0)
    learning_rate: float = _knob(3e-3, "peak learning rate of the LoRA weights", 1e-7, 1)
    rate_decay: float = _knob(0.5, "factor on the learning rate from round to round", 0.01, 1)
    batch_size: int = _knob(16, "items per training step", 1, 4096)
    micro_batch: int | None = _knob(None, "items in memory at once: less memory, slower", 1)
    # Student model and seed.
    four_bit: bool = _knob(True, "4-bit NF4 weights; off only for comparison")
    lora_rank: int = _knob(16, "rank r of the LoRA adapter", 1, 1024)
    lora_alpha: int = _knob(32, "scale α of the LoRA adapter", 1, 4096)
    gradient_checkpointing: bool = _knob(False, "recompute activations: less memory, slower")
    seed: int = _knob(0, "seed of all random numbers", 0, 2**31)

    def with_(self, **changes: Any) -> LoopConfig:
        """A checked copy with some settings changed: `config.with_(rounds=5)`."""
        names = [f.name for f in dataclasses.fields(self)]
        unknown = sorted(set(changes) - set(names))
        if unknown:
            raise ConfigError(f"no setting {', '.join(unknown)}; there are: {', '.join(names)}")
        changed = dataclasses.replace(self, **changes)
        changed.check()
        return changed

    def check(self) -> None:
        """Raises ConfigError for the first setting that is out of range or does not fit another."""
        for knob in dataclasses.fields(self):
            _check_value(knob, getattr(self, knob.name))
        if self.prompt not in PROMPTS:
            raise ConfigError(f"prompt = {self.prompt!r}: must be one of {', '.join(PROMPTS)}")
        check_address("base_url", self.base_url, "L2R_API_KEY")
        check_address("student_url", self.student_url, "L2R_STUDENT_KEY")
        if self.teacher == "scripted" and self.problems != "pocket":
            raise ConfigError(
                'teacher "scripted" can teach the pocket world only, but problems is '
                f'"{self.problems}"; use recorded:FILE with real rationales, or openai:MODEL.')

    to_json = dataclasses.asdict


_TYPES: dict[str, tuple[Any, str]] = {
    "str": (str, "short text without control characters"), "bool": (bool, "true or false"),
    "int": (int, "a whole number"), "float": ((int, float), "a number")}
_TOO_LONG = re.compile(r"[^/]{251}|\n")  # what comes between two / may be the name of a file
_ADDRESS = re.compile(r"(?ai)https?://(\[[\da-f:.]+\]|\w[\w.-]*)(:(\d{1,5}))?(/[\w.~:+,/-]*)?")


def _check_value(knob: dataclasses.Field[Any], value: Any) -> None:
    kind, (about, low, high) = str(knob.type), (knob.metadata[x] for x in ("help", "low", "high"))
    if value is None and "None" in kind:
        return
    wanted, name = _TYPES[kind.split()[0]]
    fits = isinstance(value, wanted) and isinstance(value, bool) == (kind == "bool")
    odd = isinstance(value, str) and (value != printable(value) or _TOO_LONG.search(value))
    if not fits or odd or (isinstance(value, float) and not math.isfinite(value)):
        raise ConfigError(f"{knob.name} = {value!r:.80}: must be {name} ({about})")
    if (low is not None and value < low) or (high is not None and value > high):
        allowed = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ConfigError(f"{knob.name} = {value}: must be {allowed} ({about})")


def check_address(name: str, address: str | None, key: str) -> None:
    """Raises ConfigError, without the address, if it cannot be right or may hold a key."""
    found = _ADDRESS.fullmatch(address or "")
    if address is not None and not (found and 0 < int(found[3] or 80) < 65536):
        what = "holds a user name or password" if "@" in address else "is not a plain address"
        raise ConfigError(
            f"{name} {what}: give scheme, host, port and path only (http://localhost:8000/v1). "
            f"Put a key into the environment variable {key}: settings are written to files.")
