"""A lab replaces parts of the loop without changing it: here thirty lines with another objective and another judge."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from l2r_lite import USUAL, LoopConfig, load_problems, run_rounds
from l2r_lite.data.answers import read
from l2r_lite.loop.errors import RunError
from l2r_lite.loop.losses import language_loss, read_texts
from l2r_lite.loop.records import Lesson, Problem, Sample, TrainingItem
from l2r_lite.loop.runfolder import read_lines
from l2r_lite.loop.student import Student
from l2r_lite.loop.writing import PlainWriter

# --- the lab: labels only, and a vote


def without_prompts(student: Student, items: Sequence[TrainingItem], config: LoopConfig) -> Iterator[dict[str, torch.Tensor]]:
    """Learn from the rationale alone: a prompt's tokens weigh nothing."""
    texts = read_texts(student, items, [item.anchor for item in items])
    alone = dataclasses.replace(texts, weight=(texts.weight == 1).float())
    loss = language_loss(student, alone)
    yield {"loss": loss, "rationale": loss.detach(), "items": torch.tensor(len(items))}


def majority(texts: Sequence[str], problem: Problem) -> list[str | None]:
    """All samples of a question get the answer that most of them give."""
    answers = Counter(read(text, problem) for text in texts)
    return [answers.most_common(1)[0][0]] * len(texts)


def two_at_most(exam: object, lessons: Sequence[Lesson], history: object, *, seed: int) -> list[TrainingItem]:
    problem = {p.id: p for p in exam.problems}  # type: ignore[attr-defined]
    return [TrainingItem(problem[x.problem_id], x.rationale) for x in lessons[:2]]


# --- what becomes of it


def run(tiny_folder: Path, out: Path, **parts: object) -> dict:
    config = LoopConfig(student=str(tiny_folder), rounds=1, samples=3, limit=17, validation_limit=4, test_limit=4,
                        max_new_tokens=12, epochs=1, demonstrations=0)  # fmt: skip
    return run_rounds(config, out, parts=dataclasses.replace(USUAL, **parts), progress=False)


def test_a_lab_brings_its_own_objective_and_judge(tiny_folder: Path, tmp_path: Path) -> None:
    report = run(tiny_folder, tmp_path / "run", objective=without_prompts, judge=majority)
    assert report["stopped"] == "rounds" and len(report["rounds"]) == 2
    losses = read_lines(tmp_path / "run" / "round-1" / "losses.jsonl", dict)
    assert losses and all(set(line) == {"rationale", "items", "gradient"} for line in losses)
    samples = read_lines(tmp_path / "run" / "round-1" / "exam.jsonl", Sample)
    by_question: dict[str, set[str | None]] = {}
    for sample in samples:
        by_question.setdefault(sample.problem_id, set()).add(sample.answer)
    assert len(samples) == 3 * 17 and all(len(answers) == 1 for answers in by_question.values())


def test_a_lab_brings_its_own_curriculum_prompt_verifier_and_writer(tiny_folder: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    def politely(problem: Problem) -> str:
        asked.append(problem.id)
        return f"Please: {problem.question}\nAnswer:"

    def only_short(problem: Problem, text: str, context: object) -> str | None:
        return "too wordy" if len(text.split()) > 12 else USUAL.verify(problem, text, context)  # type: ignore[arg-type]

    run(tiny_folder, tmp_path / "run", curriculum=two_at_most, prompt=politely, verify=only_short, writer=PlainWriter)
    assert len(read_lines(tmp_path / "run" / "round-1" / "training.jsonl", dict)) == 2
    assert {p.id for p in load_problems("pocket", "train", 17)} <= set(asked)
    lessons = read_lines(tmp_path / "run" / "round-1" / "lessons.jsonl", Lesson)
    assert lessons and all(len(x.rationale.split()) <= 12 for x in lessons)


def test_a_labs_objective_is_refused_where_several_processes_would_not_know_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("l2r_lite.runs.run.join", lambda: SimpleNamespace(rank=0, size=2))
    with pytest.raises(RunError, match="needs a single process"):
        run_rounds(LoopConfig(), tmp_path / "run", parts=dataclasses.replace(USUAL, objective=without_prompts))
    assert not (tmp_path / "run").exists()
