"""The command of a comparison over several problems: a study a problem, one after the other, then one verdict."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from experiments.command import flags as command
from experiments.command import machine
from jaxopt_study.errors import InputError
from jaxopt_study.grids import ranges
from jaxopt_study.storage import workdir

if TYPE_CHECKING:
    from jaxopt_study.api import Study

Axes = Mapping[str, Sequence[float]]
"""Values by the names of a rule's numbers."""
FLAGS: Any = flags.FLAGS


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
    again: Any = {"allow_override": True}
    text, whole, listed, switch = flags.DEFINE_string, flags.DEFINE_integer, flags.DEFINE_list, flags.DEFINE_bool
    text("workdir", f"workdir/{of.name}", "Folder for results; a study a problem in folders of it.", **again)
    text("output", None, "Folder for tables, figures and README.md; the work directory if not given.", **again)
    listed("problems", None, "Names of problems, comma-separated; the suite's if not given.", **again)
    listed("optimizers", None, "Names of rules, comma-separated; the usual ones if not given.", **again)
    rates = f"Learning rates of every rule in place of its own, comma-separated, or {ranges.RANGES}."
    listed("learning_rates", None, rates, **again)
    text("reference", of.reference, "The rule over whose losses those of the others are told.", **again)
    whole("seeds", 3, "Seeds of every configuration, at least 1; 2 for intervals.", 1, **again)
    whole("max_epochs", None, "Epochs of a run; a problem's own if not given.", 1, **again)
    whole("batch_size", None, "Training examples a step; a problem's own if not given.", 1, **again)
    minutes = "Minutes after which training ends; the same command goes on."
    flags.DEFINE_float("max_minutes", None, minutes, 0.001, **again)
    whole("slots", None, "Runs that train at once; chosen from the memory if not given.", 1, **again)
    text("data_dir", None, "Folder of prepared TFDS sets, for cats_vs_dogs_32; TFDS's own if not given.", **again)
    switch("costs", False, "Measure what a step of each rule costs over SGD's, and judge at equal time too.", **again)
    switch("dry_run", False, "Say what would be trained; train nothing.", **again)
    command.start(lambda: body(of), argv)


def body(of: Comparison) -> None:
    """Everything between the flags and the exit status."""
    machine.tell(command=of.name)
    from experiments.suite import tell  # takes its time to import: not before the flags are known to be good
    from experiments.suite.problems import SUITE

    rules = of.rules(FLAGS.optimizers or ())
    if FLAGS.learning_rates:
        given = ranges.values(FLAGS.learning_rates, name="--learning_rates")
        rules = {rule: {**axes, "learning_rate": given} for rule, axes in rules.items()}
    if FLAGS.reference not in rules:
        raise InputError("--reference", FLAGS.reference, f"allowed are the rules compared: {', '.join(rules)}")
    names = FLAGS.problems or SUITE
    folder = workdir.check(Path(FLAGS.workdir))
    into = workdir.check(Path(FLAGS.output)) if FLAGS.output else folder
    studies = {name: study_of(name, rules, folder) for name in names}
    if FLAGS.dry_run:
        plan(studies)
        return
    train(studies)
    finished = {name: study for name, study in studies.items() if study.histories}
    machine.tell(workdir=str(folder), runs=sum(len(study.runs) for study in studies.values()))
    if finished:
        missing = [name for name in studies if name not in finished]
        tell.write(of.title, finished, FLAGS.reference, into, missing=missing, small=into != folder)
    else:
        print(f"{folder}: the time was over before a run was finished; the same command goes on")


def study_of(name: str, rules: Mapping[str, Axes], folder: Path) -> "Study":
    """The study of a problem.

    Raises:
        InputError: there is no such problem, or a flag cannot be used.
        EnvironmentFault: the machine cannot do it.
    """
    import jaxopt_study as js
    from experiments.suite.problems import PROBLEMS
    from jaxopt_study.grids.run import product

    if name not in PROBLEMS:
        raise InputError("--problems", name, f"allowed are {', '.join(PROBLEMS)}")
    problem = PROBLEMS[name]
    data, epochs = problem.data(FLAGS.data_dir), FLAGS.max_epochs or problem.max_epochs
    return js.make_study(
        model=problem.model(data),
        data=data,
        grid=[run for rule, axes in rules.items() for run in product(rule, axes, FLAGS.seeds)],
        max_epochs=epochs,
        patience=epochs,
        batch_size=FLAGS.batch_size or problem.batch_size,
        slots=FLAGS.slots,
        workdir=folder / name,
    )


def plan(studies: Mapping[str, "Study"]) -> None:
    """Prints what would be trained."""
    told = {name: (len(study.runs), len(study.histories), study.settings.max_epochs) for name, study in studies.items()}
    for name, (runs, stored, epochs) in told.items():
        print(f"{name}: {runs} runs of {epochs} epochs, {stored} of them finished")
    columns = ("problem", "runs", "finished", "max_epochs")
    machine.tell(plan=[dict(zip(columns, (name, *of), strict=True)) for name, of in told.items()])


def train(studies: Mapping[str, "Study"]) -> None:
    """Trains one study after the other, as far as the time allows."""
    import dataclasses

    from jaxopt_study.engine.watcher import Interrupted

    end = math.inf if FLAGS.max_minutes is None else time.monotonic() + 60 * FLAGS.max_minutes
    for name, study in studies.items():
        left = (end - time.monotonic()) / 60
        if left <= 0:
            return
        print(f"{name}: {len(study.runs)} runs of {study.settings.max_epochs} epochs", flush=True)
        if math.isfinite(left):
            study.execution = dataclasses.replace(study.execution, max_minutes=left)
        try:
            study.run()
            if FLAGS.costs and study.histories and time.monotonic() < end:
                study.costs()
        except Interrupted:
            kept = "interrupted; what was begun is saved, the same command goes on from here"
            raise command.Stopped(kept) from None
