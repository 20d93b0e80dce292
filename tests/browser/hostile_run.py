"""A run folder in which data, student and teacher all say hostile things: `make(folder)`, in a kernel."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from corpus import HOSTILE

from l2r_lite.loop import runfolder
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.records import Lesson, Problem, Rejection, Sample
from l2r_lite.runs.report import build_report
from l2r_lite.runs.run import run_rounds


def make(folder: Path) -> LoopConfig:
    """Do a real run of one round, then put the corpus into every text of its files; a second folder differs in λ."""
    count = len(HOSTILE)
    config = LoopConfig(
        reflection_weight=0.5, rounds=1, epochs=1, samples=1, limit=count, validation_limit=count, test_limit=count
    )
    one, two = folder / "hostile-one", folder / "hostile-two"
    run_rounds(config, one, progress=False)
    for split in ("train", "validation", "test"):
        file = one / "problems" / f"{split}.jsonl"
        problems = [
            replace(p, question=f"{text} What is it?", skill=f"{kind} {text[:60]}")
            for p, (kind, text) in zip(runfolder.read_lines(file, Problem), HOSTILE.items(), strict=True)
        ]
        runfolder.write_lines(file, problems)
    for file in (one / "round-1" / "exam.jsonl", one / "round-1" / "test.jsonl"):
        samples = runfolder.read_lines(file, Sample)
        said = dict(zip((s.problem_id for s in samples), HOSTILE.values(), strict=True))
        right = file.stem == "test"  # so that the compare panel has questions to list
        runfolder.write_lines(file, [replace(s, rationale=said[s.problem_id], correct=right) for s in samples])
        if not right:
            lessons = [Lesson(key, text, feedback=text) for key, text in said.items()]
            runfolder.write_lines(file.with_name("lessons.jsonl"), lessons)
            refused = [Rejection(key, text, reason=text) for key, text in said.items()]
            runfolder.write_lines(file.with_name("rejected.jsonl"), refused)
    shutil.copytree(one, two)
    shutil.copy(two / "round-0" / "test.jsonl", two / "round-1" / "test.jsonl")
    other = config.with_(reflection_weight=0.0)
    runfolder.write_json(two / "config.json", other.to_json())
    for out, its in ((one, config), (two, other)):
        runfolder.write_json(out / "report.json", build_report(out, its, "rounds"))
    return config
