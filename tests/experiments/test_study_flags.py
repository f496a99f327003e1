"""js.make_study says all that the commands' flags say, by the same names and with the same defaults."""

import inspect
import sys

import pytest
from absl import flags
from absl.testing import flagsaver

import jaxopt_study.api as js
from experiments import momentum_grid
from experiments.command import flags as common
from experiments.command import grid_flags, study_flags
from jaxopt_study.data import load

OF_GRID = {"grid", "where", "paired", "samples", "sampler", "sample_seed", *momentum_grid.EXPERIMENT.axes}
"""What js.make_grid says."""
OF_DATA = {"dataset", *study_flags.OF_DATA}
OF_MODEL = {"notebook_model", "activations", "kernels"}
"""What js.article_model says."""
OF_COMMAND = {"watch", "preset", "dry_run", "costs"}
"""What is done beside training: the page, a choice of defaults for other flags, study.plan() and the cost of rules."""
FROM_PRESET = {"max_epochs", "patience", "seeds", "workdir"}


@pytest.fixture
def defined():
    """The flags of an experiment's command, by their names."""
    with flagsaver.flagsaver():
        common.define(momentum_grid.EXPERIMENT)
        modules = (sys.modules[common.__name__], study_flags, grid_flags)
        yield {flag.name: flag for module in modules for flag in flags.FLAGS.get_key_flags_for_module(module)}


def test_every_flag_of_a_study_is_an_argument_of_make_study(defined):
    arguments = inspect.signature(js.make_study).parameters.keys()
    assert defined.keys() - OF_GRID - OF_DATA - OF_MODEL - OF_COMMAND <= arguments
    assert {*study_flags.OF_STUDY} <= defined.keys() & arguments
    assert {*study_flags.OF_DATA} <= inspect.signature(load).parameters.keys()


def test_every_argument_of_make_study_but_objects_is_a_flag(defined):
    arguments = inspect.signature(js.make_study).parameters.keys()
    objects = {"model", "model_axes", "data", "loss", "metrics", "execution", "callbacks", "own", "questions"}
    of_own = {"monitor", "mode"}  # of metrics of one's own
    assert arguments - defined.keys() == objects | of_own


def test_flags_and_arguments_have_the_same_defaults(defined):
    arguments = inspect.signature(js.make_study).parameters
    for name in {*study_flags.OF_STUDY} - FROM_PRESET:
        assert defined[name].default == arguments[name].default, name
