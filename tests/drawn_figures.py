"""Draws every figure of the course and of a run from made-up data: DRAWN, by the name of its function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from l2r_course import figures
from l2r_course.checks import outputs
from l2r_course.labs.explanations.sentences import Answered
from l2r_course.labs.explanations.validity import Pools, draw_cases
from l2r_course.labs.helping import doses
from l2r_course.labs.helping.hints import Hinted
from l2r_course.labs.search.pool import Candidate, Question
from l2r_course.labs.search.study import Study
from l2r_course.labs.search.ways import Attempt
from l2r_course.leak_counts import benchmark_counts
from l2r_course.research.causes import Look, Watched
from l2r_course.research.evidence import Run
from l2r_course.research.findings import Comparison
from l2r_course.research.statistics import Difference, Spread
from l2r_course.scores import TokenScores
from l2r_lite.app.planner import MemoryPlan
from l2r_lite.data.pocket.world import make_problems
from l2r_lite.loop.lessons import Feedback
from l2r_lite.loop.records import ExamReport, Lesson, Problem, Rejection, Sample
from l2r_lite.runs.compare import Changed
from l2r_lite.runs.stories import Story
from l2r_lite.students.rows import Packed

KNOWN, WITHHELD = ["add", "subtract", "multiply"], ["multiply-add", "add-divide"]


def report(*accuracies: float, skills: bool = True) -> dict[str, Any]:
    """A run's report of so many rounds."""
    rounds = []
    for number, accuracy in enumerate(accuracies):
        names = [*KNOWN, *WITHHELD] if skills else []
        by_skill = {skill: min(1.0, accuracy + 0.1 * ((number + i) % 4)) for i, skill in enumerate(names)}
        rounds.append({"round": number, "accuracy": accuracy, "ci95": [accuracy - 0.05, accuracy + 0.05], "by_skill": by_skill})
    return {"rounds": rounds, "best_round": len(rounds) - 1}


def exam(samples: int, shift: int = 0) -> ExamReport:
    """Answers of a student that is mostly right on the known skills."""
    problems, said = [], []
    for number in range(30):
        skill = [*KNOWN, *WITHHELD][number % 5]
        problems.append(Problem(f"p{number}", f"What is {number} + 1?", str(number + 1), "number", skill=skill))
        for index in range(samples):
            right = (number + index + shift) % 7 > (0 if skill in KNOWN else 4)
            answer = number + (1 if right else 2 + index)
            said.append(Sample(f"p{number}", index, f"It is {answer}.", str(answer), right))
    return ExamReport(tuple(problems), tuple(said))


def story(number: int, after: float | None) -> Story:
    problem = Problem(f"p{number}", "What is 2 + 3?", "5", "number", skill=WITHHELD[number % 2])
    return Story(1, problem, "6", "", (), (), 0.0, after)


def finished(arm: str, seed: int) -> Run:
    """A run's test answers over three rounds, with a luck of its own."""
    draw = np.random.default_rng(seed + 100 * len(arm))
    test = tuple("".join(map(str, draw.binomial(1, share, 60))) for share in (0.5, 0.6, 0.7))
    fields: dict[str, Any] = {name: None for name in inspect.signature(Run).parameters}
    return Run(**{**fields, "arm": arm, "seed": seed, "test": test, "kept": 2})


def plan(student: str, size: int) -> MemoryPlan:
    return MemoryPlan(student, size, size // 2, size // 16, size // 8, size // 8, size // 4, size, size // 3)


def watched(arm: str, weight: float, seed: int) -> Watched:
    looks = [Look(step, 1 - step / 50, 0.8, 2.0, 1.0 + seed / 9, 0.1, 0.8, 0.5, 8.0, 0.3) for step in (0, 5, 10)]
    return Watched(arm, seed, weight, tuple(looks), {})


ARMS = ["tailored", "random lessons", "reflection"]
RUNS = [finished(arm, seed) for arm in ARMS for seed in range(4)]
BETTER, WORSE, OPEN = (Difference(d, d - 0.02, d + 0.02, 0.01, 9) for d in (0.05, -0.05, 0.0))
NOISE = torch.Generator().manual_seed(0)
WEIGHT = torch.randn(64, 64, generator=NOISE)
SCORES = TokenScores(
    list("abcdefgh"), 1.5 * torch.randn(8, 20, generator=NOISE), [f" {c * 3}" for c in "abcdefghijklmnopqrst"]
)  # fmt: skip
TOKENS = "How many ? It is 3 + 4 = 7 .".split()
LOSSES = [1.0 + (i % 5) for i in range(len(TOKENS))]
LOG = [{"loss": 2.0, "lm": 2.0 - i / 20, "cl": 0.9 - i / 40, "triplets": 0.5 * (i % 3 > 0)} for i in range(20)]
PART = torch.tensor([[0] * 6 + [1] * 5 + [2] * 5 + [3] * 5])
PACKED = Packed(PART, torch.arange(21)[None], PART, PART, PART.float(), torch.tensor([[10, 15, 20]]), torch.tensor([True]),
                torch.tensor([False]))  # fmt: skip
STATES = torch.randn(12, 8, generator=NOISE)
COSINES = (torch.rand(30, generator=NOISE), 0.5 * torch.rand(30, generator=NOISE))
PLANS = {name: plan(name, size) for name, size in (("small", 10**8), ("medium", 10**9), ("large", 7 * 10**9))}
LORA = [f"layers.{layer}.{kind}.lora_{part}" for layer in range(4) for kind in ("q_proj", "v_proj") for part in "AB"]
REASONS = ["wrong answer", "wrong arithmetic", "no answer", "duplicate", "copy of the mistake", "reply without rationales",
           "cut off at the token limit", "too long"]  # fmt: skip
FEEDBACKS = {
    name: Feedback([Lesson(f"p{i}", "…") for i in range(lessons)],
                   [Rejection("p", "…", reason) for i, reason in enumerate(REASONS) for _ in range(i + 1)])
    for name, lessons in (("a good teacher", 30), ("a bad teacher", 3))
}  # fmt: skip
GRADIENTS = {"pocket": (torch.randn(3, 40, generator=NOISE), [1.2, 0.8, 0.6], [100, 50])}
REPORTS = [report(0.4, 0.5, 0.7), report(0.4, 0.6, 0.5)]
CHANGES = [Changed(*map(frozenset, sets)) for sets in (("abcd", "x", "ab"), ("cdef", "xyz", "ef"))]
EXAMS = {0.3: exam(4, 0), 1.0: exam(4, 1)}
STORIES = [story(number, after) for number, after in enumerate([1.0, 1.0, 0.0, 0.5, None, None])]
LABELLED = [Answered(p, "", p.skill in WITHHELD or i % 7 == 0) for i, p in enumerate(make_problems("train", 340))]
POOLS = Pools.of(LABELLED, (85, 85))
READERS = {"first": outputs.first_candidate, "last": outputs.last_candidate}

MARKED = [Candidate(f"so {i}", str(i % 3), i % 3 == 0, 20 + i, -0.1 * i, i % 2 == 0, float(i % 3)) for i in range(8)]
WAYS = ("no rationale", "demonstrations", "repair", "beam over steps")
STUDY = Study([Question(p, MARKED[0], tuple(MARKED)) for p in make_problems("test", 17, seed=0)],
              {way: [Attempt("so 1", False, 9)] for way in WAYS})  # fmt: skip
LOOKS = {arm: [doses.Look(step, 0.5 + gain * step, 0.9, 0.1, 0.5, 0.9, 1 + gain * step) for step in (0, 20, 40)]
         for arm, gain in (("explanations", 0.001), ("answers", -0.01))}  # fmt: skip
HINTED = [Hinted(question.problem, "so 1", "First 2 + 2 = 4.", "so 4", i % 2 == 0, i % 9 == 0)
          for i, question in enumerate(STUDY.questions)]  # fmt: skip

DRAWN: dict[str, Callable[[], Figure]] = {
    "price_of_search": lambda: figures.price_of_search({"untrained": STUDY, "after a round": STUDY}),
    "help_by_step": lambda: figures.help_by_step(LOOKS),
    "one_dose": lambda: figures.one_dose(LOOKS["answers"][-1], LOOKS["answers"][0]),
    "hints_solved": lambda: figures.hints_solved({"untrained": HINTED, "after a round": HINTED}),
    "one_block": lambda: figures.one_block(figures.Block.of(WEIGHT, 3, outlier=8)),
    "inside_a_round": lambda: figures.inside_a_round(
        [watched(arm, weight, seed) for arm, weight in (("tailored", 0.0), ("reflection", 0.5)) for seed in (0, 1)]),
    "arms_by_seed": lambda: figures.arms_by_seed(RUNS, ARMS),
    "arms_in_logs": lambda: figures.arms_in_logs({"one": RUNS, "other": RUNS}, ARMS),
    "intervals": lambda: figures.intervals({"a": BETTER, "b": WORSE, "c": OPEN}),
    "what_narrows_an_interval": lambda: figures.what_narrows_an_interval(Spread(0.0009, 0.1, 0.2), 5, 200),
    "estimator_bias": lambda: figures.estimator_bias([0.3, 0.4, 0.5], [0.2, 0.3, 0.4], [0.3, 0.4, 0.5]),
    "errors_and_sentence": lambda: figures.errors_and_sentence(POOLS, POOLS.sentences[0]),
    "seen_and_verified": lambda: figures.seen_and_verified(draw_cases(POOLS, 3, cases=20), draw_cases(POOLS, 3, shuffled=True)),
    "forks": lambda: figures.forks(SCORES),
    "mistakes_by_temperature": lambda: figures.mistakes_by_temperature(EXAMS, WITHHELD),
    "mistakes_found": lambda: figures.mistakes_found(exam(4), exam(1)),
    "next_token": lambda: figures.next_token(SCORES, 2, 0.7),
    "pass_by_k": lambda: figures.pass_by_k(exam(5), WITHHELD),
    "repeated_exams": lambda: figures.repeated_exams(0.7, exams=30),
    "skill_profile": lambda: figures.skill_profile(exam(1), exam(4), WITHHELD),
    "temperatures": lambda: figures.temperatures(SCORES, 2),
    "budget_at_work": lambda: figures.budget_at_work(percent_lost=20),
    "fates": lambda: figures.fates(FEEDBACKS),
    "arms_by_round": lambda: figures.arms_by_round(RUNS, ARMS),
    "comparisons": lambda: figures.comparisons(
        [Comparison("Is it better?", "a", "b", 4, found, p) for found, p in ((BETTER, 0.01), (WORSE, 0.01), (OPEN, 0.9))]),
    "rounds_by_seed": lambda: figures.rounds_by_seed(RUNS, ARMS),
    "mistakes_by_skill": lambda: figures.mistakes_by_skill([exam(2), exam(2, 3)]),
    "replay_compared": lambda: figures.replay_compared({"replay 0": REPORTS[0], "replay 1": REPORTS[1]}),
    "skill_changes": lambda: figures.skill_changes(REPORTS[0]),
    "stopping_rule": lambda: figures.stopping_rule([0.5, 0.6, 0.55, 0.5, 0.7], 1),
    "leaks_by_net": lambda: figures.leaks_by_net(benchmark_counts()["benchmarks"]),
    "parrot_by_size": lambda: figures.parrot_by_size([10, 100, 1000], [0.2, 0.5, 0.9], [0.0, 0.0, 0.1]),
    "question_lengths": lambda: figures.question_lengths(benchmark_counts()["benchmarks"]),
    "reading": lambda: figures.reading("First 3 + 4 = 7.\nThe answer is 7.", "number"),
    "readings": lambda: figures.readings(outputs.real_outputs(), READERS),
    "round_diagram": figures.round_diagram,
    "card_planner": lambda: figures.card_planner(PLANS["large"], 8),
    "memory_by_part": lambda: figures.memory_by_part(PLANS),
    "codes_in_use": lambda: figures.codes_in_use(WEIGHT),
    "error_by_block": lambda: figures.error_by_block(WEIGHT),
    "memory_to_train": lambda: figures.memory_to_train(PLANS),
    "cosine_histograms": lambda: figures.cosine_histograms({"before": COSINES, "after": COSINES}),
    "hidden_map": lambda: figures.hidden_map(
        {"untrained": STATES, "trained": 2 * STATES}, [i % 2 > 0 for i in range(12)], list("345345345345"), marks_are="digits"),
    "best_of_equal_arms": lambda: figures.best_of_equal_arms(4, 4, 50),
    "choosing_on_the_test": lambda: figures.choosing_on_the_test(50),
    "one_seed_misleads": lambda: figures.one_seed_misleads(3.0, 50),
    "what_an_experiment_shows": lambda: figures.what_an_experiment_shows(questions=50),
    "attention_blocks": lambda: figures.attention_blocks(PACKED),
    "gradient_agreement": lambda: figures.gradient_agreement(
        LORA, {name: ([STATES] * len(LORA), [STATES + noise] * len(LORA)) for name, noise in (("right", 0.1), ("wrong", 3.0))}),
    "gradient_balance": lambda: figures.gradient_balance(GRADIENTS, "pocket"),
    "loss_moved": lambda: figures.loss_moved(TOKENS, {"before": LOSSES, "after 1 step": LOSSES[::-1]}, 3),
    "token_weights": lambda: figures.token_weights(TOKENS, LOSSES, [0.1] * 3 + [1.0] * (len(TOKENS) - 3)),
    "triplet_plane": lambda: figures.triplet_plane(figures.Triplet.descend(1.0, 40, 70, 5), COSINES),
    "first_run": lambda: figures.first_run(REPORTS[0], "What is 2 + 3?", "It is 6.", "2 + 3 = 5. The answer is 5."),
    "losses_apart": lambda: figures.losses_apart([{**entry, "lm_lessons": entry["lm"], "lm_own": 0.3} for entry in LOG]),
    "losses_by_round": lambda: figures.losses_by_round({1: LOG, 2: LOG[:7]}),
    "mistakes_by_fate": lambda: figures.mistakes_by_fate(STORIES),
    "runs_compared": lambda: figures.runs_compared(REPORTS, ["replay 0", "replay 1"], CHANGES),
    "accuracy_by_round": lambda: figures.accuracy_by_round(REPORTS, ["replay 0", "replay 1"]),
    "accuracy_by_skill": lambda: figures.accuracy_by_skill(REPORTS[0]),
    "run_overview": lambda: figures.run_overview(REPORTS[0]),
}  # fmt: skip
