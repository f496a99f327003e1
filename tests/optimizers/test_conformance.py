"""Every first-order optimizer of Optax, found by introspection, every rule of ours and wrappers, through the engine."""

import functools
import re
from pathlib import Path

import optax
import pytest

from experiments.benchmarks import conformance
from jaxopt_study.optimizers import foreign

FOUND = conformance.aliases()


def test_optax_s_well_known_optimizers_are_among_those_found():
    assert {"adam", "adamw", "nadam", "nadamw", "lion", "sgd", "lamb", "adafactor", "lbfgs"} <= FOUND.keys()
    assert len(FOUND) > 25
    assert FOUND.keys() >= {*WITH_EVERY_RUN}


WITH_EVERY_RUN = ("adafactor", "adam", "noisy_sgd", "polyak_sgd", "sgd")
"""One of each kind; the others are examined by hand, with -m slow."""


EVERY = dict(conformance.candidates())


def is_quick(name):
    return name in {*(f"optax.{each}" for each in WITH_EVERY_RUN), "sam of adam", "lookahead of sgd"}


@pytest.mark.parametrize(
    "name", [name if is_quick(name) else pytest.param(name, marks=pytest.mark.slow) for name in EVERY]
)
def test_an_optimizer_conforms_or_cannot_be_run_for_a_reason_as_the_documents_say(name, tmp_path):
    row = conformance.examined(name, EVERY[name], tmp_path)
    assert row.conforms != bool(row.reason), row
    if row.reason:
        assert len(row.reason) > 20
        assert "\n" not in row.reason
    if of_documents_version():
        assert DOCUMENTED[name] == (row.conforms, conformance.told(row))


PAGE = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text()
DOCUMENTED = {
    name: (conforms == "yes", told)
    for name, conforms, told in re.findall(r"^\| `(.*?)` \| (yes|no) \| (.*) \|$", PAGE, re.MULTILINE)
}


def of_documents_version():
    return f"with Optax {optax.__version__}:" in PAGE


def test_the_documents_have_a_row_for_everything_that_is_examined():
    ours = {name for name in EVERY if not name.startswith("optax.")}
    assert ours <= DOCUMENTED.keys()
    assert not of_documents_version() or EVERY.keys() == DOCUMENTED.keys()
    assert f"{sum(conforms for conforms, _ in DOCUMENTED.values())} of {len(DOCUMENTED)} conform" in PAGE


def test_the_examination_tells_an_optimizer_that_does_not_conform(tmp_path):
    def forgets(learning_rate):
        def update(gradients, state, params=None):
            return optax.tree.scale(-learning_rate, gradients), state + 1

        return optax.GradientTransformation(lambda params: 0.0, update)

    def never_twice_the_same(learning_rate):
        calls.append(1)
        return optax.sgd(learning_rate * len(calls))

    calls = []
    rules = (functools.partial(foreign.rule, function) for function in (never_twice_the_same, forgets))
    first, second = (conformance.examined("mine", make, tmp_path / str(i)) for i, make in enumerate(rules))
    assert not first.equals_alone
    assert second.reason == ""
