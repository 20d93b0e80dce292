"""The one config object: every knob of a run, with its help text. The CLI's flags and the widgets are made from it."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from l2r_lite.errors import UserError


class ConfigError(UserError):
    """A knob with a value it cannot have: which, why, and what it may be."""


def _knob(default: Any, help: str, *, low: float | None = None, high: float | None = None) -> Any:  # noqa: A002
    return field(default=default, metadata={"help": help, "low": low, "high": high})


@dataclass(frozen=True)
class LoopConfig:
    """All settings of one run. The defaults are the `pocket` preset; `PRESETS` has the others ("…paper": the paper's knobs).

    Change a copy: `config.with_(rounds=5, reflection_weight=0.0)`. Same config, same machine: same report.
    """

    student: str = _knob("pocket", "pocket, smol, a folder with safetensors, or a Hugging Face hub id")
    problems: str = _knob("pocket", "pocket, gsm8k, svamp, multiarith, multiarith-template, csqa, strategyqa or FILE.jsonl")
    data_dir: str | None = _knob(None, "folder with the benchmarks' original files (default: the Hugging Face hub)")
    teacher: str = _knob("scripted", "scripted (pocket world), recorded:FILE, openai:MODEL, none (self-training)")
    student_url: str | None = _knob(None, "address of a server for the student's exams: vLLM, transformers serve")
    base_url: str | None = _knob(None, "address of an OpenAI-compatible server, e.g. http://localhost:11434/v1")
    teacher_cache: str | None = _knob(None, "file of the teacher's replies, never asked for twice (default: one for all runs)")
    budget: float | None = _knob(None, "hard cap on what the teacher may cost, in US dollars, for each start of a run", low=0)
    price: str | None = _knob(None, "US dollars for a million tokens of the teacher, as INPUT,OUTPUT")
    annotator: bool = _knob(False, "the teacher gets random questions and sees no mistake: the contrast to tailored feedback")
    concurrency: int = _knob(8, "calls to the teacher at once", low=1, high=256)
    rounds: int = _knob(3, "rounds of exam, feedback and tailored training", low=0, high=100)
    samples: int = _knob(2, "samples a question in the exam", low=1, high=64)
    demonstrations: int = _knob(0, "worked examples before every question (few-shot), written by the teacher", low=0, high=32)
    temperature: float = _knob(0.7, "sampling temperature in the exam", low=0.01, high=2)
    limit: int = _knob(850, "training questions (0: all there are)", low=0)
    validation_limit: int = _knob(170, "validation questions (0: all): they choose the best student", low=0)
    test_limit: int = _knob(425, "test questions (0: all): for the report only", low=0)
    reflection_weight: float = _knob(0.0, "λ: weight of the self-reflection loss (0 switches it off)", low=0, high=10)
    margin: float = _knob(1.0, "ρ: how much closer than the mistake the right rationale must be, in cosine", low=0, high=2)
    replay: float = _knob(0.5, "replayed items a lesson: earlier lessons, own correct samples (0: the paper)", low=0, high=5)
    feedback_limit: int = _knob(0, "questions that go to the teacher in a round, drawn by the seed (0: all mistaken)", low=0)
    lessons: int = _knob(2, "rationales asked of the teacher for each mistake", low=1, high=16)
    mistakes_per_question: int = _knob(1, "mistakes on one question that are sent to the teacher", low=1, high=64)
    epochs: int = _knob(2, "passes over a round's lessons", low=1, high=100)
    steps: int = _knob(0, "training steps in a round, however many lessons there are (0: as `epochs` says)", low=0)
    learning_rate: float = _knob(3e-3, "peak learning rate of the LoRA weights", low=1e-7, high=1)
    batch_size: int = _knob(16, "items a training step", low=1, high=4096)
    micro_batch: int | None = _knob(None, "items in memory at once; same result, less memory, slower", low=1)
    max_new_tokens: int = _knob(56, "longest rationale the student may write, in tokens", low=8, high=4096)
    exam_rows: int = _knob(240, "rationales written at once in an exam", low=1, high=4096)
    patience: int = _knob(0, "stop after so many rounds without a better validation accuracy (0: never)", low=0)
    four_bit: bool = _knob(True, "4-bit NF4 weights; off only for comparison")
    lora_rank: int = _knob(16, "rank r of the LoRA adapter", low=1, high=1024)
    lora_alpha: int = _knob(32, "scale α of the LoRA adapter", low=1, high=4096)
    gradient_checkpointing: bool = _knob(False, "recompute activations: less memory, slower")
    seed: int = _knob(0, "decides everything that is drawn", low=0, high=2**31)

    def with_(self, **changes: Any) -> LoopConfig:
        """A copy with some knobs changed; checks the result."""
        unknown = sorted(set(changes) - {f.name for f in dataclasses.fields(self)})
        if unknown:
            raise ConfigError(f"no knob {', '.join(unknown)}; there are: {', '.join(f.name for f in dataclasses.fields(self))}")
        new = dataclasses.replace(self, **changes)
        new.check()
        return new

    def check(self) -> None:
        """Raises ConfigError for the first knob whose value is out of its range or does not go with another."""
        for knob in dataclasses.fields(self):
            value, low, high = getattr(self, knob.name), knob.metadata["low"], knob.metadata["high"]
            kind = str(knob.type)
            if value is None and "None" in kind:
                continue
            if kind.startswith(("str", "bool")):
                if not isinstance(value, bool if kind == "bool" else str):
                    wanted = "true or false" if kind == "bool" else "text"
                    raise ConfigError(f"{knob.name} = {value!r}: must be {wanted} ({knob.metadata['help']})")
                continue
            whole = kind.startswith("int")
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not math.isfinite(value):
                raise ConfigError(f"{knob.name} = {value!r}: must be a {'whole ' * whole}number ({knob.metadata['help']})")
            if (low is not None and value < low) or (high is not None and value > high):
                allowed = f"between {low} and {high}" if high is not None else f"at least {low}"
                raise ConfigError(f"{knob.name} = {value}: must be {allowed} ({knob.metadata['help']})")
        for name, key in (("base_url", "L2R_API_KEY"), ("student_url", "L2R_STUDENT_KEY")):
            try:
                address = urlsplit(getattr(self, name) or "")
            except ValueError as error:
                raise ConfigError(f"{name} = {getattr(self, name)!r}: is no address ({error})") from error
            if "@" in address.netloc:
                raise ConfigError(f"{name} holds a user name or password, and settings are written to files; put the key into "
                                  f"the environment variable {key} and leave it out of the address.")  # fmt: skip
        if self.teacher == "scripted" and self.problems != "pocket":
            raise ConfigError(
                f'teacher "scripted" can teach the pocket world only, and problems is "{self.problems}"; '
                "use recorded:FILE with real rationales, or openai:MODEL."
            )

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def read(cls, file: Path) -> LoopConfig:
        """The config of a run folder.

        Raises:
            ConfigError: the file is missing, damaged, or has a knob that this version does not know.
        """
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(data, dict):
                raise ValueError("not a JSON object")
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigError(f"{file}: cannot be read as a run's config ({error}); is this a run folder?") from error
        try:
            return cls().with_(**data)
        except ConfigError as error:
            raise ConfigError(f"{file}: {error}") from error


_POCKET = LoopConfig()
_PAPER: dict[str, Any] = {"samples": 4, "replay": 0.0, "reflection_weight": 0.5, "margin": 1.0}  # where our default differs
# λ = 0 was the best by validation in the pocket world (notebook 08). Presets for real students keep the paper's λ: what runs
# we have of them decide nothing.
_REAL = dataclasses.replace(_POCKET, reflection_weight=_PAPER["reflection_weight"])
_LARGE: dict[str, Any] = {
    "problems": "gsm8k", "teacher": "recorded:FILE", "limit": 2000, "validation_limit": 200, "test_limit": 0,
    "epochs": 2, "learning_rate": 2e-4, "batch_size": 16, "micro_batch": 4, "max_new_tokens": 256, "exam_rows": 64,
    "gradient_checkpointing": True,
}  # fmt: skip
PRESETS: dict[str, LoopConfig] = {
    "pocket": _POCKET,
    "pocket-paper": dataclasses.replace(_POCKET, **_PAPER),
    "smol": dataclasses.replace(
        _REAL, student="smol", problems="multiarith", teacher="recorded:FILE", samples=1, limit=0, test_limit=0,
        validation_limit=0, replay=1.0, epochs=1, learning_rate=2e-3, batch_size=8, max_new_tokens=80, exam_rows=192,
    ),
    "t4": dataclasses.replace(_REAL, student="Qwen/Qwen2.5-1.5B-Instruct", **_LARGE),
    # By the planner both fit 12 GB: 7B with two items at once, GPT-J (no shared keys and values) with 16 rows an exam.
    "consumer": dataclasses.replace(_REAL, student="Qwen/Qwen2.5-7B-Instruct", **{**_LARGE, "micro_batch": 2}),
    "paper": dataclasses.replace(_REAL, student="EleutherAI/gpt-j-6b", **{**_LARGE, **_PAPER, "exam_rows": 16}),
}  # fmt: skip
