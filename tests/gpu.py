"""All that is to be measured on a card, in one go: `python tests/gpu.py`, or some parts of it by name.

    python tests/gpu.py --list                       # the parts; each takes less than ten minutes on a card
    python tests/gpu.py pocket large-bf16            # some of them; the others in the file are kept
    python tests/gpu.py --small                      # the same code at the smallest sizes, on a CPU, too

Writes notebooks/evidence/gpu/CARD.json after every part. A part that fails is written down as failed, and the next one
begins. Sizes are in bytes, times in seconds.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import re
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import bench
from families import SUPPORTED, build
from l2r_lite.app.planner import CUDA_CONTEXT, MemoryPlan, plan_memory
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.data.pocket.world import make_problems
from l2r_lite.data.problems import load_problems, load_split
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.exam import take_exam
from l2r_lite.loop.losses import tailored_loss
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.records import Problem, TrainingItem
from l2r_lite.loop.runfolder import read_json
from l2r_lite.loop.student import Student
from l2r_lite.loop.training import train_round, train_step
from l2r_lite.loop.writing import PlainWriter
from l2r_lite.runs.report import environment
from l2r_lite.runs.run import run_rounds
from l2r_lite.students.loading import load_student
from l2r_lite.students.memory import Allowance, step_that_fits
from l2r_lite.students.packing import packed_loss
from l2r_lite.students.presets import PRESETS
from random_weights import build_random
from tiny_student import wake_up

ROOT = Path(__file__).parents[1]
EVIDENCE = ROOT / "notebooks" / "evidence" / "gpu"
SEVEN = "Qwen/Qwen2.5-7B-Instruct"
# For --small: a shape of the same family.
TINY = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "vocab_size": 2048}  # fmt: skip
WRONG = "I think so. The answer is 1."

Found = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Setting:
    """How large the measurements are, and where they may write."""

    small: bool
    work: Path  # run folders of this call: an earlier call's run would be resumed
    models: Path  # kept from call to call
    data_dir: Path | None  # the benchmarks' original files, for SmolLM2

    def of(self, full: Any, small: Any) -> Any:
        return small if self.small else full


def sync() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@contextmanager
def measured(found: Found, name: str) -> Iterator[None]:
    """Seconds and, on a card, the peak of its memory: allocated by tensors, and reserved by torch."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    sync()
    began = time.perf_counter()
    yield
    sync()
    found[f"{name}_seconds"] = round(time.perf_counter() - began, 3)
    if torch.cuda.is_available():
        found[f"{name}_peak_allocated"] = torch.cuda.max_memory_allocated()
        found[f"{name}_peak_reserved"] = torch.cuda.max_memory_reserved()


def plan_of(config: LoopConfig) -> Found:
    """The plan for a run's longest question and longest rationale."""
    student = load_student(config.student, prompt=config.prompt)
    longest = max(len(student.encode(student.prompt(p))[0]) for p in load_split(config, "train"))
    return planned(plan_memory(config, prompt_tokens=longest, dtype=student.dtype))


def planned(plan: MemoryPlan) -> Found:
    return {"planned_training": plan.training, "planned_exam": plan.exam, "planned_parts": plan.parts}


def tokens_in(student: Student, texts: list[str]) -> int:
    return sum(len(student.encode("", text)[1]) for text in texts)


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return torch.nn.functional.cosine_similarity(one.double(), other.double(), 0).item()


def gradient_of(student: Student, items: list[TrainingItem], config: LoopConfig, objective: Any = packed_loss) -> torch.Tensor:
    student.model.zero_grad(set_to_none=True)
    student.model.train()
    train_step(student, items, config, objective)
    return torch.cat([w.grad.flatten() for w in student.trainable.values() if w.grad is not None])


def longer(problems: list[Problem]) -> list[Problem]:
    """Questions as long as GSM8K's: about 100 tokens."""
    return [dataclasses.replace(p, question=" ".join([p.question] * 4)) for p in problems]


def items_of(count: int, times: int = 1) -> list[TrainingItem]:
    """Items of the pocket world with triplets; `times` makes their rationales longer."""
    problems = make_problems("train", count, seed=1)
    problems = longer(problems) if times > 1 else problems
    return [TrainingItem(p, *(" ".join([write_rationale(p, n)] * times) for n in (0, 1)), WRONG) for p in problems]


# --- the parts ---


def gradients(setting: Setting) -> Found:
    """After an exam the gradients must be those before it (on a CPU bitsandbytes' repacking breaks them), and fp32's."""
    found: Found = {}
    items, config = items_of(setting.of(16, 4)), LoopConfig(reflection_weight=0.5)
    for four_bit in (True, False):
        student = load_student("pocket", four_bit=four_bit)
        wake_up(student, torch.Generator().manual_seed(1))
        before = gradient_of(student, items, config)
        take_exam(student, [i.problem for i in items], samples=2, temperature=0.7, max_new_tokens=12, progress=False)
        after = gradient_of(student, items, config)
        plain = gradient_of(student, items, config, tailored_loss)
        name = "four_bit" if four_bit else "whole"
        found[f"{name}_cosine_after_an_exam"] = cosine(before, after)
        found[f"{name}_cosine_to_three_passes"] = cosine(after, plain)
        found["dtype"] = str(student.dtype)
    return found


def families(setting: Setting) -> Found:
    """Losses, gradients and texts of the fast way and the plain way, for every model family of the tests, in fp32."""
    found: Found = {}
    items, config = items_of(4), LoopConfig(reflection_weight=0.5, micro_batch=3)
    names = setting.of(list(SUPPORTED), ["llama", "gpt2"])
    for name in names:
        try:
            folder = build(SUPPORTED[name], setting.models / "families" / name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                student = load_student(str(folder), four_bit=False, dtype=torch.float32)
            wake_up(student, torch.Generator().manual_seed(1))
            logs = [train_step(student, items, config, objective) for objective in (tailored_loss, packed_loss)]
            apart, packed = (gradient_of(student, items, config, o) for o in (tailored_loss, packed_loss))
            prompts = [student_prompt(i.problem) for i in items]
            same = student.generate(prompts, max_new_tokens=12) == PlainWriter(student).generate(prompts, max_new_tokens=12)
            found[name] = {
                "losses_differ_by": max(abs(logs[0][k] - logs[1][k]) for k in logs[0]),
                "gradient_cosine": cosine(apart, packed), "same_greedy_texts": same,
                "fast_up_to": min(student.fast_up_to, 10**9)}
        except Exception as error:  # noqa: BLE001 - a family that fails is a finding
            found[name] = {"failed": f"{type(error).__name__}: {str(error)[:200]}"}
    return found


def pocket(setting: Setting) -> Found:
    """The default loop. Accuracies differ from a CPU's only by rounding."""
    config = LoopConfig() if not setting.small else LoopConfig(
        limit=20, validation_limit=17, test_limit=17, rounds=1, epochs=1, samples=1)  # fmt: skip
    found: Found = {}
    out = setting.work / "pocket"
    with measured(found, "run"):
        report = run_rounds(config, out, progress=False)
    return {**found, **_of_rounds(report, out), **plan_of(config)}


def _of_rounds(report: Found, out: Path) -> Found:
    stages = {n: read_json(out / f"round-{n}" / "stages.json") for n in range(len(report["rounds"]))}
    keys = ("round", "accuracy", "ci95", "mistakes", "lessons")
    return {"rounds": [{k: r[k] for k in keys if k in r} for r in report["rounds"]], "stage_seconds": stages}


def smol(setting: Setting) -> Found:
    """SmolLM2 on MultiArith: a whole loop; its writer against generate, its training against TRL's SFTTrainer."""
    found: Found = {}
    recorded = setting.data_dir and setting.data_dir / "recorded" / "faithful-cot" / "MultiArith" / "gpt4.jsonl"
    name = "pocket" if setting.small else "smol"
    if not setting.small:
        if not recorded or not recorded.is_file():
            raise StudentError("--data-dir DIR with recorded/faithful-cot/MultiArith/gpt4.jsonl is needed")
        config = PRESETS["smol"].with_(data_dir=str(setting.data_dir), teacher=f"recorded:{recorded}", rounds=2, test_limit=120)
        out = setting.work / "smol"
        with measured(found, "run"):
            report = run_rounds(config, out, progress=False)
        found |= _of_rounds(report, out) | plan_of(config)
    bench.REPEATS = setting.of(3, 1)
    student, (problems, _) = load_student(name), bench.data(name)
    some = problems[: setting.of(240, 6)]
    with measured(found, "exam"):
        exam = take_exam(student, some, samples=2, temperature=0.7, max_new_tokens=setting.of(80, 12), progress=False)
    written = tokens_in(student, [s.rationale for s in exam.samples])
    found["exam_tokens_per_second"] = written / found["exam_seconds"]
    found["against_generate"] = bench.bench_generate(name, 0, *setting.of((120, 80), (6, 12)))
    try:
        found["against_trl"] = bench.bench_trl(name, *setting.of((8, 10), (4, 1)))
    except ImportError as error:
        found["against_trl"] = {"left_out": str(error)}
    return found


def large(setting: Setting, dtype: torch.dtype) -> Found:
    """Random weights of a 7B model's shape in 4 bits: one exam of 200 questions and 20 training steps, as in `consumer`."""
    folder = build_random(SEVEN, setting.models / "seven", **setting.of({}, TINY))
    config = PRESETS["consumer"].with_(student=str(folder), samples=1, **setting.of({}, {"max_new_tokens": 12, "exam_rows": 8}))
    found: Found = {"dtype": str(dtype)}
    with measured(found, "loading"):
        student = load_student(str(folder), dtype=dtype, gradient_checkpointing=True)
    questions = longer(make_problems("train", setting.of(200, 6), seed=0))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with measured(found, "exam"):
            exam = take_exam(student, questions, samples=1, temperature=0.7, rows=config.exam_rows,
                             max_new_tokens=config.max_new_tokens, progress=False)  # fmt: skip
        items = items_of(setting.of(320, 4), setting.of(6, 1))
        steps = setting.of(20, 1)
        config = config.with_(steps=steps, batch_size=setting.of(16, 4))
        allowance = Allowance("items at once", "--micro-batch")
        with measured(found, "training"):
            log = train_round(
                student, items, config, seed=0, objective=packed_loss, progress=False,
                step=lambda batch, c, scaler: step_that_fits(student, batch, c, packed_loss, scaler, allowance))  # fmt: skip
    prompts = max(len(student.encode(student.prompt(p))[0]) for p in [*questions, *(i.problem for i in items)])
    longest = max(tokens_in(student, [i.anchor]) for i in items)
    plans = plan_memory(config, prompt_tokens=prompts, rationale_tokens=max(longest, config.max_new_tokens), dtype=dtype)
    peak = max((v for k, v in found.items() if k.endswith("_peak_reserved")), default=None)
    consumer = PRESETS["consumer"]
    asked = found["exam_seconds"] / len(questions) * consumer.limit * consumer.samples
    trained = consumer.limit * consumer.lessons * consumer.epochs / 16 * found["training_seconds"] / steps
    return {
        **found, **planned(plans), "questions": len(questions), "steps": len(log), "prompt_tokens": prompts,
        "rationale_tokens": longest, "exam_tokens_per_second": tokens_in(student, [s.rationale for s in exam.samples])
        / found["exam_seconds"], "losses_finite": all(torch.isfinite(torch.tensor(s["lm"])) for s in log),
        "skipped_steps": sum("skipped" in s for s in log), "warnings": [str(w.message)[:300] for w in told],
        **{f"under_{size}_gb": peak and peak + CUDA_CONTEXT < size * 1e9 for size in (12, 16)},
        "consumer_round_exam_seconds_estimated": round(asked),
        "consumer_round_training_seconds_if_every_question_is_missed": round(trained),
    }  # fmt: skip


def short_of_memory(setting: Setting) -> Found:
    """A card that may use a part of its memory only: an exam and steps that do not fit go on with half as much at once."""
    from card import Card

    problems = load_problems("pocket", "train", setting.of(400, 12))
    prompts, options = [student_prompt(p) for p in problems], {"samples": 2, "temperature": 0.7, "max_new_tokens": 40}
    student = load_student("pocket")
    rows = 2 * len(prompts)
    want = student.generate(prompts, rows=rows, **options)
    on_card, probe = torch.cuda.is_available(), Found()
    if on_card:
        with measured(probe, "exam"):
            student.generate(prompts, rows=rows, **options)
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(0.6 * probe["exam_peak_reserved"] / total)
        limit: Any = warnings.catch_warnings()  # nothing to enter: the fraction is the limit
    else:
        with Card(10**12) as card:
            student.generate(prompts, rows=rows, **options)
        limit = Card(int(0.6 * card.peak))
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            with limit:
                got = student.generate(prompts, rows=rows, **options)
    finally:
        if on_card:
            torch.cuda.set_per_process_memory_fraction(1.0)
    same = sum(a == b for one, other in zip(got, want, strict=True) for a, b in zip(one, other, strict=True))
    return {
        "rows_asked_for": rows, "rows_that_fit": student.writer.allowance.most, "same_texts": same / rows,
        "warnings": [str(w.message) for w in told if "memory" in str(w.message)]}


PARTS: dict[str, Callable[[Setting], Found]] = {
    "gradients": gradients,
    "families": families,
    "pocket": pocket,
    "short-of-memory": short_of_memory,
    "smol": smol,
    "large-bf16": lambda setting: large(setting, torch.bfloat16),
    "large-fp16": lambda setting: large(setting, torch.float16),
}


def card_name() -> str:
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="default: all")
    parser.add_argument("--list", action="store_true", help="name the parts and end")
    parser.add_argument("--small", action="store_true", help="the smallest sizes, to see that all of it runs")
    parser.add_argument("--data-dir", type=Path, help="folder with MultiArith and its recorded rationales, for smol")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "gpu", help="folder for models and runs (15 GB)")
    parser.add_argument("--out", type=Path, default=EVIDENCE, help="folder for the JSON file")
    asked = parser.parse_args(argv)
    if asked.list:
        print("\n".join(PARTS))
        return 0
    unknown = [name for name in asked.parts if name not in PARTS]
    if unknown:
        print(f"no part {', '.join(unknown)}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    if not asked.small and not torch.cuda.is_available():
        print("no CUDA card here; --small runs the same code at the smallest sizes", file=sys.stderr)
        return 2
    slug = re.sub(r"[^\w.]+", "-", card_name()).strip("-").lower() + ("-small" if asked.small else "")
    file = asked.out / f"{slug}.json"
    asked.out.mkdir(parents=True, exist_ok=True)
    found: Found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    found |= {"when": now, "commit": commit.stdout.strip(), "card": card_name(), "small": asked.small}
    found["environment"] = environment()
    failed = 0
    for name in asked.parts or PARTS:
        models = asked.work / ("small" if asked.small else "models")
        setting = Setting(asked.small, asked.work / now.replace(":", ""), models, asked.data_dir)
        began = time.perf_counter()
        try:
            found[name] = PARTS[name](setting)
        except Exception as error:  # noqa: BLE001 - the next part may still work
            failed += 1
            found[name] = {"failed": f"{type(error).__name__}: {str(error)[:400]}"}
            traceback.print_exc()
        found[name]["part_seconds"] = round(time.perf_counter() - began, 1)
        print(f"{name:18}{'failed' if 'failed' in found[name] else 'done'}", flush=True)
        file.write_text(json.dumps(found, indent=1, default=str) + "\n", encoding="utf-8")
        gc.collect()
    print(file)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
