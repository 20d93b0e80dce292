"""Every figure of the course and of a run: functions from data to a matplotlib Figure."""

# ruff: noqa: F401, I001 - names for notebooks, several per line

from l2r_course.figures.block import Block, block_table, one_block
from l2r_course.figures.causes import inside_a_round
from l2r_course.figures.evidence import (
    arms_by_seed, arms_in_logs, intervals, what_narrows_an_interval)
from l2r_course.figures.explanations import errors_and_sentence, seen_and_verified
from l2r_course.figures.exam import (
    estimator_bias, forks, mistakes_by_temperature, mistakes_found, next_token, next_token_table,
    pass_by_k, repeated_exams, skill_profile, temperatures)
from l2r_course.figures.feedback import budget_at_work, fates
from l2r_course.figures.findings import arms_by_round, comparisons, rounds_by_seed
from l2r_course.figures.first_run import first_run
from l2r_course.figures.forgetting import (
    mistakes_by_skill, replay_compared, skill_changes, stopping_rule)
from l2r_course.figures.grading import (
    leaks_by_net, parrot_by_size, question_lengths, reading, readings)
from l2r_course.figures.helping import help_by_step, hints_solved, one_dose
from l2r_course.figures.loop import round_diagram
from l2r_course.figures.planning import card_planner, card_table, memory_by_part
from l2r_course.figures.quantisation import codes_in_use, error_by_block, memory_to_train
from l2r_course.figures.reflection import cosine_histograms, hidden_map
from l2r_course.figures.search import price_of_search
from l2r_course.figures.simulated import (
    best_of_equal_arms, choosing_on_the_test, one_seed_misleads, what_an_experiment_shows)
from l2r_course.figures.training import (
    attention_blocks, gradient_agreement, gradient_balance, loss_moved, losses_apart,
    token_weights)
from l2r_course.figures.triplet import Triplet, triplet_plane, triplet_table
from l2r_course.figures.whole_loop import answers_by_round, run_in_words

from l2r_lite.app.figures.base import Picture, as_html, save
from l2r_lite.app.figures.losses import losses_by_round
from l2r_lite.app.figures.panels import mistakes_by_fate, runs_compared
from l2r_lite.app.figures.readable import alt_text
from l2r_lite.app.figures.runs import accuracy_by_round, accuracy_by_skill, run_overview
