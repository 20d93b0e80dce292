"""Statistics over seeds and questions: known values, brute force, and made-up runs with known truth."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import sem, t

from l2r_course.research import statistics as st
from l2r_lite.runs.statistics import mean_interval


def test_mean_interval_is_that_of_a_t_table() -> None:
    mean, half = mean_interval([80.0, 82.0, 87.0])  # deviation 3.6056, t(2) = 4.3027
    assert mean == pytest.approx(83.0) and half == pytest.approx(4.3027 * 3.6056 / math.sqrt(3), rel=1e-3)
    assert math.isnan(mean_interval([80.0])[1])


def test_mean_interval_is_the_t_interval_for_25_values_too() -> None:
    """A table that ended at 20 degrees of freedom made it up to 6 % too narrow from 21 values on."""
    values = np.random.default_rng(0).normal(80, 3, 25)
    mean, half = mean_interval(list(values))
    low, high = t.interval(0.95, 24, loc=values.mean(), scale=sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))


def test_differences_are_taken_pair_by_pair_and_only_of_pairs() -> None:
    assert st.differences([[1, 0], [1, 1]], [[0, 1], [1, 0]]).tolist() == [[1, -1], [0, 1]]
    for first, second in (([[1, 0]], [[1], [0]]), ([1, 0], [1, 0]), (np.zeros((0, 3)), np.zeros((0, 3)))):
        with pytest.raises(ValueError, match="same seeds and the same test questions"):
            st.differences(first, second)


def test_an_interval_by_hand() -> None:
    """Every mean square is 0.25, so the variance is 0.25 / 4, and f is 1/3, raised to 1: t = 12.7062."""
    found = st.paired_difference([[1, 1], [1, 0]], [[0, 0], [0, 0]])
    assert (found.difference, found.standard_error, found.freedom) == pytest.approx((0.75, 0.25, 1.0))
    assert (found.low, found.high) == pytest.approx((0.75 - 12.7062 * 0.25, 0.75 + 12.7062 * 0.25)) and not found.decided


def test_an_interval_equals_one_computed_cell_by_cell() -> None:
    a, b = st.simulate([0.8, 0.6], 0.1, seeds=4, questions=30, seed=5)[0].astype(int)
    d, seeds, questions = [[int(x - y) for x, y in zip(*rows, strict=True)] for rows in zip(a, b, strict=True)], 4, 30
    mean = sum(map(sum, d)) / (seeds * questions)
    by_seed = [sum(row) / questions for row in d]
    by_question = [sum(column) / seeds for column in zip(*d, strict=True)]
    cells = list(itertools.product(range(seeds), range(questions)))
    rest = sum((d[s][q] - by_seed[s] - by_question[q] + mean) ** 2 for s, q in cells) / (3 * 29)
    of_seeds = questions * sum((x - mean) ** 2 for x in by_seed) / 3
    of_questions = seeds * sum((x - mean) ** 2 for x in by_question) / 29
    total = of_seeds + of_questions - rest
    freedom = total**2 / (of_seeds**2 / 3 + of_questions**2 / 29 + rest**2 / (3 * 29))
    half = t.ppf(0.975, freedom) * math.sqrt(total / (seeds * questions))
    found = st.paired_difference(a, b)
    assert (found.low, found.high, found.freedom) == pytest.approx((mean - half, mean + half, freedom)) and freedom > 1
    assert found.standard_error == pytest.approx(st.spread(st.differences(a, b)).standard_error(seeds, questions))


def test_an_interval_cancels_what_both_arms_share_and_turns_with_their_order() -> None:
    rng = np.random.default_rng(0)
    a = (rng.random((5, 1)) > rng.random((1, 60))).astype(int)
    same = st.paired_difference(a, a)
    assert (same.low, same.high, same.standard_error, same.decided) == (0.0, 0.0, 0.0, False)
    b = 1 - a
    one, turned = st.paired_difference(a, b), st.paired_difference(b, a)
    assert (turned.low, turned.high) == pytest.approx((-one.high, -one.low)) and one.high > one.low
    for first, second in ((a[:1], b[:1]), (a[:, :1], b[:, :1])):
        with pytest.raises(ValueError, match="at least 2 seeds and 2 questions"):
            st.paired_difference(first, second)
    with pytest.raises(ValueError, match="same seeds and the same test questions"):
        st.paired_difference(a, b[:3])


def test_an_interval_is_decided_where_it_leaves_out_zero() -> None:
    ones, noughts = np.ones((3, 4)), np.zeros((3, 4))
    assert st.paired_difference(ones, noughts).decided and st.paired_difference(noughts, ones).decided
    assert st.paired_difference(ones, noughts).low == 1.0


def test_where_neither_seeds_nor_questions_seem_to_matter_the_rest_alone_counts() -> None:
    """Every seed and every question has the same mean: both mean squares are 0, and their sum less the rest is negative."""
    d = np.array([[1, -1, 0], [0, 1, -1], [-1, 0, 1]])
    found = st.paired_difference(d, np.zeros_like(d))
    assert (found.standard_error, found.freedom) == pytest.approx((math.sqrt(6 / 4 / 9), 4.0))
    assert found.high == pytest.approx(t.ppf(0.975, 4) * found.standard_error)


@pytest.mark.parametrize("deviation", [0.0, 0.02, 0.04, 0.08])
@pytest.mark.parametrize(("seeds", "questions", "experiments"), [(10, 1020, 400), (8, 170, 1000), (3, 170, 1500)])
def test_intervals_hold_the_truth_as_often_as_they_say(seeds: int, questions: int, experiments: int, deviation: float) -> None:
    """95 %, whether seeds matter much or not at all. (A crossed bootstrap held it in 90 to 95 %, and in 99 %.)"""
    right = st.simulate([0.72, 0.68], deviation, seeds=seeds, questions=questions, experiments=experiments, seed=3)
    found = [st.paired_difference(a, b) for a, b in right]
    assert 0.93 <= np.mean([x.low <= 0.04 <= x.high for x in found]) <= 0.97
    errors = [x.difference - 0.04 for x in found]
    assert math.sqrt(np.mean([x.standard_error**2 for x in found])) == pytest.approx(np.std(errors), rel=0.07)


def test_spread_by_hand_and_recovered_from_made_up_numbers() -> None:
    by_hand = st.spread([[1.0, 2.0], [3.0, 4.0]])  # purely additive: nothing is left for the rest
    assert (by_hand.seeds, by_hand.questions, by_hand.rest) == pytest.approx((2.0, 0.5, 0.0))
    rng = np.random.default_rng(0)
    x = rng.normal(0, 2, (60, 1)) + rng.normal(0, 1, (1, 400)) + rng.normal(0, 3, (60, 400))
    found = st.spread(x)
    assert (found.seeds, found.questions, found.rest) == pytest.approx((4, 1, 9), rel=0.35)
    assert st.spread(np.ones((3, 3))) == st.Spread(0.0, 0.0, 0.0)
    for bad in (np.ones((1, 5)), np.ones((5, 1)), np.ones(5)):
        with pytest.raises(ValueError, match="at least 2 seeds and 2 questions"):
            st.spread(bad)


def test_standard_error_is_that_of_repeated_experiments() -> None:
    parts, rng = st.Spread(4.0, 1.0, 9.0), np.random.default_rng(0)
    means = [(rng.normal(0, 2, (5, 1)) + rng.normal(0, 1, (1, 20)) + rng.normal(0, 3, (5, 20))).mean() for _ in range(4000)]
    assert parts.standard_error(5, 20) == pytest.approx(np.std(means), rel=0.05)


def test_sign_flip_test_equals_brute_force_and_cannot_go_below_two_in_two_to_the_n() -> None:
    values = [3.0, -1.0, 2.0, 0.5]
    flipped = [abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in itertools.product((1, -1), repeat=4)]
    assert st.sign_flip_test(values) == np.mean([f >= abs(sum(values)) - 1e-9 for f in flipped])
    for n in (1, 3, 5, 6):
        assert st.sign_flip_test(np.arange(1, n + 1)) == 2 / 2**n
    assert st.sign_flip_test([0.0, 0.0]) == 1.0
    assert st.sign_flip_test(np.array([values, [1, 1, 1, 1]])).tolist() == [st.sign_flip_test(values), 0.125]
    for bad in ([], np.ones(17), 1.0):
        with pytest.raises(ValueError, match="1 to 16 seeds"):
            st.sign_flip_test(bad)


def test_holm_gives_known_values() -> None:
    assert st.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # as R's p.adjust(p, "holm")
    for p, corrected in (([0.6, 0.7], [1.0, 1.0]), ([0.04], [0.04]), ([], []), ([0.02, 0.02], [0.04, 0.04])):
        assert st.holm(p) == pytest.approx(corrected)


def test_holm_calls_a_difference_among_equal_arms_at_most_about_once_in_twenty() -> None:
    rng = np.random.default_rng(1)
    p = st.sign_flip_test(rng.normal(size=(600, 8, 10)))
    assert np.mean(p.min(1) < 0.05) > 0.2 and np.mean([min(st.holm(list(row))) < 0.05 for row in p]) < 0.08


def test_seeds_needed_finds_the_difference_as_often_as_it_says() -> None:
    assert [st.seeds_needed(d, 2.0) for d in (2.0, 1.0, -2.0, 100.0)] == [8, 32, 8, 1] and st.seeds_needed(1.0, 0.0) == 1
    n = st.seeds_needed(1.0, 2.0)
    means = np.random.default_rng(0).normal(1.0, 2.0, (4000, n)).mean(1)
    assert np.mean(means - 1.96 * 2.0 / math.sqrt(n) > 0) == pytest.approx(0.8, abs=0.03)
    for difference, deviation in ((0.0, 1.0), (1.0, -1.0)):
        with pytest.raises(ValueError, match="no number of seeds"):
            st.seeds_needed(difference, deviation)


def test_the_smallest_difference_is_the_one_that_needs_these_seeds() -> None:
    assert st.smallest_difference(8, 2.0) == pytest.approx(2.8016 * 2.0 / math.sqrt(8), rel=1e-4)
    for seeds, power in itertools.product((1, 3, 10, 40), (0.5, 0.8, 0.95)):
        smallest = st.smallest_difference(seeds, 3.0, power=power)
        assert st.seeds_needed(smallest * 1.0001, 3.0, power=power) == seeds
        assert st.seeds_needed(smallest * 0.9999, 3.0, power=power) == seeds + 1
    for seeds, deviation in ((0, 1.0), (3, -1.0)):
        with pytest.raises(ValueError, match="at least one seed"):
            st.smallest_difference(seeds, deviation)


def test_simulated_runs_have_the_accuracies_and_the_spread_that_were_asked_for() -> None:
    right = st.simulate([0.8, 0.6], 0.05, seeds=200, questions=300, experiments=10)
    assert right.shape == (10, 2, 200, 300) and right.mean((0, 2, 3)) == pytest.approx([0.8, 0.6], abs=0.02)
    parts = [st.spread(st.differences(a, b)) for a, b in right]
    assert math.sqrt(np.mean([p.seeds for p in parts])) == pytest.approx(0.05, rel=0.15)
    shared, alone = (st.simulate([0.7, 0.7], 0.0, seeds=1, questions=4000, shared=s)[0, :, 0] for s in (1.0, 0.0))
    assert (shared[0] == shared[1]).all() and np.mean(alone[0] == alone[1]) == pytest.approx(0.7**2 + 0.3**2, abs=0.03)
