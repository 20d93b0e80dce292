"""Measurements inside a round's training are right, and taking them changes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from l2r_course import figures
from l2r_course.research import causes, experiments
from l2r_course.research.causes import Look, Watched, effective_rank, look, watch
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import RunError
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.training import train_step
from l2r_lite.students.packing import losses
from l2r_lite.students.rows import pack

SMALL = LoopConfig(limit=36, samples=2, batch_size=8, max_new_tokens=12, exam_rows=36, feedback_limit=12, steps=4, replay=0.0)


def triplets(problems: list, count: int) -> list[TrainingItem]:
    wrong = "They have 3. The answer is 3."
    return [TrainingItem(p, write_rationale(p, 0), write_rationale(p, 1), wrong) for p in problems[:count]]


def test_the_pulls_are_the_norms_of_what_a_training_step_adds(load_tiny: Callable, pocket_problems: list) -> None:
    student, items = load_tiny(wake=True), triplets(pocket_problems, 6)
    config = LoopConfig(reflection_weight=0.5)
    seen = look(student, items[:3], items[3:], config, 7)
    assert all(w.grad is None for w in student.trainable.values()) and not student.model.training

    def norm_of(weight: float) -> torch.Tensor:
        student.model.zero_grad(set_to_none=True)
        train_step(student, items[:3], config.with_(reflection_weight=weight))
        return torch.cat([w.grad.flatten() for w in student.trainable.values()])

    lm, both = norm_of(0.0), norm_of(1.0)
    assert seen.lm_pull == pytest.approx(lm.norm().item(), rel=1e-3)
    assert seen.cl_pull == pytest.approx((both - lm).norm().item(), rel=1e-3)
    assert seen.cosine == pytest.approx(torch.cosine_similarity(lm, both - lm, 0).item(), abs=1e-3)
    held = losses(student, pack(student, items[3:]))
    assert (seen.step, seen.lm, seen.cl) == (7, pytest.approx(held[0].item()), pytest.approx(held[1].item()))


def test_effective_rank_counts_directions() -> None:
    assert effective_rank(torch.eye(6)) == pytest.approx(5)  # six corners of a simplex differ in five directions
    assert effective_rank(torch.tensor([[1.0, 1.0], [1.0, -1.0], [2.0, 2.0]])) == pytest.approx(1)  # lengths do not count
    two = torch.tensor([[1.0, 0, 0], [-1.0, 0, 0], [0, 1.0, 0], [0, -1.0, 0]])
    assert effective_rank(two) == pytest.approx(2)


def test_watching_a_round_changes_nothing_and_looks_when_asked(tiny_folder: Path) -> None:
    config = SMALL.with_(student=str(tiny_folder))
    often, seldom = (watch(config, held=6, steps=steps, progress=False) for steps in ((0, 1, 2, 3, 4), (4,)))
    assert [seen.step for seen in often] == [0, 1, 2, 3, 4] and [seen.step for seen in seldom] == [0, 4]
    assert often[-1] == seldom[-1]  # the looks in between left the training as it was
    assert often[-1].cl < often[0].cl and often[-1].lm < often[0].lm
    with pytest.raises(ValueError, match="too few to keep 30"):
        watch(config, held=30, progress=False)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two arms with three seeds, made up."""
    file = tmp_path / "causes" / "pocket.jsonl"
    looks = tuple(Look(step, 1.0, 0.5, 0.6, 1.2, 0.0, 0.8, 0.3, 12.345678, 0.4) for step in (0, 5, 40))
    arms = (("reflection", 0.5), ("tailored", 0.0))
    causes.write_log(file, [Watched(arm, seed, weight, looks, {"cpu": "x"}) for seed in (2, 0, 1) for arm, weight in arms])
    return file


def test_the_log_comes_back_in_order_and_as_a_figure(log: Path) -> None:
    there = causes.read_log(log)
    assert [(w.arm, w.seed) for w in there] == [(a, s) for a in ("tailored", "reflection") for s in (0, 1, 2)]
    assert there[0].looks[1].directions == 12.34568 and causes.read_log(log.with_name("none.jsonl")) == []
    figure = figures.inside_a_round(there)
    assert len(figure.axes) == 4 and all(axes.get_xlabel() for axes in figure.axes)
    assert len([line for line in figure.axes[1].lines if len(line.get_xdata()) == 3]) == 1  # the cost, seed by seed
    table = causes.looks_table(there)
    assert table.head[1:] == ["untrained", "after the round, λ = 0", "after the round, λ = 0.5"]
    assert table.rows[0][1:] == ["1.00 ± 0.00"] * 3 and causes.looks_table(there[::3]).rows[0][1:] == ["1.00"] * 3
    assert figures.inside_a_round([w for w in there if w.seed == 0])._repr_png_()  # one seed has no interval
    with pytest.raises(ValueError, match="one with λ = 0"):
        figures.inside_a_round([w for w in there if w.arm == "reflection"])
    log.write_text(log.read_text(encoding="utf-8") + '{"arm": ', encoding="utf-8")
    with pytest.raises(RunError, match="line 7"):
        causes.read_log(log)


def test_what_is_logged_is_not_watched_again(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def watched(config: LoopConfig, **_: object) -> list[Look]:
        asked.append((config.seed, config.reflection_weight, config.replay, config.rounds))
        return [dataclasses.replace(causes.read_log(log)[0].looks[0])]

    monkeypatch.setattr(causes, "watch", watched)
    assert experiments.main(["causes", "--logs", str(log.parents[1]), "--seeds", "4"]) == 0
    assert asked == [(3, 0.0, 0.0, 3), (3, 0.5, 0.0, 3)] and len(causes.read_log(log)) == 8
