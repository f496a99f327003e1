"""Twelve rules with equal tuning budgets."""

import csv
import json
from collections import Counter

import commands
import jax.numpy as jnp
import numpy as np
import pytest
from plot_runs import run as made_run

from experiments import optimizers_2026
from jaxopt_study.analysis.runs import configuration
from jaxopt_study.optimizers import registry
from jaxopt_study.plots.picture import Source


def test_every_rule_has_the_same_budget():
    runs = optimizers_2026.make_runs({}, 1)
    assert set(Counter(run.optimizer for run in runs).values()) == {10}
    assert len({run.optimizer for run in runs}) == 2 * 12 - 1  # schedule-free without a schedule
    for rule, budget in optimizers_2026.BUDGETS.items():
        default = {number.name: number.default for number in registry.family(rule).hyperparameters}["learning_rate"]
        rates = {dict(run.hyperparameters)["learning_rate"] for run in runs if run.optimizer == rule}
        assert min(rates) <= default <= max(rates), rule
        assert budget.number in registry.family(rule).known()


def test_the_cosine_ends_at_zero_and_is_half_way_down_in_the_middle():
    rate = optimizers_2026.cosine(0.2, 10.0)
    np.testing.assert_allclose([rate(jnp.int32(t)) for t in (0, 5, 10, 99)], [0.2, 0.1, 0, 0], atol=1e-8)


@pytest.mark.parametrize("name", ["momentum", "muon", "prodigy"])
def test_a_rule_with_a_cosine_begins_like_its_own_and_stands_still_after_its_epochs(name):
    optimizers_2026.add_rules()
    base, decayed = registry.family(name), registry.family(f"{name}_cosine")
    numbers = {number.name: number.default for number in base.hyperparameters} | {"learning_rate": 0.1}
    params = {"a": jnp.ones((2, 2)), "b": jnp.ones((2, 2)), "c": jnp.ones((2, 2))}
    updates = []
    for rule in (base.make(numbers, 2), decayed.make({**numbers, "max_epochs": 1.5}, 2)):
        state = rule.init(params)
        for _ in range(4):
            moves, state = rule.update(params, state, params)
            updates.append(moves["b"])
    np.testing.assert_allclose(updates[0], updates[4], rtol=1e-6)
    assert np.all(np.asarray(updates[7]) == 0) or name == "momentum"  # whose velocity holds the rate of before


def test_the_table_has_the_best_rule_first_and_what_it_takes_to_be_it():
    grid = [("adamw", low, rate) for low, rate in ((0.3, 0.1), (0.5, 0.2))]
    grid += [("lion", low, rate) for low, rate in ((0.4, 0.1), (0.41, 0.2))]
    runs = [made_run(rule, seed=s, low=low, learning_rate=rate) for rule, low, rate in grid for s in (0, 1)]
    columns, rows = optimizers_2026.table(Source(runs, 0.69))
    adamw, lion = (dict(zip(columns, row, strict=True)) for row in rows)
    assert (adamw["optimizer"], lion["optimizer"]) == ("adamw", "lion")
    assert lion["loss_after_1"] > 0.4 > adamw["loss_after_10"]
    assert lion["behind"] == pytest.approx(0.1, abs=0.01)
    assert adamw["behind"] == 0
    assert adamw["wins_after"] == "1, 2" or lion["wins_after"] == "1"
    assert len({configuration(run) for run in runs}) == 4


@pytest.mark.slow
def test_the_command_leaves_its_figure_its_table_and_costs(tmp_path):
    flags = (
        "--decay_epochs=2",
        "--costs",
        "--where=learning_rate < 0.002 and learning_rate > 0.0005",
        f"--workdir={tmp_path}",
    )
    assert commands.run(optimizers_2026, *commands.TINY, *flags) == 0
    assert (tmp_path / "figures" / "optimizers_2026.svg").exists()
    with (tmp_path / "tables" / "optimizers_2026.csv").open() as file:
        assert "adamw_cosine" in {row["optimizer"] for row in csv.DictReader(file)}
    with (tmp_path / "tables" / "best_runs.csv").open() as file:
        assert all(float(row["cost"]) > 0 for row in csv.DictReader(file))
    assert json.loads((tmp_path / "stats.json").read_text())["costs"]["sgd"]["seconds_over_sgd"] == 1
