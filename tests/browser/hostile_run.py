"""Make a run folder in which data, student and teacher all say hostile things: `hostile_run.make(folder)`, in a kernel."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from corpus import HOSTILE

from l2r_lite import runfolder
from l2r_lite.config import LoopConfig
from l2r_lite.records import Lesson, Problem, Rejection, Sample
from l2r_lite.report import build_report
from l2r_lite.rounds import run_rounds


def make(folder: Path, name: str, weight: float = 0.5) -> LoopConfig:
    """Run one round on a data set of hostile problems; then let the student and the teacher say hostile things, too."""
    data, taught = folder / "hostile.jsonl", folder / "rationales.jsonl"
    problems = [
        {"question": f"{text} What is {n} + {add}?", "answer": str(n + add), "skill": f"{kind} {text[:60]}", "split": split,
         "rationale": f"{text} The answer is {n + add}."}
        for add, split in enumerate(("train", "validation", "test"), 3) for n, (kind, text) in enumerate(HOSTILE.items())
    ]  # fmt: skip
    data.write_text("".join(json.dumps(p) + "\n" for p in problems))
    taught.write_text("".join(json.dumps({k: p[k] for k in ("question", "rationale")}) + "\n" for p in problems))
    config = LoopConfig(
        rounds=1, epochs=1, samples=1, limit=0, validation_limit=0, test_limit=0, problems=str(data), max_new_tokens=16,
        teacher=f"recorded:{taught}", reflection_weight=weight,
    )  # fmt: skip
    out = folder / "runs" / name
    run_rounds(config, out, progress=False)
    texts = list(HOSTILE.values())
    train = [p.id for p in runfolder.read_lines(out / "problems" / "train.jsonl", Problem)]
    said = dict(zip(train, texts, strict=True))
    one = out / "round-1"
    samples = [replace(s, rationale=said[s.problem_id], answer=None, correct=False)
               for s in runfolder.read_lines(one / "exam.jsonl", Sample)]  # fmt: skip
    runfolder.write_lines(one / "exam.jsonl", samples)
    runfolder.write_lines(one / "lessons.jsonl", [Lesson(key, text, feedback=text) for key, text in said.items()])
    runfolder.write_lines(one / "rejected.jsonl", [Rejection(key, text, reason=text) for key, text in said.items()])
    runfolder.write_json(out / "report.json", build_report(out, config, "rounds"))
    return config
