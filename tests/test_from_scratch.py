"""Notebook 12: the loop in sixty lines of plain torch computes what the library computes."""

from __future__ import annotations

import ast
import re
from typing import Any

import nbformat
import pytest
import torch

from l2r_lite import load_student
from l2r_lite.data.problems import load_problems
from l2r_lite.data.verify import verify
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.exam import take_exam
from l2r_lite.loop.losses import tailored_loss
from l2r_lite.loop.protocols import Context
from l2r_lite.loop.records import TrainingItem
from run_notebooks import NOTEBOOKS

CELLS = {c.id: c.source for c in nbformat.read(NOTEBOOKS / "12_from_scratch.ipynb", as_version=4).cells}
LOOP = [CELLS[f"12-{part}"] for part in ("student", "exam", "teacher", "loss", "train", "loop")]


@pytest.fixture(scope="module")
def scratch() -> dict[str, Any]:
    """The notebook's names, all but those of the loop itself; the adapter is made to matter: its B begins at 0."""
    names: dict[str, Any] = {}
    for code in LOOP[:-1]:
        exec(code, names)  # noqa: S102 - the notebook's own code
    _wake(names["student"])
    return names


def _wake(model: torch.nn.Module) -> None:
    draw = torch.Generator().manual_seed(0)
    for name, weight in sorted(model.named_parameters()):
        if weight.requires_grad and "lora_B" in name:
            weight.data = 0.02 * torch.randn(weight.shape, generator=draw)


def test_the_loop_has_sixty_lines_and_three_things_of_the_library() -> None:
    text = "\n".join(LOOP)
    lines = [line.strip() for line in text.splitlines()]
    code = [line for line in lines if line and not re.match(r'(import|from) |#|"""', line)]
    assert len(code) <= 60
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    ours = {a.name for node in imports if str(node.module).startswith("l2r_") for a in node.names}
    assert ours == {"load_problems", "answer_line", "POCKET"}


def test_its_loss_and_gradient_are_the_librarys(scratch: dict[str, Any]) -> None:
    student = load_student("pocket", four_bit=False)
    theirs = {n: w for n, w in scratch["student"].named_parameters() if w.requires_grad}
    for name, weight in student.trainable.items():
        weight.data.copy_(theirs[name].data)
    problems = load_problems("pocket", "train", 12)
    items: list[tuple[Any, ...]] = [(p, *scratch["teach"](p), "That is 7. The answer is 7.") for p in problems[:8]]
    items[3:3] = [(p, scratch["teach"](p)[0], None, None) for p in problems[8:]]  # own answers have no triplet
    loss = scratch["joint_loss"](items, reflection_weight=0.5)
    config = LoopConfig(reflection_weight=0.5)
    (step,) = tailored_loss(student, [TrainingItem(*item) for item in items], config)
    assert step["triplets"] == pytest.approx(8 / 12)
    assert loss.item() == pytest.approx(step["loss"].item(), rel=1e-4)
    ours = torch.autograd.grad(loss, list(theirs.values()))
    library = torch.autograd.grad(step["loss"], [student.trainable[name] for name in theirs])
    for a, b in zip(ours, library, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_its_exam_gives_the_librarys_verdicts() -> None:
    names: dict[str, Any] = {}
    for code in LOOP[:2]:
        exec(code, names)  # noqa: S102
    problems = load_problems("pocket", "test", 51)
    ours = [right for *_, right in names["answer"](problems, do_sample=False)]
    exam = take_exam(load_student("pocket", four_bit=False), problems, max_new_tokens=56, progress=False)
    assert ours == [sample.correct for sample in exam.samples]


def test_its_teacher_writes_two_lessons_that_pass_verification(scratch: dict[str, Any]) -> None:
    for problem in load_problems("pocket", "train", 170):
        first, second = scratch["teach"](problem)
        assert first != second and verify(problem, first, Context()) is verify(problem, second, Context()) is None
