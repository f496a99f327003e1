"""Looking after every seed: seldom wrong where there is nothing, and what a p-value promises comes true."""

import dataclasses
import math

import numpy as np
import pytest
from plot_runs import run as made_run
from scipy import stats

from jaxopt_study.analysis import looking
from jaxopt_study.analysis.looking import allowed, promise
from jaxopt_study.analysis.minima import Monitor
from jaxopt_study.analysis.ranking import ranking
from jaxopt_study.analysis.runs import configuration_of


def crossed(p_values, most):
    """Of walks of p-values ``[R, looks]`` from two seeds on, the share that is ever decided."""
    return np.mean((p_values <= [allowed(seeds, most) for seeds in range(2, most + 1)]).any(axis=1))


def walks(count, most, known):
    """p-values of each look at ``count`` series of seeds without an effect, of known variance or by Student's t."""
    values = np.random.default_rng(most).standard_normal((count, most))
    looks = [values[:, :seeds] for seeds in range(2, most + 1)]
    if known:
        return np.stack([2 * stats.norm.sf(np.abs(x.sum(1)) / math.sqrt(x.shape[1])) for x in looks], axis=1)
    return np.stack([stats.ttest_1samp(x, 0, axis=1).pvalue for x in looks], axis=1)


@pytest.mark.parametrize("most", [3, 10])
def test_whoever_looks_after_every_seed_is_wrong_in_at_most_one_of_twenty(most):
    assert crossed(walks(40_000, most, known=False), most) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 40_000)


def test_without_a_bound_he_is_wrong_far_more_often():
    assert (walks(4_000, 10, known=False) <= 0.05).any(axis=1).mean() > 0.12


def test_with_a_known_variance_exactly_the_level_is_spent():
    alpha = 0.05 / looking.STUDENT
    assert abs(crossed(walks(40_000, 10, known=True), 10) - alpha) < 3 * math.sqrt(alpha / 40_000)


def test_the_first_look_allows_little_and_the_last_most_of_the_level():
    levels = [allowed(seeds, 10) for seeds in range(12)]
    assert levels[:2] == [0, 0]
    assert levels[2] == pytest.approx(0.05 / looking.STUDENT * 0.2**3, rel=1e-4)
    assert sorted(levels) == levels
    assert 0.025 < levels[10] == levels[11] < 0.05


def test_a_promise_is_the_share_of_comparisons_that_come_to_be_decided():
    rng = np.random.default_rng(0)
    effects = np.exp(rng.uniform(math.log(0.05), math.log(20), 40_000))
    first = effects + rng.standard_normal(40_000) / math.sqrt(3)
    last = 0.3 * first + 0.7 * (effects + rng.standard_normal(40_000) / math.sqrt(7))
    p = 2 * stats.norm.sf(np.abs(first) * math.sqrt(3))
    decided = 2 * stats.norm.sf(np.abs(last) * math.sqrt(10)) <= allowed(10, 10)
    for low, high in ((0.02, 0.05), (0.1, 0.2), (0.5, 0.7)):
        near = (p > low) & (p < high)
        assert abs(decided[near].mean() - np.mean([promise(x, 3, 10) for x in p[near][:200]])) < 0.05
    assert promise(math.nan, 1, 10) == 1
    assert promise(0.04, 10, 10) == 0


def test_the_ranking_asks_for_the_best_few_and_for_those_that_may_be_among_them():
    lows = {0.1: 0.300, 0.2: 0.301, 0.3: 0.4, 0.4: 0.9, 0.5: 0.4005}
    noise = np.random.default_rng(0).normal(0, 0.002, (5, 6))
    runs = [
        made_run(learning_rate=rate, seed=seed, low=low + noise[i, seed], optimizer="sgd")
        for i, (rate, low) in enumerate(lows.items())
        for seed in range(6)
    ]
    wanted = [{configuration_of("sgd", {"learning_rate": rate}) for rate in pair} for pair in ((0.1, 0.2), (0.3, 0.5))]
    assert [set(question.configurations) for question in ranking(runs, 10)] == wanted
    # Plain SGD is in the ranking once, though it is what momentum 0 of the other rules is.
    others = [
        made_run(rule, seed=s, learning_rate=0.1, momentum=0.5, low=0.8 + 0.01 * s)
        for rule in ("momentum", "nesterov")
        for s in range(6)
    ]
    assert [set(question.configurations) for question in ranking([*runs, *others], 10)] == wanted
    # The same places by a score that is to be large, whatever the losses say; and by losses that are not above 0.
    scored = [with_curves(run, f1=0.5 - run.curves["val_loss"], val_loss=2 - run.curves["val_loss"]) for run in runs]
    assert [set(question.configurations) for question in ranking(scored, 10, Monitor("f1", "max"))] == wanted
    assert [set(question.configurations) for question in ranking(scored, 10)] != wanted
    negative = [with_curves(run, val_loss=run.curves["val_loss"] - 0.6) for run in runs]
    assert [set(question.configurations) for question in ranking(negative, 10)] == wanted


def with_curves(run, **curves):
    return dataclasses.replace(run, curves={**run.curves, **curves})
