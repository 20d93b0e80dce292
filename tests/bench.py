"""`make bench`: time of a run's one-pass step and of its exam against the plain ones, on this machine, in one run.

    make bench                       # all, about 50 minutes on 2 cores; SmolLM2 where it can be loaded
    make bench ARGS="step-pocket exam-pocket"     # some; ARGS=--list names them

Both sides of a comparison take turns, so a busy machine slows both; the result is the median of the ratios. Prints
ratios, writes build/bench.json with every measurement, and build/bench.png: cost against work.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from l2r_lite.app.ledger import Ledger
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.data.problems import load_problems
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.exam import grade, take_exam
from l2r_lite.loop.losses import PROMPT_WEIGHT, tailored_loss
from l2r_lite.loop.prompts import answer_line, completion, cut_after_answer, student_prompt
from l2r_lite.loop.protocols import Objective, Teacher
from l2r_lite.loop.records import Mistake, Problem, Sample, TrainingItem
from l2r_lite.loop.student import Student
from l2r_lite.loop.training import train_round, train_step
from l2r_lite.loop.writing import PlainWriter
from l2r_lite.runs.report import environment
from l2r_lite.runs.run import USUAL
from l2r_lite.students.loading import load_student
from l2r_lite.students.packing import packed_loss
from l2r_lite.teachers.demonstrations import make_demonstrations
from l2r_lite.teachers.recorded import RecordedTeacher
from l2r_lite.teachers.scripted import ScriptedTeacher

OUT = Path(__file__).parents[1] / "build"
SHARED = Path(__file__).parents[2] / "shared" / "data"
REPEATS = 5
SAMPLED = {"samples": 2, "temperature": 0.7}


def data(student: str) -> tuple[list[Problem], Teacher]:
    """What the student is measured on: its preset's problems, where they are at hand, else the pocket world."""
    recorded = SHARED / "recorded" / "faithful-cot" / "MultiArith" / "gpt4.jsonl"
    if student != "pocket" and recorded.is_file():
        return load_problems("multiarith", "train", None, 0, str(SHARED)), RecordedTeacher(recorded)
    return load_problems("pocket", "train", 850, 0, None), ScriptedTeacher()


def rationales(problem: Problem, teacher: Teacher) -> list[str]:
    if isinstance(teacher, RecordedTeacher):
        (reply,) = teacher.teach([Mistake(problem, "", None)], 2)
        return list(reply.rationales) or ["I cannot say."]
    return [write_rationale(problem, 0), write_rationale(problem, 1)]


def make_batch(problems: Sequence[Problem], teacher: Teacher, size: int, seed: int) -> list[TrainingItem]:
    """Items with triplets, no two of one question: the anchor is a right rationale, the negative one with a wrong end."""
    items = []
    for problem in random.Random(seed).sample(list(problems), size):
        first, *others = rationales(problem, teacher)
        wrong = f"{first.rsplit('The answer is', 1)[0]}So it is more. {answer_line('0', problem.kind)}"
        items.append(TrainingItem(problem, first, others[0] if others else f"Again: {first}", wrong))
    return items


def take_turns(sides: dict[str, Callable[[int], Any]], repeats: int | None = None) -> dict[str, list[float]]:
    """Seconds of each side, a round of turns after another; the first, which warms up, does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in tqdm(range((repeats or REPEATS) + 1), leave=False, unit="turn"):
        for name, work in sides.items():
            started = time.perf_counter()
            work(turn)
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(seconds: dict[str, list[float]], slow: str, fast: str) -> float:
    return median(a / b for a, b in zip(seconds[slow], seconds[fast], strict=True))


def in_parts(at_once: int | None) -> Objective:
    """The plain losses, so many items in memory at once; each part counts by its label weight and its triplets."""

    def objective(student: Student, items: Sequence[TrainingItem], config: LoopConfig) -> Iterator[dict[str, Tensor]]:
        size = at_once or len(items)
        parts = [items[i : i + size] for i in range(0, len(items), size)]
        labels = [sum(label_weight(student, item) for item in part) for part in parts]
        triplets = [sum(item.has_triplet for item in part) for part in parts]
        for part, weight, count in zip(parts, labels, triplets, strict=True):
            (found,) = tailored_loss(student, part, config)
            lm, cl = found["lm"] * weight / sum(labels), found["cl"] * count / max(sum(triplets), 1)
            yield {"loss": lm + config.reflection_weight * cl, "lm": lm, "cl": cl}

    return objective


def label_weight(student: Student, item: TrainingItem) -> float:
    prompt, rationale = student.encode(student.prompt(item.problem), completion(item.anchor))
    return PROMPT_WEIGHT * (len(prompt) - 1) + len(rationale)


def bench_step(name: str, shots: int, size: int, at_once: int | None = None) -> dict[str, Any]:
    """A run's training step against the plain one: time, loss, gradients, and the bytes of all tensors alive at the peak.

    Args:
        at_once: items that the plain step can hold in memory; the memory of both is measured on so many.
    """
    student, (problems, teacher), config = load_student(name), data(name), LoopConfig(reflection_weight=0.5)
    student.show(worked_examples(problems, teacher, shots))
    for weight in student.trainable.values():  # B starts at 0 and would hide A's gradients
        torch.nn.init.normal_(weight, std=0.02)
    student.model.train()
    batches = [make_batch(problems, teacher, size, seed) for seed in range(REPEATS + 1)]

    def step(turn: int, objective: Objective) -> float:
        student.model.zero_grad(set_to_none=True)
        logged = train_step(student, batches[turn], config, objective)
        return logged["lm"] + config.reflection_weight * logged["cl"]

    sides: dict[str, Callable[[int], float]] = {
        "ours": lambda turn: step(turn, packed_loss), "plain": lambda turn: step(turn, in_parts(at_once))}
    got = sides["ours"](0)
    gradients = {n: w.grad.clone() for n, w in student.trainable.items() if w.grad is not None}
    loss = sides["plain"](0)
    alike = [torch.cosine_similarity(g.flatten(), student.trainable[n].grad.flatten(), 0) for n, g in gradients.items()]
    seconds, peaks = take_turns(sides), {}
    batches[0] = batches[0][:at_once]
    for side, work in sides.items():
        student.model.zero_grad(set_to_none=True)
        with Ledger(list(student.model.parameters()) + list(student.model.buffers())) as ledger:
            work(0)
        peaks[side] = ledger.peak
    return {
        "faster": ratio(seconds, "plain", "ours"), "memory": peaks["ours"] / peaks["plain"], "peak_bytes": peaks,
        "items_in_memory": at_once or size, "loss_difference": abs(got - loss),
        "worst_gradient_cosine": min(alike).item(), "seconds": seconds, "prefix_tokens": len(student.prefix),
    }  # fmt: skip


def worked_examples(problems: Sequence[Problem], teacher: Teacher, shots: int) -> list[tuple[Problem, str]]:
    chosen = {x.problem_id: x.rationale for x in make_demonstrations(teacher, problems, shots)} if shots else {}
    return [(p, chosen[p.id]) for p in problems if p.id in chosen]


@torch.inference_mode()
def generate_exam(
    student: Student, problems: Sequence[Problem], *, samples: int, batch: int, temperature: float, max_new_tokens: int,
    by_length: bool = False,
) -> list[Sample]:  # fmt: skip
    """transformers' generate and its own sampling, so many questions at once, in the order of the file or of their lengths."""
    student.model.eval()
    tokenizer, prompts = student.tokenizer, {p.id: student_prompt(p) for p in problems}
    order = sorted(problems, key=lambda p: len(prompts[p.id])) if by_length else list(problems)
    found = {}
    for start in range(0, len(order), batch):
        some = order[start : start + batch]
        rows = [[*student.prefix, *student.encode(prompts[p.id])[0]] for p in some]
        width = max(map(len, rows))
        ids = torch.tensor([[tokenizer.pad_token_id] * (width - len(r)) + r for r in rows], device=student.device)
        mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows], device=student.device)
        out = student.model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=max_new_tokens, use_cache=True, do_sample=True, top_k=0,
            temperature=temperature, num_return_sequences=samples, pad_token_id=tokenizer.pad_token_id)
        texts = [cut_after_answer(t) for t in tokenizer.batch_decode(out[:, width:], skip_special_tokens=True)]
        for i, problem in enumerate(some):
            found[problem.id] = grade(problem, texts[i * samples : (i + 1) * samples], USUAL.judge)
    return [sample for p in problems for sample in found[p.id]]


def bench_exam(name: str, shots: int, questions: int, few: int, tokens: int) -> dict[str, Any]:
    """An exam against transformers' generate in its usual form: batches of 4 in file order, and sorted batches of 32.

    generate goes on to the end of text there, knows no answer line, and has few rows: what a first script would do. The
    ratios that README and notebooks quote are these. `bench_generate` gives generate our rows and our stopping rule.
    """
    student, (problems, teacher) = load_student(name), data(name)
    student.show(worked_examples(problems, teacher, shots))
    options = {**SAMPLED, "max_new_tokens": tokens}
    many = [random.Random(turn).sample(problems, questions) for turn in range(REPEATS + 1)]
    seconds = take_turns({
        "ours": lambda turn: take_exam(student, many[turn], rows=96 if name != "pocket" else 240, progress=False, **options),
        "fours": lambda turn: generate_exam(student, many[turn][:few], batch=4, **options),
        "sorted": lambda turn: generate_exam(student, many[turn], batch=32 // SAMPLED["samples"], by_length=True, **options),
    })  # fmt: skip
    return {
        "faster_than_generate_in_batches_of_4": ratio(seconds, "fours", "ours") * questions / few,
        "faster_than_generate_in_sorted_batches_of_32": ratio(seconds, "sorted", "ours"),
        "questions": {"ours": questions, "fours": few, "sorted": questions}, "seconds": seconds,
    }  # fmt: skip


def bench_generate(name: str, shots: int, questions: int, tokens: int, rows: int = 240) -> dict[str, Any]:
    """A run's writer against the plain one: transformers' generate with as many rows and the same stopping rule."""
    student, (problems, teacher) = load_student(name), data(name)
    student.show(worked_examples(problems, teacher, shots))
    options = {**SAMPLED, "max_new_tokens": tokens, "rows": rows, "progress": False}
    many = [random.Random(turn).sample(problems, questions) for turn in range(REPEATS + 1)]
    texts: dict[str, list[str]] = {}

    def exam(side: str, writer: Any) -> Callable[[int], None]:
        def sit(turn: int) -> None:
            texts[side] = [sample.rationale for sample in take_exam(writer, many[turn], **options).samples]

        return sit

    seconds = take_turns({"ours": exam("ours", student), "plain": exam("plain", PlainWriter(student))})
    same = sum(a == b for a, b in zip(texts["ours"], texts["plain"], strict=True))
    return {
        "faster_than_generate_with_our_rows_and_stopping_rule": ratio(seconds, "plain", "ours"),
        "rows": min(rows, questions * SAMPLED["samples"]), "same_texts": same / len(texts["ours"]), "seconds": seconds,
    }  # fmt: skip


def bench_four_bit(name: str, size: int) -> dict[str, Any]:
    """A training step on a 4-bit student against one on the same student unquantised, in the type this machine computes."""
    (problems, teacher), config = data(name), LoopConfig(reflection_weight=0.5)
    students = {label: load_student(name, four_bit=label == "4-bit") for label in ("4-bit", "unquantised")}
    batches = [make_batch(problems, teacher, size, seed) for seed in range(REPEATS + 1)]

    def work(student: Student) -> Callable[[int], Any]:
        def step(turn: int) -> None:
            student.model.zero_grad(set_to_none=True)
            train_step(student, batches[turn], config, packed_loss)

        return step

    seconds = take_turns({label: work(student) for label, student in students.items()})
    return {"speed": ratio(seconds, "unquantised", "4-bit"), "dtype": str(students["4-bit"].dtype), "seconds": seconds}


def bench_trl(name: str, size: int, steps: int) -> dict[str, Any]:
    """Training on rationales alone (λ = 0) against TRL's SFTTrainer: same model, items, LoRA, batch size and steps."""
    from trl_side import sft_trainer

    (problems, teacher), config = data(name), LoopConfig(reflection_weight=0.0, batch_size=size, epochs=1)
    items = [TrainingItem(i.problem, i.anchor) for seed in range(steps) for i in make_batch(problems, teacher, size, seed)]
    ours, theirs = load_student(name), load_student(name)
    trainer = sft_trainer(theirs, items, config, OUT / "trl")
    seconds = take_turns({
        "ours": lambda turn: train_round(ours, items, config, seed=turn, objective=packed_loss, progress=False),
        "SFTTrainer": lambda turn: trainer.train(),
    })  # fmt: skip
    return {"faster": ratio(seconds, "SFTTrainer", "ours"), "steps": steps, "batch": size, "seconds": seconds}


BENCHES: dict[str, Callable[[], dict[str, Any]]] = {
    "step-pocket": lambda: bench_step("pocket", 0, 32),
    "step-pocket-3-shots": lambda: bench_step("pocket", 3, 32),
    "step-smol": lambda: bench_step("smol", 0, 8, 4),
    "step-smol-3-shots": lambda: bench_step("smol", 3, 8, 2),
    "exam-pocket": lambda: bench_exam("pocket", 0, 240, 24, 56),
    "exam-smol": lambda: bench_exam("smol", 3, 24, 4, 64),
    "exam-pocket-generate": lambda: bench_generate("pocket", 0, 240, 56),
    "exam-smol-generate": lambda: bench_generate("smol", 3, 120, 64),
    "four-bit-smol": lambda: bench_four_bit("smol", 8),
    "trl-pocket": lambda: bench_trl("pocket", 32, 6),
    "trl-smol": lambda: bench_trl("smol", 8, 3),
}


def scaling() -> dict[str, Any]:
    """In a process of its own: what the others left in memory would hide its growth."""
    from cost_against_work import bench_scaling

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(bench_scaling, OUT / "bench.png").result()


def main(asked: Sequence[str]) -> int:
    benches = {**BENCHES, "scaling": scaling}
    if "--list" in asked or (unknown := [name for name in asked if name not in benches]):
        print("\n".join(benches) if "--list" in asked else f"no bench {', '.join(unknown)}; there are: {', '.join(benches)}")
        return int("--list" not in asked)
    OUT.mkdir(exist_ok=True)
    found: dict[str, Any] = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "environment": environment()}
    for name in asked or benches:
        try:
            found[name] = benches[name]()
        except (StudentError, ImportError) as error:
            print(f"{name:22} left out: {str(error).splitlines()[0]}")
            continue
        told = ", ".join(f"{k.replace('_', ' ')} {v:.4g}" for k, v in found[name].items() if isinstance(v, int | float))
        print(f"{name:22} {told}", flush=True)
        (OUT / "bench.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(OUT / "bench.json")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
