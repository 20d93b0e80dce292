"""Every figure: functions that take data and return a matplotlib Figure; notebooks, reports, widgets and README share them."""

from l2r_course.figures.block import Block, block_table, one_block
from l2r_course.figures.causes import inside_a_round
from l2r_course.figures.evidence import (
    arms_by_seed,
    arms_in_logs,
    best_of_equal_arms,
    bootstrap_differences,
    choosing_on_the_test,
    one_seed_misleads,
    what_an_experiment_shows,
    what_narrows_an_interval,
)
from l2r_course.figures.exam import (
    estimator_bias,
    forks,
    mistakes_by_temperature,
    mistakes_found,
    next_token,
    next_token_table,
    pass_by_k,
    repeated_exams,
    skill_profile,
    temperatures,
)
from l2r_course.figures.feedback import budget_at_work, fates
from l2r_course.figures.findings import arms_by_round, comparisons, knobs_turned
from l2r_course.figures.forgetting import (
    mistakes_by_skill,
    replay_compared,
    skill_changes,
    stopping_rule,
)
from l2r_course.figures.grading import (
    leaks_by_net,
    parrot_by_size,
    question_lengths,
    reading,
    readings,
)
from l2r_course.figures.loop import loss_curves, round_diagram
from l2r_course.figures.planning import card_planner, card_table, memory_by_part
from l2r_course.figures.quantisation import codes_in_use, error_by_block, memory_to_train
from l2r_course.figures.reflection import cosine_histograms, hidden_map
from l2r_course.figures.training import (
    attention_blocks,
    gradient_agreement,
    gradient_balance,
    loss_moved,
    token_weights,
)
from l2r_course.figures.triplet import Triplet, triplet_plane, triplet_table

from l2r_lite.app.figures.base import Picture, as_html, save
from l2r_lite.app.figures.panels import losses_by_round, mistakes_by_fate, runs_compared
from l2r_lite.app.figures.runs import (
    accuracy_by_round,
    accuracy_by_skill,
    run_overview,
)

__all__ = [
    "Block",
    "Picture",
    "Triplet",
    "accuracy_by_round",
    "accuracy_by_skill",
    "arms_by_round",
    "arms_by_seed",
    "arms_in_logs",
    "as_html",
    "attention_blocks",
    "best_of_equal_arms",
    "block_table",
    "bootstrap_differences",
    "budget_at_work",
    "card_planner",
    "card_table",
    "choosing_on_the_test",
    "codes_in_use",
    "comparisons",
    "cosine_histograms",
    "error_by_block",
    "estimator_bias",
    "fates",
    "forks",
    "gradient_agreement",
    "gradient_balance",
    "hidden_map",
    "inside_a_round",
    "knobs_turned",
    "leaks_by_net",
    "loss_curves",
    "loss_moved",
    "losses_by_round",
    "memory_by_part",
    "memory_to_train",
    "mistakes_by_fate",
    "mistakes_by_skill",
    "mistakes_by_temperature",
    "mistakes_found",
    "next_token",
    "next_token_table",
    "one_block",
    "one_seed_misleads",
    "parrot_by_size",
    "pass_by_k",
    "question_lengths",
    "reading",
    "readings",
    "repeated_exams",
    "replay_compared",
    "round_diagram",
    "run_overview",
    "runs_compared",
    "save",
    "skill_changes",
    "skill_profile",
    "stopping_rule",
    "temperatures",
    "token_weights",
    "triplet_plane",
    "triplet_table",
    "what_an_experiment_shows",
    "what_narrows_an_interval",
]
