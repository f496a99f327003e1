"""Intervals over seeds: known quantiles, scales, grids, and what is said where there is none."""

import math

import numpy as np
import pytest

from jaxopt_study.analysis import intervals
from jaxopt_study.analysis.intervals import no_spread
from jaxopt_study.analysis.moderated import Prior

NAN = math.nan


def by_seed(values):
    return dict(enumerate(values))


@pytest.mark.parametrize(
    ("level", "seeds", "quantile"),
    [(0.95, 2, 12.7062), (0.95, 3, 4.30265), (0.95, 10, 2.26216), (0.99, 5, 4.60409), (0.9, 31, 1.69726)],
)
def test_student_intervals_have_the_quantiles_of_the_tables(level, seeds, quantile):
    values = np.random.default_rng(0).normal(size=seeds)
    half = quantile * values.std(ddof=1) / math.sqrt(seeds)
    found = intervals.student_interval(by_seed(values), level=level)
    assert found == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-4)


def test_student_interval_by_hand():
    # Mean 2, standard deviation 1, so the half width is 4.30265 / sqrt(3).
    assert intervals.student_interval(by_seed([1.0, 2.0, 3.0])) == pytest.approx((2 - 2.48414, 2 + 2.48414), rel=1e-4)


def test_a_higher_level_gives_a_wider_interval():
    narrow, wide = (intervals.seed_estimate(by_seed([1.0, 2.0, 4.0]), level=level) for level in (0.9, 0.99))
    assert wide.low < narrow.low
    assert wide.high > narrow.high


def test_one_seed_has_no_interval_and_says_so():
    found = intervals.seed_estimate(by_seed([0.3]))
    assert (found.value, found.seeds, found.note) == (0.3, 1, "one seed: no interval")
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert all(map(math.isnan, intervals.student_interval(by_seed([0.3]))))


def test_seeds_without_a_value_are_left_out_and_said():
    found = intervals.seed_estimate(by_seed([0.2, NAN, 0.4]))
    assert found.value == pytest.approx(0.3)
    assert (found.seeds, found.note) == (2, "1 of 3 seeds have no finite value")
    assert intervals.seed_estimate(by_seed([NAN, NAN])).seeds == 0
    assert intervals.seed_estimate(by_seed([])).note == "no seeds"


def test_equal_values_have_no_interval_without_other_configurations_or_a_grid():
    found = intervals.seed_estimate(by_seed([0.1 + 0.2, 0.3, 0.3]))
    assert math.isnan(found.low)
    assert found.note == "3 equal seeds: no interval"
    assert intervals.seed_estimate(by_seed([2, 2, 2]), step=1).method == "Student's t"
    assert intervals.seed_estimate(by_seed([0.3, 0.3, 0.3]), prior=Prior(1e-4, 8.0, 20)).method == "moderated t"
    assert no_spread([0.0, 0.0])
    assert not no_spread([1e-20, 2e-20])


def test_an_interval_of_positive_values_stays_positive_and_is_of_relative_errors():
    found = intervals.seed_estimate(by_seed([0.033, 0.0466]), positive=True)  # two seeds of a cross-entropy
    assert found.value == pytest.approx(0.0398)
    assert 0 < found.low < found.value < found.high
    assert found.low * found.high == pytest.approx(found.value**2)
    assert intervals.seed_estimate(by_seed([0.0, 0.01, 0.02]), positive=True).low == 0.0
    below = intervals.seed_estimate(by_seed([-4.1, -4.0, -3.9]), positive=True)  # of a loss of one's own
    assert below.low < below.value < below.high < 0


def test_of_several_orders_of_the_data_every_interval_is_of_one_value_an_order():
    order, seed = 1 << 32, 1
    values = {0: 1.0, seed: 3.0, order: 5.0, order + seed: 7.0, 2 * order: 2.0, 2 * order + seed: NAN}
    means = by_seed([2.0, 6.0, 2.0])
    np.testing.assert_allclose(intervals.independent(values), [*means.values()])
    assert intervals.student_interval(values) == intervals.student_interval(means)
    assert intervals.seed_mean(values) == intervals.seed_mean(means)
    found = intervals.seed_estimate(values)
    assert found[:4] == intervals.seed_estimate(means)[:4]
    assert found.note == "1 of 6 seeds have no finite value"
    assert intervals.seed_estimate({0: 0.3, order: 0.3}).note == "2 equal orders: no interval"


def test_paired_differences_take_the_seeds_that_both_have():
    assert intervals.paired_differences({0: 3.0, 1: 5.0, 2: 1.0}, {1: 4.0, 0: 1.0, 7: 0.0}) == {0: 2.0, 1: 1.0}


def test_pairing_cancels_what_seeds_share():
    shared = np.random.default_rng(5).normal(size=5)
    first, second = dict(enumerate(shared + 0.1)), dict(enumerate(shared))
    assert list(intervals.paired_differences(first, second).values()) == pytest.approx(5 * [0.1])
