"""At each rung the best share goes on, whatever the numbers; a resume finds the rung again."""

import contextlib
import dataclasses

import numpy as np
import pytest
import small

from jaxopt_study.engine.halving import Halving, came, rungs
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.engine.watcher import OutOfTime, Watcher
from jaxopt_study.grids.run import product, signature
from jaxopt_study.history import History
from jaxopt_study.training.objective import Objective

RUNS = product("sgd", {"learning_rate": [float(10**-i) for i in range(9)]}, 1)


def halving(factor=3) -> Halving:
    return Halving(27, factor, {signature(RUNS[0]): len(RUNS)})


def costs(epochs, runs=RUNS):
    """Of runs that get no better, the first being the best."""
    return {run: np.full(epochs, i, np.float32) for i, run in enumerate(runs)}


@pytest.mark.parametrize(
    ("epochs", "factor", "total", "expected"),
    [(27, 3, 9, [3, 9, 27]), (27, 3, 8, [9, 27]), (20, None, 50, [20]), (2, 3, 100, [2]), (8, 2, 3, [4, 8])],
)
def test_rungs_grow_by_the_factor_and_end_with_the_epochs(epochs, factor, total, expected):
    assert rungs(epochs, factor, total) == expected


def test_a_third_goes_on_at_every_rung():
    found = halving()
    assert found.climb(RUNS, RUNS, costs(3)) == (RUNS[3:], RUNS[:3])
    assert (found.until(RUNS[0]), found.at_last(RUNS[0])) == (9, False)
    assert found.climb(RUNS[:3], RUNS[:3], costs(9, RUNS[:3])) == (RUNS[1:3], RUNS[:1])
    assert found.at_last(RUNS[0])


def test_runs_that_diverged_before_a_rung_do_not_widen_it():
    assert len(halving().climb(RUNS[:7], RUNS[:7], costs(3, RUNS[:7]))[0]) == 4


def test_a_rung_waits_for_all_that_may_come_to_it():
    assert halving().climb(RUNS[:7], RUNS, costs(3, RUNS[:7])) == ([], [])


def test_a_run_is_compared_by_its_epochs_up_to_the_rung_with_those_that_are_farther_or_have_ended():
    later = costs(9)
    later[RUNS[8]][3:] = -1  # the worst of all at the rung
    assert halving().climb([RUNS[4]], [RUNS[4]], later) == ([RUNS[4]], [])
    assert halving().climb([RUNS[2]], [RUNS[2]], later) == ([], [RUNS[2]])


@pytest.mark.parametrize(
    ("status", "epochs", "compared"), [("halved", 3, True), ("stopped", 3, False), ("stopped", 4, True)]
)
def test_a_run_that_ended_by_itself_in_the_epoch_of_a_rung_is_not_compared_there(status, epochs, compared):
    history = History("sgd", {}, 0, status, {"val_loss": np.zeros(epochs, np.float32)})
    assert (len(came(history, "val_loss")) >= 3) is compared


def test_a_resume_finds_the_rung_of_each_run_and_those_that_wait_there():
    found = halving()
    assert found.resume({RUNS[0]: 9, RUNS[1]: 5, RUNS[2]: 9, RUNS[3]: 3}) == [RUNS[0], RUNS[2], RUNS[3]]
    assert [found.until(run) for run in (*RUNS[:4], RUNS[5])] == [9, 9, 9, 3, 3]


def test_without_a_factor_nothing_waits():
    found = halving(None)
    assert found.resume({RUNS[0]: 27}) == []
    assert found.at_last(RUNS[0])


def halved(folder, maximize: bool = False) -> Trainer:
    plain = small.study(folder, small.grid(rates=(1e-4, 1e-3, 0.03), momenta=(0.0, 0.5, 0.9)), epochs=9)
    settings = dataclasses.replace(plain.settings, halving=3)
    objective = Objective(monitor="val_accuracy", mode="max") if maximize else None
    return Trainer(settings, plain.dataset, plain.runs, folder, model=small.MODEL, objective=objective)


@pytest.mark.parametrize("maximize", [False, True])
def test_a_run_that_is_lost_comes_to_the_same_end_when_it_is_trained_again_alone(tmp_path, maximize):
    whole = halved(tmp_path, maximize)
    whole.train()
    before = {run: (history.status, history.epochs) for run, history in whole.finished.items()}
    for run in whole.runs:
        (tmp_path / "runs" / f"{whole.fingerprints[run]}.parquet").unlink()
        again = halved(tmp_path, maximize)
        again.train()
        assert {run: (history.status, history.epochs) for run, history in again.finished.items()} == before


def test_a_run_that_is_lost_while_others_are_beyond_its_rung_comes_to_the_same_end(tmp_path):
    whole = halved(tmp_path / "whole")
    whole.train()
    part = halved(tmp_path / "part")
    epochs = []
    told = Watcher(epoch=lambda run, number, metrics: epochs.append(number), out_of_time=lambda: 2 in epochs)
    with contextlib.suppress(OutOfTime):
        part.train(told)
    assert max(epochs) < 9
    lost = next(run for run, history in part.finished.items() if history.status == "halved")
    (tmp_path / "part" / "runs" / f"{part.fingerprints[lost]}.parquet").unlink()
    again = halved(tmp_path / "part")
    again.train()
    for run, history in whole.finished.items():
        assert (again.finished[run].status, again.finished[run].epochs) == (history.status, history.epochs)
