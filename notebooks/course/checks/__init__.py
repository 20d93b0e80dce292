"""The exercises' checks, one module per notebook."""

# ruff: noqa: F401, I001 - names for notebooks, several per line

from l2r_course.checks.budget import check_budget, check_new_calls, check_plan
from l2r_course.checks.evidence import (
    check_holm, check_seeds_needed, check_standard_error, check_two_stories)
from l2r_course.checks.exam import (
    check_mistakes, check_pass_at_k, check_probabilities, check_wilson_interval)
from l2r_course.checks.explanations import check_auc, check_reranked, check_twin, check_validity
from l2r_course.checks.four_bit import (
    check_four_bit_bytes, check_lora, check_quantise_block, check_trainable)
from l2r_course.checks.from_scratch import check_rate, check_sampled_items, check_scales
from l2r_course.checks.grading import check_choice, check_extract_answer, check_same_number
from l2r_course.checks.lab_report import (
    check_claims, check_exploratory, check_honest_verdict, check_unfair)
from l2r_course.checks.helping import check_curves, check_hint, check_hint_tokens
from l2r_course.checks.leaks import check_leaks
from l2r_course.checks.reflection import (
    check_positive, check_pushing_margins, check_triplet_loss, check_triplet_texts)
from l2r_course.checks.replay import check_knobs, check_replay
from l2r_course.checks.rounds import check_forgotten, check_stopping
from l2r_course.checks.search import check_front, check_true_but_wrong, check_vote
from l2r_course.checks.teacher import check_payload, check_verdicts, check_verifier, six_replies
from l2r_course.checks.training import (
    check_joint_loss, check_lm_loss, check_mask, check_weights, check_what_moves)
from l2r_course.checks.progress import progress
from l2r_course.checks.your_turn import check_bill, check_items, check_line
