"""Experiments' commands run within the test's process, on the small network."""

import contextlib
import shutil

import pytest
import small
from absl import flags
from absl.testing import flagsaver

from jaxopt_study.engine import devices
from jaxopt_study.models import build

GRID = ("--learning_rates=0.01", "--momenta=0,0.9")
TINY = ("--train_examples=64", "--val_examples=32", "--max_epochs=2", "--seeds=1", "--slots=2")


@contextlib.contextmanager
def small_engine():
    """The small network instead of the article's, and the devices and caches that the tests have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "article_model", lambda **_: small.MODEL)
        patch.setattr(devices, "configure", lambda **_: None)
        yield


def run(module, *arguments):
    """The exit status of ``python -m experiments.MODULE ARGUMENTS``."""
    with small_engine(), flagsaver.flagsaver():
        flags.FLAGS.unparse_flags()
        with pytest.raises(SystemExit) as left:
            module.main([module.__name__, *arguments])
    return left.value.code or 0


def copied(made, tmp_path, *names):
    for name in names:
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path
