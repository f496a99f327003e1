"""Every first-order optimizer of the installed Optax, found by introspection, through the engine."""

import optax
import pytest

from experiments.benchmarks import conformance

FOUND = conformance.aliases()


def test_optax_s_well_known_optimizers_are_among_those_found():
    assert {"adam", "adamw", "lion", "sgd", "lamb", "adafactor", "lbfgs"} <= FOUND.keys()
    assert len(FOUND) > 25
    assert FOUND.keys() >= {*WITH_EVERY_RUN}


WITH_EVERY_RUN = ("adafactor", "adam", "adamw", "lbfgs", "lion", "noisy_sgd", "polyak_sgd", "sgd")
"""One of each kind; the others are examined by hand, with -m slow."""


@pytest.mark.parametrize(
    "name", [name if name in WITH_EVERY_RUN else pytest.param(name, marks=pytest.mark.slow) for name in FOUND]
)
def test_an_optimizer_of_optax_conforms_or_cannot_be_run_for_a_reason(name, tmp_path):
    row = conformance.examined(FOUND[name], tmp_path)
    assert row.conforms != bool(row.reason), row
    if row.reason:
        assert len(row.reason) > 20
        assert "\n" not in row.reason


@pytest.mark.slow
@pytest.mark.parametrize("name", conformance.aliases(optax.contrib))
def test_an_optimizer_of_optax_contrib_conforms_or_cannot_be_run_for_a_reason(name, tmp_path):
    row = conformance.examined(conformance.aliases(optax.contrib)[name], tmp_path)
    assert row.conforms != bool(row.reason), row


def test_the_examination_tells_an_optimizer_that_does_not_conform(tmp_path):
    def forgets(learning_rate):
        def update(gradients, state, params=None):
            return optax.tree.scale(-learning_rate, gradients), state + 1

        return optax.GradientTransformation(lambda params: 0.0, update)

    def never_twice_the_same(learning_rate):
        calls.append(1)
        return optax.sgd(learning_rate * len(calls))

    calls = []
    assert not conformance.examined(never_twice_the_same, tmp_path).equals_alone
    assert conformance.examined(forgets, tmp_path / "other").reason == ""
