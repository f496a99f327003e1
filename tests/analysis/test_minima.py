"""Losses, epochs and accuracies of runs and of seeds, as numbers: each from its own epoch."""

import math

import numpy as np
import pytest
from made_runs import history

from jaxopt_study.analysis import minima, speed

NAN, INF = math.nan, math.inf


def run(val, train=None, accuracy=None, **what):
    made = history(val=val, train=train, **what)
    if accuracy is not None:
        made.curves["val_accuracy"] = np.asarray(accuracy, np.float32)
    return made


WHOLE = {"val": [0.5, 0.25, 0.25, 0.75], "train": [0.9, 0.7, 0.6, 0.5], "accuracy": [0.5, 0.625, 0.875, 0.75]}


def test_a_run_is_summed_up_by_the_epoch_of_its_lowest_loss_and_the_first_of_equals():
    one = minima.summary(run(**WHOLE, status="finished"))
    assert one[:2] == (0.25, 2)
    assert (one.val_accuracy_at_min_val, one.max_val_accuracy) == (0.625, 0.875)
    assert one.train_loss_at_min_val == pytest.approx(0.7)
    assert (one.min_train_loss, one.min_train_epoch) == (0.5, 4)
    assert (one.epochs, one.status, one.diverged_epoch) == (4, "finished", None)


def test_a_run_without_a_finite_loss_has_no_minimum():
    one = minima.summary(run([NAN, INF], accuracy=[0.5, 0.25], status="diverged", diverged_epoch=1))
    assert np.isnan([one.min_val_loss, one.val_accuracy_at_min_val, one.train_loss_at_min_val]).all()
    assert (one.min_val_epoch, one.min_train_epoch) == (None, None)


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_of_a_run_that_diverged_or_failed_nothing_is_told_that_a_reader_could_take_for_its_result(status):
    one = minima.summary(run(**WHOLE, status=status, diverged_epoch=4))
    told = (one.min_val_loss, one.val_accuracy_at_min_val, one.max_val_accuracy)
    assert np.isnan([*told, one.train_loss_at_min_val, one.min_train_loss]).all()
    assert (one.min_val_epoch, one.min_train_epoch, one.epochs, one.status) == (None, None, 4, status)


@pytest.mark.parametrize(
    ("measured", "expected"), [([0.0, 0.0], [NAN, NAN]), ([0.0, 0.25], [0.0, 0.25]), ([NAN, NAN], [NAN, NAN])]
)
def test_an_accuracy_of_nothing_but_zeros_was_not_measured(measured, expected):
    np.testing.assert_array_equal(minima.accuracy(run([1.0, 1.0], accuracy=measured)), expected)


def test_seeds_are_summed_up_each_by_its_own_epoch():
    seeds = [
        run(**WHOLE),
        run([0.5, 0.75], [0.2, 0.1], [0.25, 1.0]),
        run([0.125, NAN], status="diverged", diverged_epoch=2),
        run([NAN], status="diverged"),
    ]
    one = minima.seed_minima(seeds, chance=0.4)
    assert one[:4] == (0.375, 0.25, 0.5, 1.5)
    assert one.train_loss == pytest.approx((0.7 + 0.2) / 2)
    assert one.accuracy == pytest.approx((0.625 + 0.25) / 2)
    assert (one.seeds, one.runs, one.diverged, one.worse, one.learnt, one.is_whole) == (2, 4, (0, 2), 1, True, False)
    assert minima.seed_minima(seeds[:2]).is_whole


@pytest.mark.parametrize(("chance", "learnt"), [(0.5, True), (0.25, False), (0.2, False)])
def test_what_is_not_below_guessing_has_not_learnt(chance, learnt):
    assert minima.seed_minima([run(**WHOLE)], chance=chance).learnt == learnt


def test_a_mean_above_guessing_has_not_learnt_though_a_seed_has():
    one = minima.seed_minima([run([0.2]), run([0.5])], chance=0.3)
    assert (one.value > 0.3, one.worse, one.learnt) == (True, 1, False)
    at_guessing = minima.seed_minima([run([0.125]), run([0.375])], chance=0.25)
    assert (at_guessing.value, at_guessing.worse, at_guessing.learnt) == (0.25, 1, False)


def test_seeds_that_all_diverged_have_counts_and_no_numbers():
    one = minima.seed_minima([run([NAN], status="diverged", diverged_epoch=1)])
    assert np.isnan(one[:6]).all()
    assert one[6:] == (0, 1, (1,), 0, False)
    assert not one.is_whole
    assert not minima.seed_minima([]).is_whole


def test_a_diverged_run_has_no_loss_from_the_epoch_on_in_which_it_diverged():
    for epoch, expected in ((2, [0.5, NAN, NAN]), (None, [0.5, 0.25, NAN])):
        lost = run([0.5, 0.25, 0.125], status="diverged", diverged_epoch=epoch)
        np.testing.assert_array_equal(speed.losses(lost), expected)
    for status in ("finished", "stopped", "failed"):
        np.testing.assert_array_equal(speed.losses(run([0.5, 0.25], status=status)), [0.5, 0.25])


@pytest.mark.parametrize(
    ("curve", "epochs", "area"),
    [([1.0, NAN], 4, 1.5), ([INF], 3, 1.0), ([0.25, NAN, 0.25], 3, 0.75), ([9.0, 0.25, 7.0], 2, 0.375)],
)
def test_what_a_diverged_curve_lacks_counts_as_guessing(curve, epochs, area):
    assert speed.area_under_curve(curve, epochs, ceiling=0.5) == area


@pytest.mark.parametrize("curve", [[], [0.5], [NAN, 0.5]])
def test_a_curve_that_is_too_short_has_no_area(curve):
    with pytest.raises(ValueError, match="epochs=3: allowed is 2 to"):
        speed.area_under_curve(curve, 3)


@pytest.mark.parametrize(
    ("epochs", "lowest", "status", "expected"),
    [
        (200, 150, "finished", True),  # the usual patience
        (200, 151, "finished", False),
        (40, 20, "finished", True),  # half of its epochs
        (40, 10, "finished", True),
        (40, 21, "finished", False),
        (40, 40, "stopped", True),
        (40, 40, "diverged", True),
        (40, 1, "halved", False),
    ],
)
def test_a_run_has_settled_once_it_went_long_without_improvement(epochs, lowest, status, expected):
    val = np.full(epochs, 0.5)
    val[lowest - 1] = 0.25
    assert minima.settled(run(val, status=status)) == expected
