"""Longest first: what is expected of runs, and that their order is no matter of their results."""

import numpy as np
import pytest
import small

from experiments.benchmarks import stragglers
from jaxopt_study.engine import memory
from jaxopt_study.engine.lengths import Lengths
from jaxopt_study.engine.watcher import Interrupted, Watcher
from jaxopt_study.grids.run import make_run, product
from jaxopt_study.history import CURVES, History


def ended(run, epochs, status="stopped"):
    return History.from_rows(
        run.optimizer, dict(run.hyperparameters), run.seed, status, np.zeros((epochs, len(CURVES)), np.float32)
    )


def test_runs_of_which_nothing_is_known_stay_in_their_order():
    runs = small.grid(seeds=2)
    assert Lengths(runs, lambda run: 10).longest_first(runs) == runs
    budgets = {run: 5 + place // 4 for place, run in enumerate(runs)}
    assert Lengths(runs, budgets.get).longest_first(runs) == runs[8:] + runs[4:8] + runs[:4]


def test_a_run_is_expected_to_take_what_its_other_seeds_took_else_its_neighbours_else_the_mean():
    runs = [make_run("momentum", {"learning_rate": rate}, seed) for rate in (0.001, 0.01, 0.1) for seed in (0, 1)]
    other = make_run("adam", {}, 0)
    lengths = Lengths([*runs, other], lambda run: 100)
    lengths.add(runs[0], ended(runs[0], 30))
    lengths.add(runs[4], ended(runs[4], 50))
    expected = dict(zip(lengths.places, lengths.totals / lengths.counts, strict=True))
    assert list(expected.values()) == [30, 40, 50, 40]  # its own seed, both neighbours, its own seed, the mean
    assert lengths.longest_first([runs[1], runs[3], runs[5], other]) == [runs[5], runs[3], other, runs[1]]


def test_a_run_that_its_budget_ended_tells_of_the_budget_and_one_that_stopped_of_no_more_than_it():
    first, second, third = (make_run("sgd", {"learning_rate": rate}, 0) for rate in (0.1, 0.2, 0.3))
    budgets = {first: 10, second: 40, third: 4}
    for status, expected in (("finished", [10, 40, 4]), ("stopped", [9, 9, 4])):
        lengths = Lengths([first, second, third], budgets.get)
        lengths.add(first, ended(first, 9, status))
        assert list(lengths.totals / lengths.counts) == expected


def test_stragglers_idle_no_device_when_the_longest_begin_first():
    runs = product("sgd", {"learning_rate": tuple(np.geomspace(0.001, 1, 24).tolist())}, 2)
    epochs = {run: round(5 * 40 ** (place / 47)) for place, run in enumerate(runs)}
    known = stragglers.learnt(epochs, 200, runs[::2])
    work, order = stragglers.trained(epochs, 8, 200)
    better, _ = stragglers.trained(epochs, 8, 200, known)
    assert work.runs == better.runs == len(order) == 48
    assert work.epochs_trained == better.epochs_trained == sum(epochs.values())
    assert work.epochs_trained / work.epochs_computed < 0.93
    assert better.epochs_trained / better.epochs_computed > 0.98


def test_batched_runs_of_one_length_are_shared_out_evenly(monkeypatch):
    monkeypatch.setattr(memory, "memory_of", lambda executable: 0)
    monkeypatch.setattr(memory, "most", lambda platform: 256)
    slots = [memory.slots_for(stragglers.Simulated({}, in_turn=in_turn), 369) for in_turn in (False, True)]
    assert slots == [185, 256]  # twice 185, where 256 and 113 in 128 would leave 15 slots empty


@pytest.fixture(scope="module")
def in_order(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lengths")
    return small.study(folder, uneven(), epochs=60, patience=4, slots=2, devices=1).train()


def uneven():
    return small.grid(rates=(0.003, 0.3, 1.0), momenta=(0.0, 0.9), seeds=2)


def test_results_do_not_depend_on_the_order(tmp_path, in_order, monkeypatch):
    """Backwards, too, and interrupted half way."""
    monkeypatch.setattr(Lengths, "longest_first", lambda self, runs: list(runs)[::-1])
    study = small.study(tmp_path, uneven(), epochs=60, patience=4, slots=2, devices=1)
    count = 0

    def interrupted():
        nonlocal count
        count += 1
        return count == 20

    with pytest.raises(Interrupted):
        study.train(Watcher(interrupted=interrupted))
    histories = small.study(tmp_path, uneven(), epochs=60, patience=4, slots=2, devices=1).train()
    assert len({history.epochs for history in histories}) > 3
    for one, other in zip(in_order, histories, strict=True):
        assert one.status == other.status
        for name in CURVES:
            np.testing.assert_array_equal(one.curves[name], other.curves[name])
