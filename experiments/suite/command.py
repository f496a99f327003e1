"""The command of a comparison over several problems: a study a problem, one after the other, then one verdict."""

import dataclasses
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
from absl import flags

from experiments.command import flags as command
from experiments.command import grid_flags, machine, place, study_flags
from experiments.command.experiment import Axis
from jaxopt_study.errors import InputError
from jaxopt_study.grids import ranges
from jaxopt_study.grids.run import Run, with_seeds
from jaxopt_study.storage import made

if TYPE_CHECKING:
    from jaxopt_study.api import Study

Axes = Mapping[str, Sequence[float]]
"""Values by the names of a rule's numbers."""
FLAGS: Any = flags.FLAGS
USUAL: Mapping[str, Any] = {"seeds": 3}
"""Where a flag is not given, whatever the problem."""


class Comparison(NamedTuple):
    """What is compared.

    Attributes:
        name: of the command and of its work directory.
        title: of the page.
        rules: the grid of each, by its name; told the names that were asked for, none for the usual ones.
        reference: the rule over whose losses those of the others are told.
    """

    name: str
    title: str
    rules: Callable[[Sequence[str]], Mapping[str, Axes]]
    reference: str


def main(of: Comparison, argv: Sequence[str] | None = None) -> None:
    """The command."""
    define(of)
    command.start(lambda: body(of), argv)


def define(of: Comparison) -> None:
    """Defines the flags: those of every experiment, but for the data and network, which the problems say."""
    text, listed = flags.DEFINE_string, flags.DEFINE_list
    listed("problems", None, "Names of problems, comma-separated; the suite's if not given.")
    listed("optimizers", None, "Names of rules, comma-separated; the usual ones if not given.")
    rates = f"Learning rates of every rule in place of its own, comma-separated, or {ranges.RANGES}."
    listed("learning_rates", None, rates)
    text("reference", of.reference, "The rule over whose losses those of the others are told.")
    text("output", None, "Folder for tables, figures and README.md; the work directory if not given.")
    grid_flags.define()
    study_flags.define("a problem's own if not given", f"workdir/{of.name}", batch_size=None, seeds="3 if not given")
    command.register(sys.modules[__name__])


def body(of: Comparison) -> None:
    """Everything between the flags and the exit status."""
    machine.tell(command=of.name)
    from experiments.suite import tell  # takes its time to import: not before the flags are known to be good

    if FLAGS.data_seeds is not None:
        allowed = "not allowed over problems, whose seeds are taken as independent; --data_seed is"
        raise InputError("--data_seeds", FLAGS.data_seeds, allowed)
    runs, problems, usual = runs_of(of), asked(), f"workdir/{of.name}"
    given = place.given(usual)
    rules = dict.fromkeys(run.optimizer for run in runs)
    if FLAGS.reference not in rules:
        raise InputError("--reference", FLAGS.reference, f"allowed are the rules compared: {', '.join(rules)}")
    with place.kept(usual, shared=FLAGS.distributed) as folder:
        into = place.output(folder)
        made.check(into, (made.README,) if FLAGS.output else (made.README, made.PAGE))
        studies = {name: study_of(name, runs, given) for name in problems}
        command.unless_interrupted()
        machine.tell(workdir=given, runs=sum(len(study.runs) for study in studies.values()))
        if FLAGS.dry_run:
            plan(studies)
            return
        train(studies)
        if jax.process_index() > 0:  # the first process writes for all
            return
        machine.tell(runs=sum(len(study.runs) for study in studies.values()))
        finished = {name: study for name, study in studies.items() if study.histories}
        if finished:
            missing = [name for name in studies if name not in finished]
            tell.write(of.title, finished, FLAGS.reference, into, missing=missing, small=bool(FLAGS.output))
        else:
            print(f"{given}: the time was over before a run was finished; the same command goes on")


def asked() -> Sequence[str]:
    """The names of the problems; InputError: there is no such problem, or none is named."""
    from experiments.suite.problems import PROBLEMS, SUITE

    if FLAGS.problems is None:
        return SUITE
    for name in FLAGS.problems or [""]:
        if name not in PROBLEMS:
            raise InputError("--problems", name, f"allowed are {', '.join(PROBLEMS)}")
    named: list[str] = FLAGS.problems
    return named


def runs_of(of: Comparison) -> list[Run]:
    """The runs of every problem.

    Raises:
        InputError: a flag cannot be used.
    """
    seeds = study_flags.value("seeds", USUAL)
    rules = of.rules(FLAGS.optimizers or ())
    if FLAGS.optimizers == []:
        raise InputError("--optimizers", "", f"allowed are names of rules, such as {', '.join(rules)}")
    if FLAGS.grid is not None:
        return grid_flags.of_file(("optimizers", "learning_rates"), seeds)
    runs = []
    for rule, axes in rules.items():
        own: dict[str, Any] = dict(axes)
        if FLAGS.learning_rates is not None:
            grid_flags.axis_values("learning_rates", Axis(rule, "learning_rate", ()))  # refuses what is none
            own["learning_rate"] = FLAGS.learning_rates
        runs += with_seeds(rule, grid_flags.points(own, seeds), seeds)
    return grid_flags.where(runs)


def study_of(name: str, runs: Sequence[Run], folder: str) -> "Study":
    """The study of a problem.

    Raises:
        InputError: a flag cannot be used.
        EnvironmentFault: the machine cannot do it.
    """
    import jaxopt_study as js
    from experiments.suite.problems import PROBLEMS

    problem = PROBLEMS[name]
    data = problem.data(data_dir=FLAGS.data_dir, cache_dir=FLAGS.cache_dir, split_seed=FLAGS.data_seed)
    epochs = FLAGS.max_epochs or problem.max_epochs
    usual = {**USUAL, "max_epochs": epochs, "patience": epochs, "batch_size": problem.batch_size}
    of_study = {each: study_flags.value(each, usual) for each in study_flags.OF_STUDY}
    return js.make_study(model=problem.model(data), data=data, grid=runs, workdir=f"{folder}/{name}", **of_study)


def plan(studies: Mapping[str, "Study"]) -> None:
    """Prints what would be trained."""
    from experiments.command import terminal  # Rich is slow to import

    parts = []
    for name, study in studies.items():
        runs, stored = len(study.runs), len(study.histories)
        print(f"{name}: {runs} runs of {study.settings.max_epochs} epochs, {stored} of them finished")
        parts += [{"problem": name, **part._asdict()} for part in terminal.show_plan(study)]
    machine.tell(plan=parts)


def train(studies: Mapping[str, "Study"]) -> None:
    """Trains one study after the other, as far as the time allows."""
    end = math.inf if FLAGS.max_minutes is None else time.monotonic() + 60 * FLAGS.max_minutes
    for name, study in studies.items():
        left = (end - time.monotonic()) / 60
        if left <= 0:
            return
        print(f"{name}: {len(study.runs)} runs of {study.settings.max_epochs} epochs", flush=True)
        if math.isfinite(left):
            study.execution = dataclasses.replace(study.execution, max_minutes=left)
        with command.training(study) as callbacks:
            study.run(*callbacks)
        if FLAGS.costs and study.histories and time.monotonic() < end and jax.process_index() == 0:
            from experiments.command import terminal  # Rich is slow to import

            terminal.show_costs(study)
