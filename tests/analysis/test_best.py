"""Which configuration is the best, and that every table, figure and place that says so says the same."""

import dataclasses
import math

import numpy as np
import pytest
from made_runs import history
from scipy import stats

from experiments.article.find import ArticleRuns
from experiments.article.find import best as best_for_claims
from experiments.article.tables import best_runs
from experiments.command import terminal
from jaxopt_study.analysis.best import best_cell, best_first, best_of, best_places, best_run, held_out, held_out_cell
from jaxopt_study.analysis.halves import chosen_by_halves, folds
from jaxopt_study.analysis.intervals import seed_mean
from jaxopt_study.analysis.minima import seed_minima, unchosen_loss, variance_of_epochs
from jaxopt_study.analysis.moderated import Prior
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
        lambda runs: float(best_runs(ArticleRuns(runs)).records()[0]["hyperparameters"].split()[-1]),
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


def grid_of(losses):
    """Configurations of made losses ``[K, S]``, the number of each its learning rate."""
    return [
        [history(seed=s, val=[value], learning_rate=float(k + 1)) for s, value in enumerate(row)]
        for k, row in enumerate(losses)
    ]


def test_each_half_of_the_seeds_is_told_of_what_the_other_half_chooses():
    grid = grid_of([[0.1, 0.5, 0.1, 0.5], [0.4, 0.2, 0.4, 0.2], [0.3, 0.3, 0.3, 0.3]])
    runs = held_out(grid)
    assert [run.seed for run in runs] == [0, 1, 2, 3]
    # Seeds 1 and 3 choose the second for 0 and 2, which choose the first for them.
    assert [run.hyperparameters["learning_rate"] for run in runs] == [2, 1, 2, 1]
    best = best_of(grid)
    assert best.hyperparameters == {"learning_rate": 1}  # of equals the first
    assert best.val_loss == pytest.approx(0.45)
    assert "2 of 4 seeds show another configuration" in best.note
    cell = held_out_cell(Runs([run for runs in grid for run in runs]).cells("sgd"))
    assert cell.histories == runs
    assert cell.hyperparameters == {"learning_rate": 1}


def test_where_one_is_clearly_the_best_it_is_told_by_its_own_seeds():
    grid = grid_of([[0.5, 0.6, 0.7], [0.2, 0.3, 0.4]])
    best = best_of(grid)
    assert held_out(grid) == grid[1]
    assert (best.val_loss, best.note) == (pytest.approx(0.3), "")


def test_one_seed_says_that_it_is_chosen_and_told_on_the_same_run():
    assert best_of(grid_of([[0.5], [0.2]])).note == "one seed: no interval; chosen and told by the same run"
    assert best_of(grid_of([[0.2]])).note == "one seed: no interval"


def test_a_seed_that_few_configurations_have_is_chosen_for_among_these():
    grid = grid_of([[0.1, 0.1], [0.2, 0.2, 0.2]])
    assert [run.hyperparameters["learning_rate"] for run in held_out(grid)] == [1, 1, 2]


def widened(seeds):
    grows = chosen_by_halves(seeds)
    return grows.mean / grows.spread


@pytest.mark.parametrize(("seeds", "factor"), [(2, 2.125), (3, 1.613), (5, 1.4835), (10, 1.417)])
def test_the_variance_of_halves_that_choose_for_each_other_is_larger_the_fewer_seeds_there_are(seeds, factor):
    assert widened(seeds) == pytest.approx(factor, abs=1e-3)
    values = dict(enumerate(np.random.default_rng(0).normal(size=seeds)))
    alone, halves = (seed_mean(values, halves=of) for of in (False, True))
    assert (halves.sd / alone.sd) ** 2 == pytest.approx(factor, abs=1e-3)
    # A prior is of configurations that nobody chose: it draws the variance, not what that grows by.
    known = seed_mean(values, Prior(1.0, 1e6, 10**9), halves=True)
    assert known.sd**2 == pytest.approx(chosen_by_halves(seeds).mean, rel=1e-4)


def told_of_best(losses):
    """The held-out losses ``[R, S]`` of R made grids ``[R, K, S]``: what ``held_out`` does, for many at once."""
    told = np.empty(losses[:, 0].shape)
    for of, choosing in folds(range(losses.shape[2])):
        chosen = losses[:, :, choosing].mean(2).argmin(1)
        told[:, of] = losses[np.arange(len(losses)), chosen][:, of]
    return told


def test_the_simulation_chooses_as_the_analysis_does():
    losses = np.random.default_rng(0).uniform(0.1, 0.9, (20, 5, 3)).astype(np.float32)
    for made, told in zip(losses, told_of_best(losses), strict=True):
        np.testing.assert_allclose([run.curves["val_loss"][0] for run in held_out(grid_of(made))], told)


@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("count", [2, 3, 5, 20, 45])
def test_the_interval_of_the_best_of_many_holds_the_truth(count, seeds, spread):
    """Of configurations from equal to ``spread`` standard deviations apart; by the same seeds it were 49% to 83%."""
    rng = np.random.default_rng([count, seeds])
    truth = np.linspace(0, spread, count)[:, None]
    errors = rng.standard_normal((2000, count, seeds))
    losses = truth + errors
    told, true = told_of_best(losses), np.empty((2000, seeds))
    for of, choosing in folds(range(seeds)):
        true[:, of] = truth[losses[:, :, choosing].mean(2).argmin(1)]
    half = np.sqrt(widened(seeds) * told.var(1, ddof=1) / seeds) * stats.t.ppf(0.975, seeds - 1)
    covered = np.abs(told.mean(1) - true.mean(1)) <= half
    assert covered.mean() >= 0.94  # 0.95 but for the 2,000 samples, of which one standard error is 0.005
    assert abs((told - true).mean()) < 4 / np.sqrt(2000 * seeds)


def test_the_interval_of_the_best_is_that_of_relative_errors_widened():
    values = np.array([0.3, 0.2, 0.4])
    half = stats.t.ppf(0.975, 2) * np.sqrt(widened(3) * np.log(values).var(ddof=1) / 3)
    best = best_of(grid_of([values, values + 1]))
    np.testing.assert_allclose([best.val_low, best.val_high], 0.3 * np.exp([-half, half]), rtol=1e-5)
    assert best.method == "Student's t"
    alone = best_of(grid_of([values]))  # nothing was chosen
    np.testing.assert_allclose(np.log(alone.val_high / 0.3), half / np.sqrt(widened(3)), rtol=1e-5)


def test_the_interval_with_moderated_variances_holds_the_truth_too_and_is_narrower():
    rng = np.random.default_rng(0)
    covered, widths = [], []
    for _ in range(100):
        best = best_of(grid_of(0.4 * np.exp(0.02 * rng.standard_normal((12, 3)))))
        covered.append(best.val_low <= 0.4 <= best.val_high)
        widths.append(np.log(best.val_high / best.val_low))
    assert np.mean(covered) >= 0.92
    student = 2 * stats.t.ppf(0.975, 2) * 0.02 * np.sqrt(widened(3) / 3)
    assert np.median(widths) < 0.7 * student


def test_the_other_configurations_of_a_study_say_how_far_seeds_lie_apart():
    rng = np.random.default_rng(0)
    losses = 0.3 * np.exp(0.02 * rng.standard_normal((20, 3))) * np.geomspace(1, 2, 20)[:, None]
    told = [best_of([runs], among=grid_of(losses)) for runs in grid_of(losses)]
    assert {best.method for best in told} == {"moderated t"}
    moderated, students = (
        np.mean([math.log(high / low) for low, high in ends])
        for ends in (
            [(best.val_low, best.val_high) for best in told],
            [(best.student_low, best.student_high) for best in told],
        )
    )
    assert moderated < 0.7 * students


@pytest.mark.parametrize("status", ["diverged", "failed", "finished"])
def test_of_runs_of_which_some_learn_and_others_do_not_there_is_no_interval(status):
    (runs,) = grid_of([np.array([0.3, 0.31, 0.7])])
    best = best_of([[*runs[:2], dataclasses.replace(runs[2], status=status)]], chance=0.69)
    assert np.isnan([best.val_low, best.val_high, best.student_low]).all()
    assert best.note == f"no interval: 1 of 3 seeds {status.replace('finished', 'worse than guessing')}"


def test_the_noise_of_a_curve_does_not_lower_what_is_told_of_it():
    """The smallest of 120 losses is 2.5 standard deviations low; what is told of it is not a third of one."""
    rng = np.random.default_rng(0)
    for noise in (0.02, 0.005):
        curves = 0.4 + noise * rng.standard_normal((500, 120))
        runs = [history(val=curve) for curve in curves]
        assert np.mean([seed_minima([run]).value for run in runs]) < 0.4 - 2 * noise
        assert abs(np.mean([unchosen_loss(run) for run in runs]) - 0.4) < 0.1 * noise


def test_the_noise_of_what_is_told_is_that_of_the_curve_that_it_is_told_of():
    rng = np.random.default_rng(1)
    runs = [history(val=0.4 + 0.01 * rng.standard_normal(60)) for _ in range(300)]
    assert np.mean([variance_of_epochs(run) for run in runs]) == pytest.approx(0.01**2 / 2, rel=0.3)
    for run in runs:  # one epoch's test loss, four times as noisy
        run.curves["test_loss"] = 0.4 + 0.04 * rng.standard_normal(60)
    tested = [dataclasses.replace(run) for run in runs]  # what is known of a run is remembered
    assert np.mean([variance_of_epochs(run) for run in tested]) == pytest.approx(0.04**2, rel=0.3)
    assert np.mean([variance_of_epochs(run, "train_loss") for run in tested]) == pytest.approx(0.01**2 / 2, rel=0.3)
    assert np.var([unchosen_loss(run) for run in tested]) == pytest.approx(0.04**2, rel=0.3)


def test_a_test_loss_is_told_in_the_epoch_of_the_lowest_validation_loss():
    run = history(val=[0.5, 0.3, 0.4])
    run.curves["test_loss"] = np.array([0.1, 0.35, 0.2], np.float32)
    run.curves["test_accuracy"] = np.array([0.9, 0.8, 0.7], np.float32)
    assert unchosen_loss(run) == pytest.approx(0.35)
    best = best_of([[run]])
    assert (best.test_loss, best.test_accuracy) == (pytest.approx(0.35), pytest.approx(0.8))
    (row,) = tables.best_configurations([run]).records()
    assert row["test_loss"] == pytest.approx(0.35)
    (row,) = tables.summary([run]).records()
    assert row["test_loss_at_min_val"] == pytest.approx(0.35)
    assert "test_loss" not in tables.best_configurations([history()]).columns
    assert "test_loss_at_min_val" not in tables.summary([history()]).columns


def test_what_is_told_where_there_is_nothing_beside_the_smallest_loss():
    assert unchosen_loss(history(val=[0.5, 0.3])) == pytest.approx(0.3)
    assert unchosen_loss(history(val=[0.5, 0.4, 0.3])) == pytest.approx(0.4)
    assert unchosen_loss(history(val=[0.5, 0.3, math.nan])) == pytest.approx(0.5)
    assert math.isnan(unchosen_loss(diverging()))
