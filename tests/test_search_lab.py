"""The lab on search: its choices, its other ways to write, its verifier, and its bars on held seeds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from l2r_course.labs.held import read_log
from l2r_course.labs.search import lab, ways
from l2r_course.labs.search.choose import CHOICES, checked_vote, likeliest, oracle, verified, vote
from l2r_course.labs.search.pool import Candidate, Question, draw_pool
from l2r_course.labs.search.study import Study, paired_bootstrap, results_table, study_students
from l2r_course.labs.search.verifier import auc, fit, train_verifier
from l2r_lite.data.arithmetic import wrong_equations
from l2r_lite.data.problems import load_problems
from l2r_lite.loop.prompts import ANSWER_MARK
from l2r_lite.loop.student import Student


def sample(
    answer: str | None, *, right: bool = False, per_token: float = -1.0, hold: bool = True, score: float = 0.0
) -> Candidate:
    return Candidate(f"so {answer}", answer, right, 10, per_token, hold, score)


def test_a_vote_counts_values_and_leaves_out_what_has_no_answer() -> None:
    drawn = [sample(a) for a in ("9", "7.0", None, None, None, "7")]
    assert vote(drawn, "number").answer == "7.0"
    assert vote([sample("4"), sample("5")], "number").answer == "4"  # a tie: drawn first
    assert vote([sample(None)], "number").answer is None
    assert vote([sample("Yes"), sample("no"), sample("yes")], "yes-no").answer == "Yes"


def test_each_choice_looks_at_its_own_mark_only() -> None:
    false = sample("4", hold=False)
    drawn = [sample("1", per_token=-0.5), sample("2", score=3.0), sample("3", right=True), false, false]
    choices = {name: choose(drawn, "number").answer for name, choose in CHOICES.items()}
    assert choices == {"vote": "4", "likeliest": "1", "vote, equations checked": "1", "trained verifier": "2", "oracle": "3"}
    assert checked_vote(drawn[3:], "number").answer == "4"  # nothing is left: all may vote
    assert oracle(drawn[:2], "number") == likeliest(drawn[:2], "number") == verified(drawn[:1], "number") == drawn[0]


def test_a_study_prices_a_choice_by_all_samples_it_needed(tmp_path: Path) -> None:
    problems = load_problems("pocket", "test", 17)
    questions = [Question(p, sample(p.answer, right=True), (sample("x"), sample(p.answer, right=True))) for p in problems]
    assert [Question.from_json(q.to_json(), q.problem) for q in questions] == questions
    study = Study(questions, {"repair": [ways.Attempt("t", False, 12)] * 17})
    assert (study.chosen("oracle", 2).accuracy, study.chosen("oracle", 2).tokens) == (1.0, 20.0)
    assert (study.chosen("oracle", 1).accuracy, study.chosen("vote", 1).tokens) == (0.0, 10.0)
    assert study.true_but_wrong() == 1.0 and study.attempted("repair").tokens == 12.0
    assert "-100.0 (-100.0 to -100.0)" in str(results_table({"a": study}, 2))


def test_the_paired_interval_is_that_of_the_differences() -> None:
    first, second = np.array([True] * 60 + [False] * 40), np.array([True] * 50 + [False] * 50)
    mean, low, high = paired_bootstrap(first, second)
    error = math.sqrt(0.1 * 0.9 / 100)
    assert mean == pytest.approx(0.1) and low == pytest.approx(0.1 - 1.96 * error, abs=0.015)
    assert high == pytest.approx(0.1 + 1.96 * error, abs=0.015)
    assert paired_bootstrap(first, first) == (0.0, 0.0, 0.0)


def test_auc_counts_pairs_and_halves_ties() -> None:
    assert auc([3, 2, 1], [True, False, False]) == 1.0 and auc([1, 2, 3], [True, False, False]) == 0.0
    assert auc([1, 1, 0], [True, False, True]) == 0.25 and math.isnan(auc([1, 2], [True, True]))


def test_the_verifier_learns_a_direction_and_not_the_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(400, 8, generator=generator) * 50 + 7
    right = (states[:, 3] > 7).float()
    found = fit(states, right)
    scores = ((states - found.mean) / found.deviation) @ found.weights + found.bias
    assert auc(scores.tolist(), right.bool().tolist()) > 0.98
    assert found.weights.abs().argmax() == 3


def test_repair_puts_the_first_false_equation_right_and_keeps_what_came_before() -> None:
    assert ways._put_right("First 2 + 3 = 5. Then 5 - 1 = 3. The answer is 3.") == "First 2 + 3 = 5. Then 5 - 1 = 4."
    assert ways._put_right("First 2 + 3 = 5. The answer is 5.") is None and ways._put_right("I cannot.") is None
    assert ways._first_sentence(" Add: 2 + 3 = 5. Then more.") == "Add: 2 + 3 = 5." and ways._first_sentence("open") == "open"


def test_the_pocket_student_goes_every_way(pocket_student: Student) -> None:
    problems = load_problems("pocket", "test", 34)
    verifier = train_verifier(pocket_student, load_problems("pocket", "train", 34), samples=2)
    questions = draw_pool(pocket_student, problems, verifier, samples=3, seed=1)
    assert [q.problem for q in questions] == problems and {len(q.samples) for q in questions} == {3}
    marks = [c for q in questions for c in (q.greedy, *q.samples)]
    assert all(c.equations_hold == (not wrong_equations(c.text)) for c in marks)
    assert max(c.per_token for c in marks) <= 0 and min(c.tokens for c in marks) > 2
    texts = [q.greedy.text for q in questions]
    direct = ways.direct(pocket_student, problems)
    assert all(a.text.startswith(ANSWER_MARK) and a.tokens <= 12 for a in direct)
    repaired = ways.repaired(pocket_student, problems, texts)
    assert all(a.tokens >= q.greedy.tokens for a, q in zip(repaired, questions, strict=True))
    ways.demonstrated(pocket_student, problems[:2], problems[2:4])
    assert pocket_student.prefix == ()  # the demonstrations are gone
    beam = ways.step_beam(pocket_student, problems, width=1, branch=2)
    assert sum(ANSWER_MARK in a.text for a in beam) > 30 and all(a.tokens > 4 for a in beam)


def test_the_bars_hold_on_seeds_that_did_not_set_them() -> None:
    log = read_log(lab.LOG)
    assert [line.seed for line in log] == list(lab.HELD) and not {0, 1, 2} & set(lab.HELD)
    assert [(bar.text, line.seed) for bar in lab.BARS for line in log if not bar.holds(line.numbers)] == []


@pytest.mark.slow
def test_a_small_study_tells_the_same_story_and_resumes(tmp_path: Path) -> None:
    studies = study_students(13, tmp_path / "lab", test=170, train=170, progress=False)
    before, after = (studies[name] for name in ("untrained", "after a round"))
    assert abs(before.chosen("vote", 8).accuracy - before.greedy().accuracy) < 0.05
    assert after.greedy().accuracy > before.greedy().accuracy + 0.15
    assert after.chosen("oracle", 8).accuracy > after.greedy().accuracy + 0.03
    again = study_students(13, tmp_path / "lab", test=170, train=170, progress=False)
    assert str(results_table(again)) == str(results_table(studies))
