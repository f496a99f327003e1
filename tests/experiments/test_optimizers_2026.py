"""Twelve rules with equal tuning budgets."""

import csv
import json
import math

import commands
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import optimizers_2026
from jaxopt_study.optimizers import registry


def test_every_rule_has_the_same_budget():
    rules = optimizers_2026.rules(())
    assert {math.prod(map(len, axes.values())) for axes in rules.values()} == {10}
    assert len(rules) == 2 * 12 - 1  # schedule-free without a schedule
    for rule, budget in optimizers_2026.BUDGETS.items():
        default = {number.name: number.default for number in registry.family(rule).hyperparameters}["learning_rate"]
        assert min(rules[rule]["learning_rate"]) <= default <= max(rules[rule]["learning_rate"]), rule
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


@pytest.mark.slow
def test_the_command_judges_at_equal_time_what_costs_were_measured_of(tmp_path):
    flags = ("--problems=table", "--optimizers=adamw,muon_cosine", "--seeds=2", "--max_epochs=3", "--costs")
    assert commands.run(optimizers_2026, *flags, f"--workdir={tmp_path}") == 0
    with (tmp_path / "over_problems_equal_time.csv").open() as file:
        assert {row["optimizer"] for row in csv.DictReader(file)} == {"adamw", "muon_cosine"}
    stats = json.loads((tmp_path / "table" / "stats.json").read_text())
    assert stats["costs"]["sgd"]["seconds_over_sgd"] == 1
    assert "## At equal time" in (tmp_path / "README.md").read_text()
