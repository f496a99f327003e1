"""Which configuration is the best, and that every table, figure and place that says so says the same."""

import dataclasses
import math

import numpy as np
import pytest
from made_runs import history

from experiments.article.find import ArticleRuns
from experiments.article.find import best as best_for_claims
from experiments.article.tables import best_runs
from experiments.command import terminal
from jaxopt_study.analysis.best import best_cell, best_first, best_places, best_run
from jaxopt_study.analysis.minima import seed_minima
from jaxopt_study.analysis.runs import Runs, by_configuration
from jaxopt_study.plots import heatmaps
from jaxopt_study.plots.general import configurations
from jaxopt_study.plots.picture import Source, best
from jaxopt_study.report import tables

LUCKY, STEADY = 0.1, 0.01
"""Learning rates: of one seed to 0.10 and then diverged, and of two seeds that both ended well."""


def diverging(seed=1, val=0.1, **numbers):
    """A run that gets to ``val`` and then diverges."""
    return history(seed=seed, val=[val, math.nan], status="diverged", diverged_epoch=2, **numbers)


def lucky_and_steady():
    """A (0.30, and 0.10 before it diverged) would have the lower mean; B has 0.25 twice."""
    lucky = [history(seed=0, val=[0.30, 0.31], learning_rate=LUCKY), diverging(learning_rate=LUCKY)]
    return lucky + [history(seed=seed, val=[0.25, 0.26], learning_rate=STEADY) for seed in (0, 1)]


def rate(histories):
    return histories[0].hyperparameters["learning_rate"]


def best_by_heat_map(runs):
    cells = [row[0] for row in heatmaps.table(runs, x="momentum", y="learning_rate", curve="val_loss")]
    (place,) = best_places(cells)
    return sorted({run.hyperparameters["learning_rate"] for run in runs})[place]


def best_at_the_terminal(runs):
    table = terminal.table(by_configuration(runs))
    (starred,) = [at for at, cell in enumerate(table.columns[1].cells) if "*" in cell]
    return float(list(table.columns[0].cells)[starred])


def with_momentum(runs):
    return [
        dataclasses.replace(run, optimizer="nesterov", hyperparameters={**run.hyperparameters, "momentum": 0.5})
        for run in runs
    ]


@pytest.mark.parametrize(
    "choose",
    [
        lambda runs: rate(best_cell(Runs(runs).cells("sgd")).histories),
        lambda runs: rate(best_for_claims(ArticleRuns(runs), "sgd").histories),
        lambda runs: rate(best(Source(runs), "sgd").histories),
        lambda runs: rate(configurations(runs)[0]),
        lambda runs: float(tables.best_configurations(runs).records()[0]["hyperparameters"].split()[-1]),
        lambda runs: float(best_runs(Runs(runs)).records()[0]["hyperparameters"].split()[-1]),
        lambda runs: best_by_heat_map(with_momentum(runs)),
        best_at_the_terminal,
    ],
)  # fmt: skip
def test_a_configuration_of_which_a_run_diverged_is_not_the_best_anywhere(choose):
    assert choose(lucky_and_steady()) == STEADY


def test_the_best_run_is_one_that_did_not_diverge():
    assert best_run(lucky_and_steady()) == 2


def test_no_interval_comes_of_a_loss_before_divergence():
    (row,) = tables.best_configurations(lucky_and_steady()[:2]).records()
    assert row["val_loss"] == pytest.approx(0.3)
    assert math.isnan(row["val_low"])
    assert row["note"] == "one seed: no interval; 1 of 2 seeds diverged"


def test_where_all_have_runs_that_diverged_the_mean_of_the_others_decides():
    worse = [history(seed=0, val=[0.4], learning_rate=1.0), diverging(val=0.01, learning_rate=1.0)]
    assert rate(best_first([worse, lucky_and_steady()[:2]])[0]) == LUCKY
    assert best_places([seed_minima(worse)]) == []
    assert rate(best_first([[diverging(learning_rate=1.0)], worse])[0]) == 1.0


def test_the_first_of_equals_is_the_best_and_all_are_marked():
    equal = [[history(val=[0.2], learning_rate=r)] for r in (0.3, 0.1, 0.2)]
    assert rate(best_first(equal)[0]) == 0.3
    assert best_places([seed_minima(runs) for runs in equal]) == [0, 1, 2]


def test_a_configuration_that_is_not_complete_yet_comes_after_those_that_are():
    complete = [[history(seed=s, val=[v], learning_rate=r) for s in (0, 1)] for r, v in ((0.1, 0.3), (0.2, 0.4))]
    early = [history(seed=0, val=[0.2], learning_rate=0.3)]
    assert [rate(runs) for runs in best_first([early, *complete])] == [0.1, 0.2, 0.3]
    assert rate(best_first([early])[0]) == 0.3


def test_a_failed_run_keeps_its_configuration_from_being_the_best():
    failed = history(seed=1, val=[], status="failed", learning_rate=1.0)
    broken = [history(seed=0, val=[0.1], learning_rate=1.0), failed]
    assert rate(best_first([broken, lucky_and_steady()[2:]])[0]) == STEADY


def test_the_mean_decides_and_not_the_luckiest_seed():
    mean = [[history(seed=s, val=[v], learning_rate=r) for s, v in enumerate(values)]
            for r, values in ((1.0, (0.1, 0.6)), (0.1, (0.3, 0.3)))]  # fmt: skip
    assert rate(best_first(mean)[0]) == 0.1
    np.testing.assert_allclose(seed_minima(mean[0])[:3], [0.35, 0.1, 0.6], rtol=1e-6)
