import numpy as np
import pytest
from plot_runs import momentum_grid, run

from jaxopt_study.analysis.runs import nearest
from jaxopt_study.plots import selection
from jaxopt_study.plots.selection import NotDrawable


def test_runs_that_differ_in_more_than_their_seed_are_never_one_group():
    runs = [run(learning_rate=0.1, momentum=0.9), run(learning_rate=0.2, momentum=0.9)]
    with pytest.raises(NotDrawable, match="more than their seed"):
        selection.grouped(runs, ("momentum",))


def test_float32_and_float64_of_one_value_are_one_group():
    runs = [run(learning_rate=0.1), run(learning_rate=float(np.float32(0.1)), seed=1)]
    assert list(map(len, selection.grouped(runs, ("learning_rate",)).values())) == [2]


def test_groups_and_values_ascend():
    runs = momentum_grid(rates=(0.1, 0.001, 0.01))
    assert selection.values(runs, "learning_rate") == [0.001, 0.01, 0.1]
    assert next(iter(selection.grouped(runs, ("learning_rate", "momentum")))) == (0.001, 0.0)


def test_no_match_says_what_was_asked_for():
    with pytest.raises(NotDrawable, match=r"no run has learning rate 0\.5"):
        selection.matching(momentum_grid(), {"learning_rate": 0.5})


@pytest.mark.parametrize(("wanted", "found"), [(0.01, 0.02), (0.1, 0.2), (0.06, 0.02), (0.07, 0.2)])
def test_the_nearest_rate_is_nearest_by_ratio(wanted, found):
    assert nearest([0.02, 0.2], wanted) == found


def test_the_nearest_momentum_is_nearest_by_difference():
    assert nearest([0.0, 0.5, 0.9], 0.95) == 0.9


@pytest.mark.parametrize("rule", ["momentum", "momentum_ema", "nesterov"])
def test_plain_sgd_stands_for_momentum_zero_at_the_rates_of_the_rule(rule):
    runs = [run(rule, learning_rate=0.1, momentum=0.9), run("sgd", learning_rate=0.1), run("sgd", learning_rate=0.5)]
    found = {(h.optimizer, h.hyperparameters["learning_rate"], h.hyperparameters["momentum"])
             for h in selection.of_rule(runs, rule)}  # fmt: skip
    assert found == {(rule, 0.1, 0.9), (rule, 0.1, 0.0)}


def test_momentum_zero_stands_for_plain_sgd_and_is_counted_once():
    runs = [run("sgd", learning_rate=0.1), *momentum_grid(rates=(0.1,), momenta=(0.0, 0.9), seeds=1)]
    (one,) = selection.of_rule(runs, "sgd")
    assert one.hyperparameters == {"learning_rate": 0.1}


def test_a_rule_without_runs_is_said_so():
    with pytest.raises(NotDrawable, match="no run of Adam"):
        selection.of_rule(momentum_grid(), "adam")


def test_diverged_epochs_are_those_of_diverged_runs():
    runs = [run(diverged=4), run(seed=1), run(seed=2, diverged=2)]
    assert selection.diverged(runs) == [2, 4]
