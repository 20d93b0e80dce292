"""What is concluded from logs: from made-up runs whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import results
from l2r_course import figures
from l2r_course.research import findings
from l2r_course.research.evidence import Run, read_runs
from l2r_course.research.findings import arm_table, choices_table, compare, comparison_table, sweep, sweep_table
from l2r_lite.loop.config import LoopConfig

QUESTIONS, SEEDS = 400, 8
AMOUNTS = {"teacher_calls": 50, "lessons": 100, "items": 150, "triplet_share": 0.5}


def runs(**arms: float) -> list[Run]:
    """Runs of two rounds; each arm's accuracy after them, the questions' difficulty shared by all."""
    difficulty = np.random.default_rng(1).random(QUESTIONS)
    made = []
    for number, (arm, accuracy) in enumerate(arms.items()):
        rng = np.random.default_rng(100 + number)
        for seed in range(SEEDS):
            noisy = difficulty + rng.normal(0, 0.05, (3, QUESTIONS))
            levels = zip(noisy, (0.3, 0.5, accuracy), strict=True)
            test = tuple("".join("01"[int(x < level)] for x in row) for row, level in levels)
            name = arm.replace("_", "-") if "=" not in arm else arm
            made.append(Run(name, seed, LoopConfig(seed=seed).to_json(), f"{QUESTIONS} · x", test, (0.3, 0.5, accuracy), 2, {},
                            rounds=(AMOUNTS, AMOUNTS), elsewhere={"new skills": "0101"}))  # fmt: skip
    return made


def test_a_large_gain_is_decided_either_way_and_none_is_not() -> None:
    found = {c.what: c for c in compare(runs(annotator_once=0.62, annotator=0.62, tailored=0.8, reflection=0.7))}
    assert found.keys() == set(list(findings.QUESTIONS)[:3])
    once, tailoring, reflection = found.values()
    assert tailoring.holds == "yes" and tailoring.bootstrap.difference == pytest.approx(0.18, abs=0.05)
    assert reflection.holds == "no, the other way round" and once.holds == "undecided"
    assert tailoring.p == pytest.approx(3 * 2 / 2**SEEDS)  # the smallest that eight seeds allow, corrected for three questions
    table = comparison_table(list(found.values()))
    assert [row[-1] for row in table.rows] == ["undecided", "yes", "no, the other way round"]
    assert figures.comparisons(list(found.values())).axes[0].get_title(loc="left") == "2 of 3 comparisons decided"


def test_comparisons_are_of_pairs_with_the_round_that_is_asked_for() -> None:
    made = runs(annotator=0.6, tailored=0.9)
    (kept,), (before,) = compare(made), compare(made, after=0)
    assert kept.holds == "yes" and before.holds == "undecided"
    (untrained,) = compare(made, {"training": ("tailored", "untrained")})
    assert untrained.seeds == SEEDS and untrained.bootstrap.difference > 0.5


def test_comparisons_of_several_logs_are_corrected_together() -> None:
    logs = {"one": runs(annotator_once=0.6, tailored=0.8), "two": runs(tailored=0.6, reflection=0.8)}
    found = findings.compare_logs(logs, findings.ON_REAL_QUESTIONS)
    assert [c.what for c in found] == ["one: tailored rounds, not random lessons in one go", "two: self-reflection"]
    assert [c.p for c in found] == pytest.approx([2 * 2 / 2**SEEDS] * 2)
    table = findings.stacked({"one": arm_table(logs["one"]), "none": findings.Table(["arm", "else"], [["x", "y"]])}, "log")
    assert table.head[:2] == ["log", "arm"] and table.rows[-1][:3] == ["none", "x", "–"] and table.rows[-1][-1] == "y"
    assert [row[0] for row in table.rows] == ["one", "one", "none"]


def test_logs_are_drawn_side_by_side_with_the_arms_they_have() -> None:
    logs = {"one": runs(annotator_once=0.6, tailored=0.8), "two": runs(tailored=0.6), "three": runs(tailored=0.6)[:1]}
    figure = figures.arms_in_logs(logs, ["annotator-once", "tailored", "reflection"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one", "two", "three"]
    assert [len(axes.get_xticks()) for axes in figure.axes] == [2, 1, 1]


def test_the_arms_table_says_what_each_took_and_reached() -> None:
    table = arm_table(runs(tailored=0.9, annotator=0.6))
    assert [row[0] for row in table.rows] == ["annotator", "tailored"]  # in the order of ARMS
    assert table.rows[1][1:5] == ["8", "100", "200", "50%"]
    assert table.rows[1][5].startswith("9") and table.rows[1][-1] == "50.0 ± 0.0"
    assert table.head[-1] == "new skills"


def test_a_sweep_holds_the_main_arm_in_its_place_and_on_the_same_seeds() -> None:
    made = [*runs(replay=0.7), *[r for r in runs(**{"samples=8": 0.9, "samples=1": 0.5}) if r.seed < 3]]
    found = sweep(made, "samples", "replay")
    assert list(found) == [1, 2, 8] and [len(r) for r in found.values()] == [3, 3, 3]
    table = sweep_table(made, ["samples"], "replay")
    assert [row[1] for row in table.rows] == ["1", "2", "8"] and [row[3][:2] for row in table.rows] == ["50", "70", "90"]
    assert table.rows[0][5][0] == "-" and table.rows[1][5] == "main arm" and table.rows[2][5][0] == "+"
    figure = figures.knobs_turned(made, "replay", {"samples": "samples a question", "rounds": "of which there is no run"})
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["1\nn = 3", "2\nmain", "8\nn = 3"]
    assert len(figure.axes) == 1


def test_what_was_tried_stands_in_the_order_of_validation_not_of_the_test() -> None:
    made = runs(**{"replay": 0.7, "margin=0.2": 0.6, "margin=0.2,samples=4": 0.8})
    made = [replace(r, validation=(0.3, 0.5, 0.9)) if r.arm == "margin=0.2" else r for r in made]
    table = choices_table(made, "replay")
    assert [row[0] for row in table.rows] == ["margin=0.2", "margin=0.2,samples=4", "replay"]
    assert [row[4][0] for row in table.rows] == ["-", "+", "m"] and {row[-1] for row in table.rows} == {"300"}
    assert list(sweep(made, "margin", "replay")) == [0.2, 1.0]


def test_a_gain_is_taken_on_the_seeds_that_both_arms_have() -> None:
    made = [*runs(replay=0.7), *[r for r in runs(**{"samples=8": 0.9}) if r.seed in (1, 2)]]
    arms = ([r.correct().mean() for r in made if r.arm == arm and r.seed in (1, 2)] for arm in ("samples=8", "replay"))
    ours, main = map(np.array, arms)
    assert findings.gains(made, "samples=8", "replay") == pytest.approx(100 * (ours - main))


def test_arms_by_round_draws_a_point_for_each_round_and_a_single_seed_too(tmp_path: Path) -> None:
    made = [r for r in runs(tailored=0.9, annotator=0.6) if r.arm == "tailored" or r.seed == 0]
    figure = figures.arms_by_round(made, ["annotator", "tailored"])
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 3]
    assert len(lines) >= 2 and not any(math.isnan(y) for line in lines for y in line.get_ydata())
    assert figures.save(figure, tmp_path / "arms.png").stat().st_size > 5000


def test_questions_of_two_kinds_are_drawn_apart() -> None:
    made = runs(annotator=0.6, tailored=0.9)
    first = np.arange(QUESTIONS) < 100
    figure = figures.arms_by_round(made, ["annotator", "tailored"], {"first": first, "rest": ~first})
    for axes, shown in zip(figure.axes, (first, ~first), strict=True):
        last = np.mean([100 * r.correct(-1)[shown].mean() for r in made if r.arm == "tailored"])
        assert any(math.isclose(line.get_ydata()[-1], last) for line in axes.lines if len(line.get_xdata()) == 3)


def test_the_readmes_tables_are_those_of_the_logs() -> None:
    text = (results.ROOT / "README.md").read_text(encoding="utf-8")
    assert {name for _, name, _ in results.BLOCK.findall(text)} == {"real", *read_runs().keys() - findings.REAL.keys()}
    assert results.fresh(text) == text, "make results writes them anew"
