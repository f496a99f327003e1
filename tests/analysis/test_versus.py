"""Which of two tuned rules is better: what is said holds as often as it claims, and looking often costs nothing."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from jaxopt_study.analysis.halves import chosen_by_halves, folds
from jaxopt_study.analysis.looking import CHANGES, allowed
from jaxopt_study.analysis.minima import Monitor
from jaxopt_study.analysis.versus import versus
from jaxopt_study.history import CURVES, History


def side(losses, name="adam"):
    """Configurations with these lowest losses, ``[C, S]``."""
    return [
        [
            History(name, {"learning_rate": 0.1 * (c + 1)}, s, "finished", dict.fromkeys(CURVES, np.array([loss])))
            for s, loss in enumerate(row)
        ]
        for c, row in enumerate(losses)
    ]


def test_a_side_whose_every_loss_is_a_tenth_lower_is_better_by_a_tenth():
    seeds = np.random.default_rng(0).uniform(0.9, 1.1, 6)
    noise = np.random.default_rng(1).uniform(0.999, 1.001, 6)
    found = versus(side([0.9 * seeds * noise, 2 * seeds]), side([seeds, 3 * seeds]), 10)
    assert found.better == 0
    assert abs(found.effect + 0.1) < 0.002
    assert found.low < -0.1 < found.high < 0
    other = versus(side([seeds]), side([0.9 * seeds * noise]), 10)
    assert other.better == 1
    assert abs(other.effect - 1 / 0.9 + 1) < 0.002


def test_nothing_is_said_of_fewer_than_two_seeds():
    assert versus(side([[1.0]]), side([[0.5]])).better is None
    assert versus(side([[1.0]]), side([[0.5]])).reason == "fewer than two seeds of both"
    assert versus([], side([[0.5, 0.5]])).better is None


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_run_that_diverged_or_failed_counts_as_guessing(status):
    """A rule is not told by the seeds that it survived: lower in four of ten, it is not the better one."""
    losses = np.linspace(0.4, 0.403, 10)
    (survives,), steady = side([losses]), side([np.linspace(0.5, 0.511, 10)])
    mostly_lost = [replace(run, status=status) if run.seed >= 4 else run for run in survives]
    found = versus([mostly_lost], steady, 10, chance=np.log(2))
    logs = np.where(np.arange(10) < 4, np.log(losses), np.log(np.log(2))) - np.log(np.linspace(0.5, 0.511, 10))
    assert (found.better, found.seeds, found.effect) == (None, 10, pytest.approx(np.expm1(logs.mean())))
    assert found.reason == "in 6 of 10 seeds a run diverged or failed, which counts as guessing, 0.6931"
    all_lost = [[replace(run, status=status) for run in survives]]
    assert versus(all_lost, steady, 10, chance=np.log(2)).better == 1
    assert versus(steady, all_lost, chance=np.log(2)).effect == pytest.approx(np.expm1(-(logs[-1] + 0.0)), abs=0.02)
    unknown = versus([mostly_lost], steady, 10)
    assert unknown.effect > -0.1
    assert unknown.reason.endswith("which counts as the worst loss told, 0.511")
    share = versus([mostly_lost], steady, monitor=Monitor("val_loss", "max"))
    assert share.reason.endswith("which counts as the worst val_loss told, 0.4")


def test_no_loss_counts_as_worse_than_guessing():
    noise = np.random.default_rng(2).uniform(0.99, 1.01, 5)
    exploded, guessing = (versus(side([at * noise]), side([0.5 * noise]), chance=0.7) for at in (1e4, 0.71))
    assert exploded.effect == pytest.approx(guessing.effect)
    assert exploded.better == 1


def simulated(losses, most):
    """Whether anything is told of pairs of sides ``[2, N, C, S]`` with a look after each seed, and the last p."""
    found = np.zeros(losses.shape[1], bool)
    for seeds in range(2, most + 1):
        told = np.empty((2, losses.shape[1], seeds))
        for of, choosing in folds(range(seeds)):
            best = losses[..., choosing].mean(-1).argmin(-1)
            told[..., of] = np.log(np.take_along_axis(losses[..., of], best[..., None, None], 2)[:, :, 0])
        apart = told[0] - told[1]
        grows = chosen_by_halves(seeds)
        error = np.sqrt((grows.mean / grows.spread) * apart.var(1, ddof=1) / seeds)
        p = 2 * special.stdtr(seeds - 1, -np.abs(apart.mean(1)) / error)
        found |= p <= allowed(seeds, most, 0.05 / CHANGES)
    return found, p


@pytest.mark.parametrize("configurations", [3, 5])
def test_of_ten_thousand_pairs_of_equal_rules_a_twentieth_at_most_is_told_apart(configurations):
    losses = np.exp(np.random.default_rng(7).normal(0, 0.1, (2, 10_000, configurations, 8)))
    found, last = simulated(losses, 8)
    assert found.mean() <= 0.05
    for at in range(5):  # the simulation is what the comparison does
        both = [side(of[at], name) for of, name in zip(losses, ("adam", "lion"), strict=True)]
        assert versus(*both, 8).p == pytest.approx(last[at], rel=1e-6)
        looks = [versus(*([runs[:n] for runs in of] for of in both), 8).better for n in range(2, 9)]
        assert found[at] == any(look is not None for look in looks)


def test_of_several_orders_of_the_data_the_difference_of_each_is_one_value():
    losses = [1.0, 1.1, 0.9, 1.05, 1.2, 1.0]
    sides = [
        [[replace(run, data_seed=run.seed // 2) for run in runs] for runs in side([[factor * x for x in losses]])]
        for factor in (0.9, 1)
    ]
    sides[0][0][0].curves["val_loss"][0] *= 1.1
    alone, found = versus(side([[run.curves["val_loss"][0] for run in sides[0][0]]]), side([losses])), versus(*sides)
    assert (alone.seeds, found.seeds) == (6, 3)
    assert found.high - found.low > 1.5 * (alone.high - alone.low)


def test_losses_that_are_not_positive_are_compared_by_their_difference():
    rng = np.random.default_rng(3)
    found = versus(side([rng.normal(-1, 0.01, 6)]), side([rng.normal(-2, 0.01, 6)]))
    assert found.better == 1
    assert abs(found.effect - 1) < 0.02


def test_what_is_to_be_large_is_better_where_it_is_larger_and_told_by_its_difference():
    rng = np.random.default_rng(4)
    higher, lower = (side([rng.normal(mean, 0.01, 6), np.full(6, 0.1)]) for mean in (0.9, 0.8))
    for first, second, better, effect in ((higher, lower, 0, 0.1), (lower, higher, 1, -0.1)):
        found = versus(first, second, 8, Monitor("val_loss", "max"))
        assert found.better == better
        assert abs(found.effect - effect) < 0.02
        assert found.low < found.effect < found.high
        assert found.low * found.high > 0


def test_a_difference_that_is_the_same_in_every_seed_is_told_without_an_interval():
    seeds = np.array([1.0, 2.0, 4.0])
    found = versus(side([2 * seeds]), side([seeds]))
    assert (found.better, found.effect, found.seeds) == (None, pytest.approx(1.0), 3)
    assert np.isnan([found.low, found.high, found.p]).all()
    assert found.reason == "all seeds differ by exactly the same"
    shares = [side([[share] * 3]) for share in (0.96875, 0.9375)]
    assert versus(*shares, monitor=Monitor("val_loss", "max")).effect == 0.03125
    assert versus(side([seeds]), side([seeds])).effect == 0


def test_of_an_order_whose_every_run_diverged_the_difference_is_one_value_too():
    """Three seeds of one order have its luck in common, whatever the other order's runs did."""
    losses = [1.0, 1.1, 0.9, np.nan, np.nan, np.nan]
    first, second = (
        [[replace(run, data_seed=run.seed // 3) for run in runs] for runs in side([of])]
        for of in (losses, np.array([2.0, 2.3, 1.7, 2.0, 2.0, 2.1]))
    )
    found = versus(first, second)
    assert (found.better, found.seeds) == (None, 2)
    assert found.reason.startswith("in 3 of 6 seeds a run diverged")
