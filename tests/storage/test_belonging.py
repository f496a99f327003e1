"""Runs of other data, settings or code are never taken for a study's, in whichever process they are read."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small

from jaxopt_study.grids.run import make_run
from jaxopt_study.history import CURVES, History
from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.foreign import rule
from jaxopt_study.storage.belonging import Belonging


def own_rule(monkeypatch, scale: float = 1.0):
    """A rule of the user's own, in the registry as long as the test is in its process."""

    def mine(learning_rate):
        return optax.chain(optax.sgd(learning_rate), optax.scale(jnp.float32(scale)))

    monkeypatch.delitem(registry.OPTIMIZERS, "mine", raising=False)  # as in a process of its own
    family = rule(mine)
    monkeypatch.setitem(registry.OPTIMIZERS, family.name, family)
    return family.name


def trained(folder, name, rates=(0.1,), *, epochs=3, old=None):
    """What config.json tells of a study, after an ``old`` one, and its runs as the store has them."""
    runs = [make_run(name, {"learning_rate": rate}, 0) for rate in rates]
    study = small.study(folder, runs, epochs=epochs)
    curves = {curve: np.zeros(epochs, np.float32) for curve in CURVES}
    stored = {
        known: History(run.optimizer, dict(run.hyperparameters), 0, "finished", curves)
        for run, known in study.fingerprints.items()
    }
    return study.described(old or {}), stored


def own(config, stored) -> list[bool]:
    return [Belonging(config).has(known, history) for known, history in stored.items()]


@pytest.mark.parametrize("there", [True, False])
def test_runs_of_a_rule_of_the_users_own_are_told_by_settings_and_code(tmp_path, monkeypatch, there):
    name = own_rule(monkeypatch)
    first, of_first = trained(tmp_path, name, (0.1, 0.2))
    second, of_second = trained(tmp_path, name, epochs=2, old=first)
    third, of_third = trained(tmp_path, name, (0.1,), old=second)  # as the first, with less of its grid
    own_rule(monkeypatch, 2.0)
    fourth, of_fourth = trained(tmp_path, name, (0.3,), old=third)
    none, _ = trained(tmp_path, "sgd", epochs=2, old=first)
    if not there:
        monkeypatch.delitem(registry.OPTIMIZERS, name)
        assert own(first, of_first) == own(third, of_first) == [True, True]
        assert own(second, of_first) == own(none, of_first) == [False, False]
        assert own(second, of_second) == own(third, of_third) == [True]
    assert own(fourth, of_first) == [False, False]
    assert own(fourth, of_fourth) == [True]


def test_of_what_earlier_versions_did_not_tell_all_is_taken(tmp_path, monkeypatch):
    name = own_rule(monkeypatch)
    config, stored = trained(tmp_path, name)
    monkeypatch.delitem(registry.OPTIMIZERS, name)
    assert own({key: value for key, value in config.items() if key != "own_rules"}, stored) == [True]
    assert own({}, stored) == [True]
