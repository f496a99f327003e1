"""Intervals over seeds: known quantiles, stated coverage, and what is said where there is none."""

import math

import numpy as np
import pytest

from jaxopt_study.analysis import intervals
from jaxopt_study.analysis.intervals import no_spread

NAN = math.nan


@pytest.mark.parametrize(
    ("level", "seeds", "quantile"),
    [(0.95, 2, 12.7062), (0.95, 3, 4.30265), (0.95, 10, 2.26216), (0.99, 5, 4.60409), (0.9, 31, 1.69726)],
)
def test_student_intervals_have_the_quantiles_of_the_tables(level, seeds, quantile):
    values = np.random.default_rng(0).normal(size=seeds)
    half = quantile * values.std(ddof=1) / math.sqrt(seeds)
    found = intervals.student_interval(values, level=level)
    assert found == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-4)


def test_student_interval_by_hand():
    # Mean 2, standard deviation 1, so the half width is 4.30265 / sqrt(3).
    assert intervals.student_interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.48414, 2 + 2.48414), rel=1e-4)


def test_bootstrap_is_the_same_every_time_and_follows_its_seed():
    values = np.random.default_rng(0).normal(size=8)
    assert intervals.bca_interval(values) == intervals.bca_interval(values)
    assert intervals.bca_interval(values) != intervals.bca_interval(values, seed=1)


def test_bootstrap_intervals_of_many_values_are_near_the_normal_one():
    values = np.random.default_rng(1).normal(size=200)
    half = 1.96 * values.std() / math.sqrt(200)
    for interval in (intervals.student_interval, intervals.bca_interval):
        assert interval(values) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_bca_leans_to_the_side_of_the_tail():
    values = np.random.default_rng(2).exponential(size=30)
    symmetric, bca = intervals.student_interval(values), intervals.bca_interval(values)
    assert bca[0] > symmetric[0]
    assert bca[1] > symmetric[1]


def test_seed_estimate_covers_with_three_seeds_where_the_bootstrap_alone_does_not():
    samples = np.random.default_rng(3).normal(size=(400, 3))
    misses = np.mean([not e.low <= 0 <= e.high for e in map(intervals.seed_estimate, samples)])
    alone = np.mean([not low <= 0 <= high for low, high in map(intervals.bca_interval, samples)])
    assert misses < 0.08
    assert alone > 0.2


def test_seed_estimate_is_no_narrower_than_either_interval():
    values = np.random.default_rng(4).exponential(size=6)
    found = intervals.seed_estimate(values)
    for low, high in (intervals.bca_interval(values), intervals.student_interval(values)):
        assert found.low <= low
        assert found.high >= high


def test_a_higher_level_gives_a_wider_interval():
    narrow, wide = (intervals.seed_estimate([1.0, 2.0, 4.0], level=level) for level in (0.9, 0.99))
    assert wide.low < narrow.low
    assert wide.high > narrow.high


def test_one_seed_has_no_interval_and_says_so():
    found = intervals.seed_estimate([0.3])
    assert (found.value, found.seeds, found.note) == (0.3, 1, "one seed: no interval")
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    for interval in (intervals.bca_interval, intervals.student_interval):
        assert all(map(math.isnan, interval([0.3])))


def test_seeds_without_a_value_are_left_out_and_said():
    found = intervals.seed_estimate([0.2, NAN, 0.4])
    assert found.value == pytest.approx(0.3)
    assert (found.seeds, found.note) == (2, "1 of 3 seeds have no finite value")
    assert intervals.seed_estimate([NAN, NAN]).seeds == 0
    assert intervals.seed_estimate([]).note == "no seeds"


def test_equal_values_have_an_interval_of_no_width():
    found = intervals.seed_estimate([0.1 + 0.2, 0.3, 0.3])
    assert found.low == pytest.approx(0.3)
    assert found.high - found.low < 1e-12
    assert no_spread([0.0, 0.0])
    assert not no_spread([1e-20, 2e-20])


def test_paired_differences_take_the_seeds_that_both_have():
    assert intervals.paired_differences({0: 3.0, 1: 5.0, 2: 1.0}, {1: 4.0, 0: 1.0, 7: 0.0}) == {0: 2.0, 1: 1.0}


def test_pairing_cancels_what_seeds_share():
    shared = np.random.default_rng(5).normal(size=5)
    first, second = dict(enumerate(shared + 0.1)), dict(enumerate(shared))
    found = intervals.seed_estimate(list(intervals.paired_differences(first, second).values()))
    assert found.low == pytest.approx(0.1)
    assert found.high == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("values", "bca", "student"),
    [
        ((0.25, 0.31), (0.25, 0.31), (-0.10118614208523968, 0.6611861420852397)),
        ((0.2, 0.21, 0.26), (0.20333333333333334, 0.26), (0.14347947821769325, 0.30318718844897347)),
        ((0.5, 0.1, 0.9, 0.35, 0.2), (0.22999999999999998, 0.74), (0.021297685249098697, 0.7987023147509014)),
        (
            (1.0, 1.5, -2.0, 0.0, 4.0, 0.25, 0.125, 3.0),
            (-0.18507979783767115, 2.25123469290617),
            (-0.5821064044067576, 2.5508564044067574),
        ),
    ],
)
def test_intervals_are_those_that_own_code_gave_before_scipys(values, bca, student):
    assert intervals.bca_interval(values) == pytest.approx(bca, rel=1e-12)
    assert intervals.student_interval(values) == pytest.approx(student, rel=1e-8)
