"""Conclusions from logs, checked on made-up runs with known truth."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import results
from l2r_course import figures
from l2r_course.research import findings
from l2r_course.research.evidence import Run, read_runs
from l2r_course.research.findings import arm_table, compare, comparison_table
from l2r_course.research.statistics import Difference
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
            config, validation = LoopConfig(seed=seed).to_json(), (0.3, 0.5, accuracy)
            made.append(Run(arm.replace("_", " "), seed, config, f"{QUESTIONS} · x", test, validation, 2, {},
                            rounds=(AMOUNTS, AMOUNTS)))  # fmt: skip
    return made


def test_a_large_gain_is_decided_either_way_and_none_is_not() -> None:
    found = {c.what: c for c in compare(runs(random_lessons=0.62, one_shot=0.8, tailored=0.8, reflection=0.7))}
    assert [c.first for c in found.values()] == ["tailored", "tailored", "reflection"]
    tailoring, once, reflection = found.values()
    assert tailoring.holds == "yes" and tailoring.interval.difference == pytest.approx(0.18, abs=0.05)
    assert reflection.holds == "no, the other way round" and once.holds == "undecided"
    assert tailoring.p == pytest.approx(3 * 2 / 2**SEEDS)  # the smallest that eight seeds allow, corrected for three questions
    table = comparison_table(list(found.values()))
    assert [row[-1] for row in table.rows] == ["yes", "undecided", "no, the other way round"]
    assert figures.comparisons(list(found.values())).axes[0].get_title(loc="left") == "2 of 3 comparisons decided"


def test_comparisons_are_of_pairs_with_the_round_that_is_asked_for() -> None:
    made = runs(random_lessons=0.6, tailored=0.9)
    (kept,), (before,) = compare(made), compare(made, after=0)
    assert kept.holds == "yes" and before.holds == "undecided"
    (untrained,) = compare(made, {"training": ("tailored", "untrained")})
    assert untrained.seeds == SEEDS and untrained.interval.difference > 0.5


def test_comparisons_of_several_logs_are_corrected_together() -> None:
    logs = {"one": runs(one_shot=0.6, tailored=0.8), "two": runs(tailored=0.6, reflection=0.8)}
    found = findings.compare_logs(logs, findings.ON_REAL_QUESTIONS)
    assert [c.what for c in found] == ["one: rounds, not all at once", "two: self-reflection, λ = 0.5"]
    assert [c.p for c in found] == pytest.approx([2 * 2 / 2**SEEDS] * 2)
    table = findings.stacked({"one": arm_table(logs["one"]), "none": findings.Table(["arm", "else"], [["x", "y"]])}, "log")
    assert table.head[:2] == ["log", "arm"] and table.rows[-1][:3] == ["none", "x", "–"] and table.rows[-1][-1] == "y"
    assert [row[0] for row in table.rows] == ["one", "one", "none"]


def test_logs_are_drawn_side_by_side_with_the_arms_they_have() -> None:
    logs = {"one": runs(one_shot=0.6, tailored=0.8), "two": runs(tailored=0.6), "three": runs(tailored=0.6)[:1]}
    figure = figures.arms_in_logs(logs, ["one shot", "tailored", "reflection"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one", "two", "three"]
    assert [len(axes.get_xticks()) for axes in figure.axes] == [2, 1, 1]


def test_an_interval_is_drawn_with_its_verdict_in_words() -> None:
    found = {
        "one": Difference(0.04, 0.01, 0.07, 0.01, 9.0), "two": Difference(-0.04, -0.07, -0.01, 0.01, 9.0),
        "three": Difference(0.01, -0.02, 0.04, 0.01, 9.0),
    }  # fmt: skip
    figure = figures.intervals(found)
    assert figure.get_suptitle() == "2 of 3 comparisons are decided"
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == [
        "one:\nbetter, by 1.0 to 7.0 points", "two:\nworse, by 1.0 to 7.0 points",
        "three:\nundecided, between −2.0 and +4.0 points",
    ]  # fmt: skip
    bars = [line for line in figure.axes[0].lines if len(set(line.get_xdata())) == 2]
    assert np.array([line.get_xdata() for line in bars]) == pytest.approx(np.array([[1, 7], [-7, -1], [-2, 4]]))
    assert len({line.get_color() for line in bars}) == 3


def test_the_arms_table_says_what_each_took_and_reached() -> None:
    table = arm_table(runs(tailored=0.9, random_lessons=0.6))
    assert [row[0] for row in table.rows] == ["tailored", "random lessons"]  # in the order of ARMS
    assert table.rows[0][1:5] == ["8", "100", "200", "50%"]
    assert table.rows[0][5].startswith("9")


def test_rounds_that_rise_are_counted() -> None:
    made = [r for r in runs(tailored=0.9, random_lessons=0.4) if r.seed < 3]
    table = findings.round_table(made)
    assert table.head == ["arm", "seeds", "before", "round 1", "round 2", "every round rises", "lowest at the end"]
    tailored, random = table.rows
    assert tailored[:2] == ["tailored", "3"] and tailored[-2] == "3 of 3" and float(tailored[-1]) > 85
    assert random[-2] == "0 of 3" and float(random[-1]) < 45 and random[2][:2] == tailored[2][:2]


def test_arms_by_round_draws_a_point_for_each_round_and_a_single_seed_too(tmp_path: Path) -> None:
    made = [r for r in runs(tailored=0.9, random_lessons=0.6) if r.arm == "tailored" or r.seed == 0]
    figure = figures.arms_by_round(made, ["tailored", "random lessons"])
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 3]
    assert len(lines) >= 2 and not any(math.isnan(y) for line in lines for y in line.get_ydata())
    assert figures.save(figure, tmp_path / "arms.png").stat().st_size > 5000


def test_a_line_per_seed_and_one_for_the_mean() -> None:
    figure = figures.rounds_by_seed(runs(tailored=0.9, no_memory=0.4), ["tailored", "no memory"])
    assert len(figure.axes[0].lines) == 2 * (SEEDS + 1)
    assert figure.axes[0].get_title(loc="left").splitlines() == [
        "tailored: every round rises in 8 of 8 seeds", "no memory: every round rises in 0 of 8 seeds"]


def test_questions_of_two_kinds_are_drawn_apart() -> None:
    made = runs(random_lessons=0.6, tailored=0.9)
    first = np.arange(QUESTIONS) < 100
    figure = figures.arms_by_round(made, ["tailored", "random lessons"], {"first": first, "rest": ~first})
    for axes, shown in zip(figure.axes, (first, ~first), strict=True):
        last = np.mean([100 * r.correct(-1)[shown].mean() for r in made if r.arm == "tailored"])
        assert any(math.isclose(line.get_ydata()[-1], last) for line in axes.lines if len(line.get_xdata()) == 3)


def test_the_tables_of_the_evidence_are_those_of_the_logs() -> None:
    text = results.EVIDENCE.read_text(encoding="utf-8")
    logs = {"real" if log in findings.REAL else log for log in read_runs()}
    assert {name for _, name, _ in results.BLOCK.findall(text)} == logs
    assert results.fresh(text) == text, "make results writes them anew"
