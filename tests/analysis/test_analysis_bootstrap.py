"""Intervals over seeds: known quantiles, stated coverage, and what is said where there is none."""

import math

import numpy as np
import pytest

from jaxopt_study import analysis
from jaxopt_study.analysis.intervals import no_spread, student_quantile

NAN = math.nan


@pytest.mark.parametrize(
    ("probability", "freedom", "quantile"),
    [
        (0.975, 1, 12.7062),
        (0.975, 2, 4.30265),
        (0.975, 9, 2.26216),
        (0.995, 4, 4.60409),
        (0.95, 30, 1.69726),
        (0.5, 3, 0),
    ],
)
def test_student_quantiles_are_those_of_the_tables(probability, freedom, quantile):
    assert student_quantile(probability, freedom) == pytest.approx(quantile, rel=1e-4, abs=1e-9)


def test_student_interval_by_hand():
    # Mean 2, standard deviation 1, so the half width is 4.30265 / sqrt(3).
    assert analysis.student_interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.48414, 2 + 2.48414), rel=1e-4)


def test_bootstrap_is_the_same_every_time_and_follows_its_seed():
    values = np.random.default_rng(0).normal(size=8)
    for interval in (analysis.percentile_interval, analysis.bca_interval):
        assert interval(values) == interval(values)
        assert interval(values) != interval(values, seed=1)


def test_bootstrap_intervals_of_many_values_are_near_the_normal_one():
    values = np.random.default_rng(1).normal(size=200)
    half = 1.96 * values.std() / math.sqrt(200)
    for interval in (analysis.percentile_interval, analysis.bca_interval):
        assert interval(values) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_bca_leans_to_the_side_of_the_tail():
    values = np.random.default_rng(2).exponential(size=30)
    percentile, bca = analysis.percentile_interval(values), analysis.bca_interval(values)
    assert bca[0] > percentile[0]
    assert bca[1] > percentile[1]


def test_seed_estimate_covers_with_three_seeds_where_the_bootstrap_alone_does_not():
    samples = np.random.default_rng(3).normal(size=(400, 3))
    misses = np.mean([not e.low <= 0 <= e.high for e in map(analysis.seed_estimate, samples)])
    alone = np.mean([not low <= 0 <= high for low, high in map(analysis.bca_interval, samples)])
    assert misses < 0.08
    assert alone > 0.2


def test_seed_estimate_is_no_narrower_than_either_interval():
    values = np.random.default_rng(4).exponential(size=6)
    found = analysis.seed_estimate(values)
    for low, high in (analysis.bca_interval(values), analysis.student_interval(values)):
        assert found.low <= low
        assert found.high >= high


def test_a_higher_level_gives_a_wider_interval():
    narrow, wide = (analysis.seed_estimate([1.0, 2.0, 4.0], level=level) for level in (0.9, 0.99))
    assert wide.low < narrow.low
    assert wide.high > narrow.high


def test_one_seed_has_no_interval_and_says_so():
    found = analysis.seed_estimate([0.3])
    assert (found.value, found.seeds, found.note) == (0.3, 1, "one seed: no interval")
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    for interval in (analysis.percentile_interval, analysis.bca_interval, analysis.student_interval):
        assert all(map(math.isnan, interval([0.3])))


def test_seeds_without_a_value_are_left_out_and_said():
    found = analysis.seed_estimate([0.2, NAN, 0.4])
    assert found.value == pytest.approx(0.3)
    assert (found.seeds, found.note) == (2, "1 of 3 seeds have no finite value")
    assert analysis.seed_estimate([NAN, NAN]).seeds == 0
    assert analysis.seed_estimate([]).note == "no seeds"


def test_equal_values_have_an_interval_of_no_width():
    found = analysis.seed_estimate([0.1 + 0.2, 0.3, 0.3])
    assert found.low == pytest.approx(0.3)
    assert found.high - found.low < 1e-12
    assert no_spread([0.0, 0.0])
    assert not no_spread([1e-20, 2e-20])


def test_paired_differences_take_the_seeds_that_both_have():
    assert analysis.paired_differences({0: 3.0, 1: 5.0, 2: 1.0}, {1: 4.0, 0: 1.0, 7: 0.0}) == {0: 2.0, 1: 1.0}


def test_pairing_cancels_what_seeds_share():
    shared = np.random.default_rng(5).normal(size=5)
    first, second = dict(enumerate(shared + 0.1)), dict(enumerate(shared))
    found = analysis.seed_estimate(list(analysis.paired_differences(first, second).values()))
    assert found.low == pytest.approx(0.1)
    assert found.high == pytest.approx(0.1)


def test_band_holds_the_mean_and_ends_with_the_longest_curve():
    curves = [[1.0, 2.0, 3.0], [3.0, 4.0], [2.0, NAN, NAN]]
    found = analysis.band(curves)
    assert found.epoch.tolist() == [1, 2, 3]
    assert found.mean.tolist() == [2.0, 3.0, 3.0]
    assert found.seeds.tolist() == [3, 2, 1]
    assert (found.low[:2] <= found.mean[:2]).all()
    assert (found.high[:2] >= found.mean[:2]).all()
    assert np.isnan(found.low[2])
    assert (found.low[0], found.high[0]) == (1.0, 3.0)


def test_band_where_all_runs_diverged_is_empty():
    found = analysis.band([[1.0, NAN], [2.0, NAN]])
    assert np.isnan(found.mean[1])
    assert found.seeds[1] == 0
