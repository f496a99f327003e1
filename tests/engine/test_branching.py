"""Branches: trained states that go on otherwise, and one that goes on as it was."""

import numpy as np
import optax
import pytest
import small

import jaxopt_study as js
from jaxopt_study.errors import InputError
from jaxopt_study.history import CURVES
from jaxopt_study.storage import workdir

SHARED = {"max_epochs": 7, "patience": 50, "batch_size": 16, "slots": 4, "devices": 1}
MOMENTUM = js.make_grid("momentum", learning_rate=[0.03, 0.3])
OTHERS = [MOMENTUM, js.make_grid("adam", learning_rate=0.01), js.make_grid("sgd", learning_rate=[0.01, 0.3])]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Trained in a program of two rules, in fewer slots than it has runs."""
    grid = [MOMENTUM, js.make_grid("adam", learning_rate=0.01)]
    folder = tmp_path_factory.mktemp("branching") / "straight"
    study = js.make_study(model=small.SmallNet(), data=small.dataset(), grid=grid, seeds=2, workdir=folder, **SHARED)
    study.run()
    return study


def parents(study, optimizer, rate):
    return [
        run for run in study.runs if run.optimizer == optimizer and dict(run.hyperparameters)["learning_rate"] == rate
    ]


def curves(study, optimizer, rate, seed=0):
    [history] = [
        history
        for run, history in study.finished.items()
        if (run.optimizer, dict(run.hyperparameters)["learning_rate"], run.seed) == (optimizer, rate, seed)
    ]
    return np.stack([history.curves[name] for name in CURVES])


@pytest.fixture(scope="module")
def branched(straight):
    """Both seeds of a momentum run, each in five ways, in a program of three rules."""
    study = straight.branch(parents(straight, "momentum", 0.3), 3, OTHERS)
    study.run()
    return study


@pytest.mark.parametrize("seed", [0, 1])
def test_a_branch_that_changes_nothing_is_the_run_bit_for_bit(straight, branched, seed):
    np.testing.assert_array_equal(curves(branched, "momentum", 0.3, seed), curves(straight, "momentum", 0.3, seed))


def test_all_have_the_epochs_before_and_each_goes_its_own_way_after(straight, branched):
    assert len(branched.histories) == 10
    ways = [(run.optimizer, dict(run.hyperparameters)["learning_rate"]) for run in branched.runs if run.seed == 0]
    of_ways = [curves(branched, *way) for way in ways]
    for way in of_ways:
        np.testing.assert_array_equal(way[:, :3], curves(straight, "momentum", 0.3)[:, :3])
        assert way.shape[1] == 7
    fourth = {tuple(way[:, 3]) for way in of_ways}
    assert len(fourth) == 5


def test_a_rule_that_is_switched_to_begins_anew_and_one_that_stays_may(straight, branched):
    again = straight.branch(parents(straight, "momentum", 0.3)[:1], 3, OTHERS, reset=True)
    again.run()
    for optimizer, rate, same in (("sgd", 0.3, True), ("adam", 0.01, True), ("momentum", 0.3, False)):
        one, other = curves(branched, optimizer, rate), curves(again, optimizer, rate)
        assert np.array_equal(one, other) == same
        np.testing.assert_array_equal(one[:, :3], other[:, :3])
    assert not set(again.fingerprints.values()) & {*branched.fingerprints.values(), *straight.fingerprints.values()}


def test_an_interrupted_branch_goes_on_to_the_same_results(straight, branched, tmp_path):
    class Stop:
        def __init__(self):
            self.epochs = 0

        def on_epoch(self, run, number, metrics):
            self.epochs += 1
            if self.epochs == 6:
                raise KeyboardInterrupt

        def on_run_end(self, run, history):
            pass

    def branch():
        return straight.branch(parents(straight, "momentum", 0.3), 3, OTHERS, workdir=tmp_path)

    with pytest.raises(KeyboardInterrupt):
        branch().run(Stop())
    study = branch()
    study.run()
    assert study.fingerprints == branched.fingerprints
    for run, history in study.finished.items():
        for name in CURVES:
            np.testing.assert_array_equal(history.curves[name], branched.finished[run].curves[name])


def test_its_own_place_names_run_and_epoch(straight, branched):
    said = workdir.read_json(branched.folder / "config.json")["branch"]
    first = straight.fingerprints[parents(straight, "momentum", 0.3)[0]]
    assert said == {
        "optimizer": "momentum", "learning_rate": 0.3, "momentum": 0.9, "parent": first, "epoch": 3, "reset": False,
    }  # fmt: skip
    assert branched.folder.name == f"straight_branch_{first[:8]}_3"
    later = straight.branch(parents(straight, "momentum", 0.3), 4, OTHERS)
    assert not set(later.fingerprints.values()) & set(branched.fingerprints.values())
    assert not branched.pending()


def test_a_schedule_that_begins_with_the_branch_ends_with_it(straight):
    numbers = {"end_value": 0.0, "transition_steps": 1.0}
    rule = js.scheduled(optax.sgd, optax.linear_schedule, "cooling", static=numbers, in_runs=["transition_steps"])
    study = straight.branch(parents(straight, "momentum", 0.3), 3, js.make_grid(rule, init_value=0.3), max_epochs=9)
    assert [study.span(run) for run in study.runs] == [6, 6]
    identity = straight.branch(parents(straight, "momentum", 0.3), 3, MOMENTUM)
    assert {identity.span(run) for run in identity.runs} == {7}


def test_what_cannot_be_branched_is_refused_in_a_line(straight, branched, tmp_path):
    first, second = parents(straight, "momentum", 0.03)[0], parents(straight, "momentum", 0.3)[0]
    for epoch in (0, 8, 2.0, "x"):
        with pytest.raises(InputError, match=r"^epoch=.*allowed is a whole number from 1"):
            straight.branch(first, epoch, MOMENTUM)
    with pytest.raises(InputError, match=r"^max_epochs=3: allowed is more than the 3 epochs"):
        straight.branch(first, 3, js.make_grid("sgd", max_epochs=3))
    with pytest.raises(InputError, match=r"^run=.*allowed are runs of one configuration"):
        straight.branch([first, second], 3, MOMENTUM)
    with pytest.raises(InputError, match=r"^run=.*allowed is a finished run of the study"):
        straight.branch(first._replace(seed=9), 3, MOMENTUM)
    with pytest.raises(InputError, match=r"^batch_size=8: a branch goes on with that of its run"):
        straight.branch(first, 3, js.make_grid("sgd", batch_size=8))
    with pytest.raises(InputError, match=r"^matmul_precision=bfloat16: a branch goes on with that of its run"):
        straight.branch(first, 3, js.make_grid("sgd", matmul_precision=["bfloat16"]))
    with pytest.raises(InputError, match=r"^branch=.*no branch itself"):
        branched.branch(branched.runs[0], 3, MOMENTUM)
