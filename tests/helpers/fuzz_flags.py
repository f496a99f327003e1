"""Generated command lines: each is accepted, or refused in one line, before anything is written or trained.

PYTHONPATH=. python tests/helpers/fuzz_flags.py 20000      # the test suite has 1,000
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import pytest
from absl import flags
from absl.testing import flagsaver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments import compare, lr_range_test, replicate
from experiments.command import experiment as catalogue
from experiments.command import flags as common
from experiments.command import grid_flags, study_flags
from experiments.command.experiment import Experiment
from jaxopt_study import data
from jaxopt_study.errors import EnvironmentFault, InputError

EXPERIMENTS = [*catalogue.grids(), compare.EXPERIMENT, lr_range_test.EXPERIMENT, replicate.EXPERIMENT]
MOST_LINES = 1

_NUMBERS = st.one_of(
    st.integers(-3, 300).map(str),
    st.floats().map(str),
    st.sampled_from(["0", "-0", "1e-400", "1e400", "0x10", "1_000", "\u0661", "NaN", "", " 1 ", "9" * 30]),
)
_STEPS = st.sampled_from(
    [
        "decade",
        "half_decade",
        "third_decade",
        "log",
        "linear",
        "log5",
        "linear4",
        "log1",
        "linear0",
        "decades",
        "",
        "log9" * 9,
    ]
)
_RANGES = st.builds("{}:{}:{}".format, _NUMBERS, _NUMBERS, _STEPS)
_SOME = st.sampled_from(["1e-4:1:log", "0:0.99:linear", "0.001:0.1:half_decade", "0.1", "0.01,0.1", "0.5"])
_NAMES = st.sampled_from(
    ["learning_rate", "momentum", "b1", "optimizer", "eps", "momentun", "learning_rates", "momenta"]
)
_TERMS = st.one_of(_NAMES, _NUMBERS, st.sampled_from(["'adam'", "(1, 2)", "1 - momentum", "1 / 0", "f(1)"]))
_COMPARISONS = st.builds("{} {} {}".format, _TERMS, st.sampled_from(["<", "<=", "==", "!=", "in", "is", "="]), _TERMS)
_CONDITIONS = st.builds("{} {} {}".format, _COMPARISONS, st.sampled_from(["and", "or", "not", "+"]), _COMPARISONS)
_TEXTS = st.text(max_size=20)
_VALUES = st.one_of(
    _SOME, _NUMBERS, _RANGES, st.lists(st.one_of(_NUMBERS, _RANGES), max_size=4).map(",".join), _CONDITIONS,
    _COMPARISONS, _NAMES, st.lists(_NAMES, max_size=3).map(",".join), _TEXTS,
    st.sampled_from(["digits", "tfds:x", "folder:.", "auto", "quick", "article", "sobol", "random", "true"]),
)  # fmt: skip
_NOT_TRIED = {"workdir", "cache_dir", "data_dir", "cluster", "distributed"}
"""Those that write, and those that start or wait for other processes."""
_FOLDERS = st.one_of(st.just("w"), st.just("w"), _TEXTS, st.sampled_from(["~nobody/x", "x" * 300, "a/b/c", "w\n"]))
_LIKELY: dict[str, st.SearchStrategy[str]] = {
    "learning_rates": st.sampled_from(["0.1,0.2", "1e-3:1e-1:half_decade", "1e-4:1:log", "0.001:1:log4,2"]),
    "momenta": st.sampled_from(["0,0.9", "0:0.99:linear4", "0:0.99:linear"]),
    "where": st.sampled_from(["learning_rate < 0.5", "optimizer != 'adam' and learning_rate * 2 > 0.001"]),
    "paired": st.just("learning_rates,momenta"),
    "samples": st.sampled_from(["1", "7", "16"]),
    "sampler": st.sampled_from(["random", "sobol"]),
    "seeds": st.integers(1, 5).map(str),
    "max_epochs": st.integers(1, 1000).map(str),
    "preset": st.sampled_from(["quick", "article"]),
    "halving": st.integers(2, 4).map(str),
}


class Reached(Exception):
    """The flags are good, and data would be read now."""


def reached(*_: object, **__: object) -> None:
    """In place of the reading of data."""
    raise Reached


def flag_names(experiment: Experiment) -> list[str]:
    """The flags of an experiment's command."""
    with flagsaver.flagsaver():
        common.define(experiment)
        own = [
            flag.name
            for module in (common, study_flags, grid_flags)
            for flag in flags.FLAGS.get_key_flags_for_module(module)
        ]
    names = dict.fromkeys([*own, "no_such_flag", "learning_rate"])
    return [name for name in names if name not in _NOT_TRIED]


@st.composite
def command_lines(draw: st.DrawFn) -> tuple[Experiment, list[str]]:
    """An experiment, and flags for it: most of its own, mostly with values that could be meant."""
    experiment = draw(st.sampled_from(EXPERIMENTS))
    names = draw(st.lists(st.sampled_from(flag_names(experiment)), max_size=draw(st.integers(0, 2))))
    known = [name for name in flag_names(experiment) if name in _LIKELY]
    likely = draw(st.lists(st.sampled_from(known), max_size=3))
    pairs = [(name, draw(_VALUES)) for name in names] + [(name, draw(_LIKELY[name])) for name in likely]
    folder = draw(_FOLDERS)
    return experiment, [*(f"--{name}={value}" for name, value in pairs), f"--workdir={folder}"]


def outcome(experiment: Experiment, arguments: list[str], folder: Path) -> str:
    """``accepted``, or the line with which the command line is refused."""
    with flagsaver.flagsaver():
        common.define(experiment)
        flags.FLAGS.unparse_flags()
        try:
            rest = flags.FLAGS(["command", *arguments])
            if len(rest) > 1:
                return "refused: not a flag"
            with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
                patch.setattr(data, "load", reached)  # which comes when all else is known to be good
                common.run(experiment)
        except Reached:
            return "accepted"
        except flags.Error as error:  # the command makes one line of it
            return "refused: " + " ".join(str(error).split())
        except (InputError, EnvironmentFault) as error:
            return f"refused: {error}"
    raise AssertionError("it was neither accepted nor refused")


def check(case: tuple[Experiment, list[str]], folder: Path) -> str:
    """The outcome of one case; fails if it is more than a line or anything was written."""
    told = outcome(*case, folder)
    assert len(told.splitlines()) == MOST_LINES, told
    assert not list(folder.iterdir()), case
    return told


def run(cases: int) -> dict[str, int]:
    """Tries this many cases; returns how many were accepted and refused."""
    counts = {"accepted": 0, "refused": 0}
    with tempfile.TemporaryDirectory() as name:

        @settings(
            max_examples=cases, deadline=None, database=None, derandomize=cases <= 1000,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(command_lines())
        def try_one(case: tuple[Experiment, list[str]]) -> None:
            counts[check(case, Path(name)).split(":")[0]] += 1

        try_one()
    return counts


if __name__ == "__main__":
    print(run(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
