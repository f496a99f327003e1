"""Which runs the flags ask for: the axes of the experiment, or a file that takes their place."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from experiments.command.experiment import Axis, Experiment, Values
from jaxopt_study import files
from jaxopt_study.errors import InputError
from jaxopt_study.grids import file as grid_file
from jaxopt_study.grids import points as space
from jaxopt_study.grids.conditions import condition, unmet
from jaxopt_study.grids.points import SAMPLERS
from jaxopt_study.grids.ranges import RANGES, Range, Spec, parsed
from jaxopt_study.grids.run import Run
from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.family import Hyperparameter

FLAGS = flags.FLAGS


class Asked(NamedTuple):
    """What the flags ask for.

    Attributes:
        runs: to be trained.
        drawn: the experiments whose figures are drawn, with the values of their axes; None for all runs.
        chosen: whether the flags themselves say which runs, so that the experiment has no choice of its own.
    """

    runs: list[Run]
    drawn: Mapping[str, Values | None]
    chosen: bool


def define_axis(name: str, axis: Axis) -> None:
    """Defines the flag that lists an axis's values: only by the module that is run, so that names may be shared."""
    allowed = hyperparameter(axis).allowed
    usual = ",".join(f"{value:.4g}" for value in axis.values)
    what = axis.hyperparameter.replace("_", " ") + (f" of {axis.of}" if axis.of else "")
    text = f"Values of the {what}, comma-separated, each {allowed}, or {RANGES}; {usual} if not given."
    flags.DEFINE_list(name, None, text, allow_override=True)


def define() -> None:
    """Defines the flags that all experiments have beside their axes."""
    text, whole = flags.DEFINE_string, flags.DEFINE_integer
    text("grid", None, "TOML file with [[grid]] tables that take the place of the experiment's grid.")
    example = "momentum < 0.99 or learning_rate <= 0.01"
    text("where", None, f"Leave out what does not meet a condition, such as '{example}'.")
    flags.DEFINE_list("paired", None, "Names of axis flags whose values go together, the first with the first.")
    whole("samples", None, "Points drawn from axes given as 1e-4:1:log or 0:0.99:linear, at least 1.", 1)
    flags.DEFINE_enum("sampler", "random", SAMPLERS, "How they are drawn; sobol leaves smaller gaps.")
    whole("sample_seed", 0, "Seed of the samples.", 0)


def asked(experiment: Experiment, seeds: int) -> Asked:
    """The runs that the flags ask for. Raises InputError: a flag cannot be used."""
    if FLAGS.grid is not None:
        return Asked(of_file(experiment.axes, seeds), dict.fromkeys(experiment.drawn({})), chosen=True)
    return _of_axes(experiment, seeds)


def _of_axes(experiment: Experiment, seeds: int) -> Asked:
    axes = {name: axis_values(name, axis) for name, axis in experiment.axes.items()}
    values = {name: listed for name, listed in axes.items() if not isinstance(listed, Range)}
    sampled = FLAGS.samples is not None or len(values) < len(axes)
    if sampled or FLAGS.paired is not None:
        runs = _of_points(experiment, axes, seeds)
    else:
        space.check_size(math.prod(map(len, values.values())), seeds)
        space.check_size(len(experiment.make_runs(values, 1)), seeds)
        runs = experiment.make_runs(values, seeds)
    every = dict.fromkeys(experiment.drawn(values))
    return Asked(where(runs), every if sampled else experiment.drawn(values), chosen=False)


def of_file(others: Iterable[str], seeds: int) -> list[Run]:
    """The runs of the file that ``--grid`` names; InputError: beside it one of these other flags says which, too."""
    path = files.path_of("--grid", FLAGS.grid)
    for name in (*others, "paired", "samples"):
        if FLAGS[name].value is not None:
            raise InputError("--grid", path, f"the file says what --{name} would; allowed is one of them")
    return where(grid_file.read(path, seeds))


def _of_points(experiment: Experiment, axes: Mapping[str, Sequence[float] | Range], seeds: int) -> list[Run]:
    texts: dict[str, Any] = {
        name: FLAGS[name].value if isinstance(values, Range) else values for name, values in axes.items()
    }
    every = (experiment.make_runs({name: [value] for name, value in p.items()}, seeds) for p in points(texts, seeds))
    return list(dict.fromkeys(run for runs in every for run in runs))


def points(axes: Mapping[str, Spec], seeds: int) -> list[space.Point]:
    """The points of axes, sampled or paired as the flags say."""
    paired = [] if FLAGS.paired is None else [FLAGS.paired]
    found = space.points(axes, paired=paired, samples=FLAGS.samples, sampler=FLAGS.sampler, seed=FLAGS.sample_seed)
    space.check_size(len(found), seeds)
    return found


def where(runs: list[Run]) -> list[Run]:
    """The runs that meet ``--where``; those whose rule lacks a number that it names stay.

    Raises:
        InputError: it is not a condition, or no run meets it.
    """
    if FLAGS.where is None:
        return runs
    names = dict.fromkeys(name for run in runs for name, _ in run.hyperparameters)
    points: list[dict[str, Any]] = [{"optimizer": run.optimizer, **dict(run.hyperparameters)} for run in runs]
    there = {name: {point[name] for point in points if name in point} for name in names}
    test = condition(FLAGS.where, ["optimizer", *names], name="--where", values=there)
    kept = [run for run, point in zip(runs, points, strict=True) if test(point) is not False]
    if not kept:
        allowed = f"none of the {len(runs)} runs is left; {unmet(FLAGS.where, points)}"
        raise InputError("--where", FLAGS.where, allowed)
    return kept


def hyperparameter(axis: Axis) -> Hyperparameter:
    """What the registry says of an axis."""
    return {each.name: each for each in registry.family(axis.optimizer).hyperparameters}[axis.hyperparameter]


def axis_values(name: str, axis: Axis) -> Sequence[float] | Range:
    """The values of an axis from its flag, each once, or a range to be sampled; the axis's own if it is not given.

    Raises:
        InputError: an empty list, or a value that is not a number in the rule's range.
    """
    texts = FLAGS[name].value
    return list(axis.values) if texts is None else parsed(texts, hyperparameter(axis), name=f"--{name}")
