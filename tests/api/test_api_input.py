"""Whatever the library's functions are given, they accept it or refuse it in one line."""

import numpy as np
import optax
import own_studies
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jaxopt_study as js
from jaxopt_study.errors import InputError
from jaxopt_study.optimizers import registry
from jaxopt_study.settings import Execution

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}
ASKED = {
    "optimizer": own_studies.OPTIMIZERS,
    "axes": st.dictionaries(own_studies.NAMES, own_studies.SPECS, max_size=3),
    "extras": own_studies.EXTRAS,
}


def one_line(call):
    """What the call returns, or None where it is refused in one line."""
    try:
        return call()
    except InputError as error:
        refusal = str(error)
    assert refusal.strip()
    assert "\n" not in refusal.strip(), refusal
    return None


def digits(**asked):
    return js.make_study(**{"data": "digits", "grid": js.make_grid("sgd"), **asked})


def check_grid(optimizer, axes, extras):
    made = one_line(lambda: js.make_grid(optimizer, **axes, **extras))
    assert made is None or made.optimizer in registry.OPTIMIZERS


def check_study(asked, labels, folder):
    dataset = one_line(lambda: own_studies.data(labels))
    grid = js.make_grid("sgd", learning_rate=[0.01, 0.1])
    made = dataset and one_line(lambda: js.make_study(data=dataset, grid=grid, workdir=folder / "runs", **asked))
    assert not made or made.runs
    assert not list(folder.iterdir())  # nothing is written before it runs


@given(**ASKED)
@settings(max_examples=200, **QUIET)
def test_a_grid_is_made_or_refused_in_one_line(optimizer, axes, extras):
    check_grid(optimizer, axes, extras)


@given(asked=own_studies.STUDIES, labels=own_studies.LABELS)
@settings(max_examples=100, **QUIET)
def test_a_study_is_made_or_refused_in_one_line(asked, labels, tmp_path_factory):
    check_study(asked, labels, tmp_path_factory.mktemp("study"))


@pytest.mark.slow
@given(**ASKED)
@settings(max_examples=15_000, **QUIET)
def test_many_grids_are_made_or_refused_in_one_line(optimizer, axes, extras):
    check_grid(optimizer, axes, extras)


@pytest.mark.slow
@given(asked=own_studies.STUDIES, labels=own_studies.LABELS)
@settings(max_examples=5_000, **QUIET)
def test_many_studies_are_made_or_refused_in_one_line(asked, labels, tmp_path_factory):
    check_study(asked, labels, tmp_path_factory.mktemp("study"))


def sampled(learning_rate, samples=2.0):
    return optax.sgd(learning_rate * samples)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: js.make_grid("momentm", learning_rate=0.1), "optimizer=momentm: did you mean momentum?"),
        (lambda: js.make_grid("sgd", learningrate=0.1), "hyperparameter=learningrate: did you mean learning_rate?"),
        (lambda: js.make_grid(3), "optimizer=3: allowed is a name"),
        (lambda: js.make_grid("sgd", sampler=np.zeros(2)), "sampler=[0. 0.]: allowed are random, sobol"),
        (lambda: js.make_grid("sgd", when=True), "when=True: allowed is a table of conditions"),
        (lambda: js.make_grid("sgd", points=None), "points=None: allowed is a list of tables"),
        (lambda: js.make_grid(own_studies.mine), "learning_rate=nothing: mine has no default for it"),
        (lambda: js.make_grid(own_studies.mine, learning_rate=0.1, bold=0.5), "hyperparameter=bold"),
        (
            lambda: js.make_grid(js.rule(sampled), learning_rate=0.1),
            "optimizer=sampled: make_grid itself takes samples",
        ),
        (lambda: digits(model=3), "model=3: allowed are a Linen module"),
        (lambda: digits(model=3, grid=[]), "grid=[]: allowed is what js.make_grid returned, or a list"),
        (lambda: digits(model=3, seeds=0), "seeds=0: allowed is a whole number"),
        (lambda: digits(model=3, halving=1), "halving=1: allowed is a whole number from 2"),
        (lambda: digits(model=3, slots=0), "slots=0: allowed is a whole number from 1"),
        (lambda: digits(model=3, strategy="pmap"), "strategy=pmap: allowed are auto, vmap, map"),
        (lambda: digits(model=3, checkpoint_minutes=0), "checkpoint_minutes=0: allowed is a number above 0"),
        (lambda: digits(model=3, workers=2), "workers=2: allowed with cluster only"),
        (lambda: digits(model=3, execution=Execution(slots=2), slots=2), "execution=Execution(slots=2"),
    ],
)
def test_a_mistake_is_answered_with_what_was_given_and_what_is_allowed(call, message):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith(message)
