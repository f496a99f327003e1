"""Variances drawn towards those of the other configurations: the prior is found again and pulls as it should."""

import math

import numpy as np
import pytest
from scipy import special

from jaxopt_study.analysis.agreement import fit_agreement
from jaxopt_study.analysis.moderated import (
    FLOOR,
    MIN_CONFIGURATIONS,
    MOST_DOF,
    Prior,
    fit_prior,
    inverse_trigamma,
    moderate,
    prior_of,
)


def drawn(d0, s0, dof, count, seed=0):
    """Sample variances of configurations whose true ones are scaled inverse chi-squared."""
    rng = np.random.default_rng(seed)
    true = s0**2 * d0 / rng.chisquare(d0, count)
    return true * rng.chisquare(dof, count) / dof


@pytest.mark.parametrize(("d0", "s0", "dof"), [(4.0, 0.02, 2), (8.0, 0.021, 2), (3.0, 3.0, 1), (20.0, 1.0, 4)])
def test_the_prior_of_many_configurations_is_found_again(d0, s0, dof):
    found = fit_prior(drawn(d0, s0, dof, 100_000), dof, 100_000)
    assert math.sqrt(found.variance) == pytest.approx(s0, rel=0.05)
    assert found.dof == pytest.approx(d0, rel=0.2)


def test_variances_that_differ_by_no_more_than_chance_are_one():
    variances = np.random.default_rng(1).chisquare(2, 20_000) / 2
    assert fit_prior(variances, 2, 20_000).dof > 100
    assert fit_prior(special.chdtri(2, (np.arange(50) + 0.5) / 50) / 2, 2, 50).dof == MOST_DOF


def test_too_few_configurations_or_seeds_give_no_prior():
    few = MIN_CONFIGURATIONS - 1
    assert fit_prior(np.ones(few), 2, few) is None
    assert fit_prior([], 2, 0) is None
    assert fit_prior(np.zeros(50), 2, 50) is None
    assert prior_of([{0: 1.0}] * 50, [0]) is None
    assert prior_of([{0: 1.0 + at, 1: 2.0} for at in range(few)], [0, 1]) is None


def test_a_variance_goes_as_far_as_the_degrees_of_freedom_say_and_not_below_the_floor():
    prior = Prior(1.0, 8.0, 100)
    assert moderate(6.0, 2, prior) == (2.0, 10.0)  # (8 * 1 + 2 * 6) / 10
    assert moderate(0.0, 8, prior) == (FLOOR * 1.0, 16.0)  # not 0.5
    assert moderate(6.0, 2, None) == (6.0, 2)
    assert moderate(1.0, 2, Prior(1.0, MOST_DOF, 20)) == (1.0, 40)


@pytest.mark.parametrize("x", [1e-3, 0.1, 1.0, 7.5, 400.0])
def test_trigamma_is_inverted(x):
    assert inverse_trigamma(float(special.polygamma(1, x))) == pytest.approx(x, rel=1e-6)


def test_the_prior_of_a_difference_is_that_of_two_configurations():
    rng = np.random.default_rng(2)
    measured = [dict(enumerate(0.1 * rng.standard_normal(5) + at)) for at in range(60)]
    single, pair = (prior_of(measured, range(5), weights) for weights in ((1.0,), (1.0, -1.0)))
    assert math.sqrt(single.variance) == pytest.approx(0.1, rel=0.15)
    assert pair.variance == pytest.approx(2 * single.variance, rel=0.15)
    assert single.configurations == pair.configurations == 60


def test_what_the_seeds_share_is_not_in_the_prior_of_a_difference():
    rng = np.random.default_rng(3)
    shared = rng.standard_normal(4)
    measured = [dict(enumerate(shared + 0.01 * rng.standard_normal(4))) for _ in range(40)]
    assert math.sqrt(prior_of(measured, range(4), (1.0, -1.0)).variance) == pytest.approx(0.014, rel=0.2)


def test_configurations_without_a_seed_are_left_out_and_a_grid_has_the_variance_of_rounding():
    measured = [{0: 1.0, 1: 1.0, 2: 1.0}] * 30 + [{0: 5.0, 1: math.nan, 2: 9.0}, {0: 3.0}]
    assert prior_of(measured, [0, 1, 2]) is None
    found = prior_of(measured, [0, 1, 2], step=1.0)
    assert (found.configurations, found.dof) == (30, MOST_DOF)
    assert found.variance > 1 / 12


def test_configurations_that_agree_make_the_next_seed_sure_and_mixed_ones_do_not():
    agreeing = fit_agreement([0] * 80 + [3] * 20, [3] * 100)
    mixed = fit_agreement([0, 1, 2, 3] * 25, [3] * 100)
    half_learn = [float(special.betaincc(one.learns, one.fails + 3, 0.5)) for one in (agreeing, mixed)]
    assert half_learn[0] < 0.02  # that half of all runs learn, though three failed
    assert 0.05 < half_learn[1] < 0.125
    assert fit_agreement([0] * 5, [3] * 5) is None
