"""Minima, speed, sensitivity and the selection of runs, on curves whose answers are known."""

import dataclasses
import math
import weakref

import numpy as np
import pytest
from made_runs import CHANCE, history

from jaxopt_study.analysis import best, minima, runs, speed
from jaxopt_study.analysis.runs import Runs, as_trained, stands_for
from jaxopt_study.errors import InputError
from jaxopt_study.history import remembered

NAN, INF = math.nan, math.inf


def select(runs, optimizer, **numbers):
    """The runs of the configurations with these numbers."""
    return [run for cell in runs.cells(optimizer, **numbers) for run in cell.histories]


def test_minimum_is_at_the_first_of_equal_epochs():
    assert minima.minimum([0.5, 0.3, 0.3, 0.4]) == (0.3, 2)


@pytest.mark.parametrize("curve", [[], [NAN, NAN], [INF, NAN]])
def test_curve_without_a_finite_value_has_no_minimum(curve):
    value, epoch = minima.minimum(curve)
    assert math.isnan(value)
    assert epoch is None


def test_minimum_leaves_out_values_that_are_not_finite():
    assert minima.minimum([NAN, 0.4, -INF, 0.6]) == (0.4, 2)


@pytest.mark.parametrize(("target", "epoch"), [(0.5, 2), (0.3, 4), (0.31, 4), (0.1, None), (1.0, 1)])
def test_epochs_to_a_target_counts_from_one_and_knows_never(target, epoch):
    assert speed.epochs_to([0.6, 0.5, NAN, 0.3], target) == epoch


def test_area_under_a_straight_line_is_that_of_the_trapezium():
    assert speed.area_under_curve([4.0, 3.0, 2.0, 1.0], 4) == pytest.approx(7.5)
    assert speed.area_under_curve([4.0, 3.0, 2.0, 1.0], 2) == pytest.approx(3.5)


def test_epochs_after_divergence_count_as_the_ceiling():
    assert speed.area_under_curve([0.5, NAN], 4, ceiling=0.7) == pytest.approx(0.6 + 0.7 + 0.7)
    assert speed.area_under_curve([0.5, 9.0, 0.5], 3, ceiling=0.7) == pytest.approx(1.2)


@pytest.mark.parametrize("epochs", [1, 5])
def test_area_refuses_epochs_that_a_curve_does_not_have(epochs):
    with pytest.raises(InputError, match=f"epochs={epochs}: allowed is 2 to 4"):
        speed.area_under_curve([4.0, 3.0, 2.0, 1.0], epochs)


def test_values_are_the_same_where_they_train_as_the_same_float32():
    assert runs.same_value(float(np.float32(0.99)), 0.99)
    assert runs.same_value(0.0, 0.0)
    assert not runs.same_value(0.0316, 10**-1.5)
    assert not runs.same_value(0.1, 0.1 * (1 + 1e-6))
    assert as_trained(float(np.float32(0.1))) == as_trained(0.1) == 0.1


def test_rates_within_two_percent_of_each_other_are_configurations_of_their_own():
    rates = 10 ** np.random.default_rng(0).uniform(-2, -1, 60)
    runs = Runs(history(learning_rate=float(rate)) for rate in rates)
    assert (np.diff(np.log(np.sort(rates))) < 0.02).sum() > 10
    assert len(runs.cells("sgd")) == len(runs.axis("sgd", "learning_rate")) == 60


@pytest.mark.parametrize("printed", [0.0316, 0.032, 0.03])
def test_a_number_in_print_finds_the_nearest_value_it_may_stand_for(printed):
    runs = Runs(history(learning_rate=rate) for rate in (10**-1.5, 10**-1.5 * 1.01, 0.01, 0.1))
    near = min((10**-1.5, 10**-1.5 * 1.01), key=lambda rate: abs(math.log(rate / printed)))
    assert [cell.hyperparameters["learning_rate"] for cell in runs.printed("sgd", learning_rate=printed)] == [near]
    assert runs.cells("sgd", learning_rate=printed) == []


def test_a_number_in_print_that_nothing_is_near_finds_nothing():
    assert Runs([history(learning_rate=0.02)]).printed("sgd", learning_rate=0.01) == []


def test_decays_near_one_are_told_apart():
    assert not stands_for("b2", 0.999, 0.99)
    assert not stands_for("momentum", 0.99, 0.995)
    assert not stands_for("momentum", 0.9, 0.95)


@pytest.mark.parametrize("label", ["sgd", "momentum", "momentum_ema", "nesterov"])
def test_momentum_zero_is_found_as_sgd_and_sgd_as_momentum_zero(label):
    numbers = {"learning_rate": 0.1} if label == "sgd" else {"learning_rate": 0.1, "momentum": 0.0}
    runs = Runs([history(label, **numbers), history("momentum", learning_rate=0.1, momentum=0.9)])
    assert [run.hyperparameters for run in select(runs, "sgd", learning_rate=0.1)] == [{"learning_rate": 0.1}]
    assert len(select(runs, "sgd", momentum=0.0)) == 1
    for rule in ("momentum", "momentum_ema", "nesterov"):
        (found,) = select(runs, rule, momentum=0.0)
        assert (found.optimizer, found.hyperparameters) == (rule, {"learning_rate": 0.1, "momentum": 0.0})
    assert runs.axis("momentum", "momentum") == [0.0, 0.9]
    assert [cell.hyperparameters["momentum"] for cell in runs.family("momentum")] == [0.9]


def test_one_run_under_two_names_is_kept_once_and_the_longer_one():
    runs = Runs(
        [history("sgd", val=[0.5, 0.4], learning_rate=0.1), history("momentum", learning_rate=0.1, momentum=0.0)]
    )
    assert [run.epochs for run in select(runs, "sgd")] == [2]


def test_a_number_that_is_not_given_is_the_default_that_was_named():
    defaults = {"adam": {"b1": 0.9, "b2": 0.999, "eps": 1e-7}}
    runs = Runs([history("adam", learning_rate=0.001), history("adam", learning_rate=0.001, b1=0.5)], defaults=defaults)
    assert len(select(runs, "adam", b1=0.9, b2=0.999)) == 1
    assert len(select(runs, "adam", b1=0.9, b2=0.99)) == 0
    assert len(select(runs, "adam")) == 2


def test_seeds_of_one_configuration_are_one_cell():
    rates = ((1, float(np.float32(0.01))), (0, 0.01), (0, 0.1))
    runs = Runs(history(seed=seed, learning_rate=rate) for seed, rate in rates)
    assert [cell.seeds for cell in runs.cells("sgd")] == [[0, 1], [0]]
    assert [run.seed for run in select(runs, "sgd", learning_rate=0.01)] == [0, 1]


def test_failed_runs_are_set_aside():
    runs = Runs([history(status="failed", val=[]), history(status="failed", val=[0.1])])
    assert len(runs.failed) == 2
    assert runs.optimizers == []


@pytest.mark.parametrize(
    ("status", "val", "settled"),
    [
        ("stopped", [0.5, 0.4], True),
        ("diverged", [0.5, NAN], True),
        ("finished", [0.5, 0.4], False),
        ("finished", [0.4, 0.5], True),
        ("finished", [0.5] * 49 + [0.4] + [0.5] * 40, False),
        ("finished", [0.5] * 99 + [0.4] + [0.5] * 50, True),
    ],
)
def test_a_run_is_settled_when_more_epochs_would_hardly_help(status, val, settled):
    assert minima.settled(history(status=status, val=val)) is settled


def test_progress_is_zero_at_guessing_one_at_the_best_and_zero_for_a_run_that_diverged():
    good, bad = history(val=[0.2], learning_rate=0.1), history(val=[3.0], learning_rate=0.2)
    burst = history(val=[0.3, NAN], learning_rate=0.3, status="diverged", diverged_epoch=2)
    runs = Runs([good, bad, burst])
    assert best.halfway(runs) == pytest.approx((CHANCE + 0.2) / 2)
    assert [best.progress(runs, run) for run in (good, bad, burst)] == pytest.approx([1.0, 0.0, 0.0])


def test_progress_is_towards_the_best_run_of_the_same_seed_so_that_its_luck_is_not_in_every_seed():
    best_ones = [history(val=[least], seed=seed, learning_rate=0.1) for seed, least in enumerate([0.1, 0.3, 0.2])]
    others = [
        history(val=[(CHANCE + least) / 2], seed=seed, learning_rate=0.2) for seed, least in enumerate([0.1, 0.3, 0.2])
    ]
    runs = Runs([*best_ones, *others])
    assert [best.progress(runs, run) for run in others] == pytest.approx([0.5, 0.5, 0.5], abs=1e-6)


def test_what_is_remembered_of_a_run_goes_with_it_and_is_not_that_of_its_copy():
    made = history(val=[0.3, 0.2])
    calls = []

    @remembered
    def measure(run, factor=1.0):
        calls.append(factor)
        return factor * float(run.curves["val_loss"].min())

    assert [measure(made), measure(made), measure(made, 2.0)] == pytest.approx([0.2, 0.2, 0.4])
    assert calls == [1.0, 2.0]
    copy = dataclasses.replace(made, curves={**made.curves, "val_loss": np.float32([0.1])})
    assert measure(copy) == pytest.approx(0.1)
    known = weakref.ref(made)
    del made
    assert known() is None


def test_nothing_has_converged_where_nothing_gets_below_guessing():
    assert math.isnan(best.halfway(Runs([history(val=[0.65])])))
    assert math.isnan(best.halfway(Runs([])))


def test_a_run_without_a_finite_loss_counts_as_guessing():
    assert minima.lowest(Runs([], chance=2.0), history(val=[NAN, NAN])) == 2.0


def test_the_epoch_of_divergence_counts_as_not_finite_in_both_losses():
    run = history(val=[0.5, NAN], train=[0.5, 0.1], status="diverged", diverged_epoch=2)
    assert np.isnan(speed.losses(run, "train_loss")).tolist() == [False, True]
    assert run.curves["train_loss"][1] == np.float32(0.1)


def test_best_configuration_is_the_one_with_the_smallest_mean_not_the_luckiest_seed():
    runs = Runs(history(seed=s, val=[v], learning_rate=r) for s, v, r in ((0, 0.1, 1.0), (1, 0.6, 1.0), (0, 0.3, 0.1)))
    assert best.best_cell(runs.cells("sgd")).hyperparameters == {"learning_rate": 0.1}


def test_the_noise_of_epochs_is_told_from_a_curves_bends_whatever_line_it_is_on():
    rng = np.random.default_rng(0)
    line = 0.5 - 0.001 * np.arange(60)
    runs = [history(val=line + 0.02 * rng.standard_normal(60)) for _ in range(300)]
    told = [minima.variance_of_epochs(run) for run in runs]
    assert 1.0 < np.mean(told) / (0.02**2 / 2) < 1.2
    assert minima.variance_of_epochs(history(val=line)) < 1e-12
    assert minima.variance_of_epochs(history(val=[0.5, 0.4])) == 0.0


def test_a_noisy_curve_crosses_a_loss_neither_early_nor_late():
    rng = np.random.default_rng(1)
    fall = 0.7 - 0.01 * np.arange(60)
    found = [speed.crossing(fall + noise * rng.standard_normal(60), 0.4) for noise in (0.0, 0.03) for _ in range(400)]
    assert found[0] == pytest.approx(31.0)
    assert np.mean(found[400:]) == pytest.approx(31.0, abs=0.5)
    first = [speed.epochs_to(fall + 0.03 * rng.standard_normal(60), 0.4) for _ in range(400)]
    assert np.mean(first) < 30


def test_a_run_that_halving_cut_off_has_no_minimum_to_rely_on():
    assert not minima.settled(history(status="halved", val=[0.4, 0.5]))
    assert minima.settled(history(status="stopped", val=[0.4, 0.5]))
