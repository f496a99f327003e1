"""Components of variance come out as the truth that the runs were made with."""

import math

import numpy as np
import pytest
from plot_runs import run as made_run

from jaxopt_study.analysis.components import components, crossed, layout, nested
from jaxopt_study.analysis.runs import Runs

TRUTH = {(0,): 0.5, (1,): 0.3, (2,): 0.2, (0, 1): 0.4, (0, 2): 0.6, (1, 2): 0.1, (0, 1, 2): 0.25}


def made(rng, shape, truth=TRUTH):
    """Values ``[studies, C, D, S]`` with a normal effect of each set of axes, constant over the other axes."""
    values = np.zeros((400, *shape))
    for axes, variance in truth.items():
        sizes = [size if axis in axes else 1 for axis, size in enumerate(shape)]
        values += math.sqrt(variance) * rng.standard_normal((400, *sizes))
    return values


@pytest.mark.parametrize("shape", [(20, 4, 3), (6, 3, 5)])
def test_the_mean_of_the_estimates_is_the_truth(shape):
    found = [crossed(values) for values in made(np.random.default_rng(0), shape)]
    for axes, variance in TRUTH.items():
        estimates = np.array([each[axes] for each in found])
        assert abs(estimates.mean() - variance) < 4 * estimates.std() / math.sqrt(len(estimates))


def test_an_axis_of_one_level_is_in_no_component():
    values = made(np.random.default_rng(0), (20, 1, 4), {(0,): 1.0, (2,): 0.5, (0, 2): 0.2})
    found = [crossed(each) for each in values]
    assert found[0].keys() == {(0,), (2,), (0, 2)}
    assert abs(np.mean([each[2,] for each in found]) - 0.5) < 0.1


def test_groups_of_different_sizes_and_values_with_errors():
    rng = np.random.default_rng(0)
    sizes, found = (2, 5, 9, 4), []
    for _ in range(2000):
        groups = [rng.normal(rng.normal(0, 1), math.sqrt(0.5 + 0.3), size) for size in sizes]
        found.append(nested(groups, noise=0.3))
    between, within = np.mean(found, axis=0)
    assert abs(within - 0.5) < 0.02
    assert abs(between - 1) < 4 * np.std([one for one, _ in found]) / math.sqrt(2000)
    assert math.isnan(nested([np.array([1.0, 2.0])])[0])


def study(rng, sds, rules=("sgd", "adam"), rates=4, orders=3, seeds=4):
    """Runs with a loss of a rule, a rate, an order and a seed, of so large standard deviations."""
    rule, order = (dict(zip(names, rng.normal(0, sd, len(names)), strict=True)) for names, sd in (
        (rules, sds["rule"]), (range(orders), sds["order"])
    ))  # fmt: skip
    runs = []
    for name in rules:
        for rate in range(rates):
            level = 0.3 + rule[name] + rng.normal(0, sds["rate"])
            for data_seed in range(orders):
                for seed in range(seeds):
                    low = level + order[data_seed] + rng.normal(0, sds["rest"])
                    run = made_run(name, seed=seed, learning_rate=0.1 * (rate + 1), low=low - 0.01 * seed, epochs=30)
                    runs.append(run.__class__(**{**run.__dict__, "data_seed": data_seed}))
    return runs


def test_a_study_tells_rule_rate_order_and_seed_apart():
    rng, found = np.random.default_rng(0), {}
    for _ in range(150):
        sds = {"rule": 0.01, "rate": 0.005, "order": 0.003, "rest": 0.002}
        for one in components(Runs(study(rng, sds)), "order"):
            found.setdefault(one.source, []).append(one.variance)
    means = {source: np.mean(values) * 1e6 for source, values in found.items()}
    assert means["configuration of a rule"] == pytest.approx(25, rel=0.15)
    assert means["order, the same for all configurations"] == pytest.approx(9, rel=0.25)
    assert means["order with seed of weights and dropout, by configuration"] == pytest.approx(4, rel=0.1)
    assert means["rule"] == pytest.approx(100, rel=0.3)
    for nothing in ("order, by configuration", "seed of weights and dropout, by configuration"):
        assert abs(means[nothing]) < 0.5


def test_what_diverged_or_lacks_a_seed_is_left_out():
    runs = study(np.random.default_rng(0), {"rule": 0.01, "rate": 0.01, "order": 0.0, "rest": 0.01})
    lost = made_run("sgd", seed=0, learning_rate=0.9, diverged=2)
    cells, values = layout(Runs([*runs[1:], lost]))
    assert (len(cells), values.shape) == (7, (7, 3, 4))
    assert components(Runs(runs[:1])) == []


def test_plain_sgd_counts_once_among_the_rules_that_it_is_the_momentum_0_of():
    runs = [
        made_run(rule, seed=s, learning_rate=rate, low=0.3 + rate, **({"momentum": m} if m else {}))
        for rule, m in (("sgd", 0), ("momentum", 0.9), ("nesterov", 0.9))
        for rate in (0.1, 0.2)
        for s in range(2)
    ]
    cells, values = layout(Runs(runs))
    assert sorted({cell.optimizer for cell in cells}) == ["momentum", "nesterov", "sgd"]
    assert (len(cells), values.shape) == (6, (6, 1, 2))


def test_without_data_seeds_there_is_no_order():
    runs = [made_run("sgd", seed=s, learning_rate=r, low=0.3 + r) for r in (0.1, 0.2, 0.3) for s in range(3)]
    found = components(Runs(runs))
    assert [one.source for one in found] == [
        "configuration of a rule", "seed of weights and dropout, the same for all configurations",
        "seed of weights and dropout, by configuration",
    ]  # fmt: skip
    assert found[1].variance == pytest.approx(1e-4, rel=1e-4)  # made_run adds 0.01 a seed
    assert sum(one.share for one in found) == pytest.approx(1)
