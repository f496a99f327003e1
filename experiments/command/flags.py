"""What every command shares: its flags, the way from them to the work directory, and what it ends with."""

import contextlib
import dataclasses
import functools
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import jax
from absl import app, flags

from experiments.command import grid_flags, machine
from experiments.command.experiment import Experiment
from jaxopt_study.engine.watcher import Interrupted
from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.settings import MOST_SEEDS, PRECISIONS, STRATEGIES, UNTIL, Execution, Machines, Settings
from jaxopt_study.storage import remote
from jaxopt_study.watch import terminal
from jaxopt_study.watch.live import Live

if TYPE_CHECKING:
    from jaxopt_study.api import Study

FLAGS = flags.FLAGS
OF_STUDY = (
    "seeds",
    "data_seeds",
    "tensorboard",
    *(f.name for of in (Settings, Execution, Machines) for f in dataclasses.fields(of)),
)
"""Flags that are arguments of js.make_study, of the same names."""
OF_DATA = ("data_dir", "cache_dir", "classes", "image_size", "train_examples", "val_examples", "leave_out_broken")
"""Flags that are arguments of js.load, of the same names."""


def define(experiment: Experiment) -> None:
    """Defines the flags of an experiment's command: by the module that is run, not by those that import it."""
    for name, axis in experiment.axes.items():
        grid_flags.define_axis(name, axis)
    grid_flags.define()
    text, whole, switch, choice = flags.DEFINE_string, flags.DEFINE_integer, flags.DEFINE_bool, flags.DEFINE_enum
    preset = "the preset's if not given"
    choice("preset", "quick", ["quick", "article"], "Which set of defaults all other flags override.")
    text("dataset", None, f"digits, tfds:NAME or folder:PATH; {preset}.")
    text("data_dir", None, "Folder of prepared TFDS sets; TFDS's own if not given.")
    text("cache_dir", None, "Folder for decoded images; the user's cache folder if not given.")
    flags.DEFINE_list("classes", None, "Classes to tell apart, by name, or 'all'.")
    whole("image_size", None, f"Height and width in pixels, at least 2; {preset}.", 2)
    whole("train_examples", None, "Use only the first so many training examples.", 1)
    whole("val_examples", None, "Use only the first so many validation examples.", 1)
    switch("leave_out_broken", False, "Go on without pictures that cannot be read; which they are is told.")
    whole("batch_size", Settings.batch_size, "Training examples a step, at least 1.", 1)
    whole("max_epochs", None, f"Epochs a run trains at most, at least 1; {preset}.", 1)
    stops = "Epochs without a lower validation loss after which a run ends, at least 1"
    whole("patience", None, f"{stops}; {preset}.", 1)
    held = "Share of the validation examples that is held back and only measured, from 0 to below 1"
    flags.DEFINE_float("test_share", Settings.test_share, f"{held}.", 0.0, 0.999)
    whole("seeds", None, f"Seeds 0 to this less 1 for every configuration; {preset}.", 1)
    whole("data_seed", Settings.data_seed, "Seed of the order of the examples and of a folder's split.", 0)
    orders = "Orders of the examples, and of data split here splits, each with all runs: seeds from --data_seed on."
    whole("data_seeds", None, orders, 1)
    switch("notebook_model", False, "The network of the article's notebook.")
    text("workdir", None, "Folder for results, or s3://.. or gs://..; workdir/EXPERIMENT if not given.")
    whole("slots", Execution.slots, "Runs that train at once; chosen from the memory if not given.", 1)
    whole("devices", Execution.devices, "Devices to use (CPU: cores); all if not given.", 1)
    choice("strategy", Execution.strategy, STRATEGIES, "How a device trains its runs.")
    units = "Of products of float32 arrays, where the device has coarser units."
    choice("matmul_precision", Settings.matmul_precision, PRECISIONS, units)
    types = "Type of what convolutions and dense layers take and give."
    choice("activations", "float32", ["float32", "bfloat16"], types)
    choice("kernels", "auto", ["auto", "fast", "cuda", "plain"], "This project's layers or Flax's own.")
    switch("diagnostics", Settings.diagnostics, "Measure oscillation, update size, distance and norms.")
    largest = "Measure the largest eigenvalue of the Hessian after epochs, and set it beside what a rule bears."
    switch("sharpness", Settings.sharpness, largest)
    apart = "Epochs from one measurement of --sharpness to the next; if not given, as many as cost 5% of the steps."
    whole("sharpness_every", None, apart, 1)
    ends = "End a run when its loss is not finite; otherwise it runs out its patience as in Keras."
    switch("stop_on_nonfinite", Settings.stop_on_nonfinite, ends)
    minutes = "Minutes between checkpoints, above 0."
    flags.DEFINE_float("checkpoint_minutes", Execution.checkpoint_minutes, minutes, 0.001)
    given = "Minutes, compilation counted, after which what is under way is saved and training ends, above 0."
    flags.DEFINE_float("max_minutes", Execution.max_minutes, given, 0.001)
    more = "decided: more seeds for the configurations that the most undecided claims hang on, until all are."
    choice("until", Execution.until, UNTIL, more)
    most = f"Seeds of a configuration at most, with --until; {MOST_SEEDS} if not given."
    whole("max_seeds", Execution.max_seeds, most, 2)
    switch("watch", False, "Serve the page to this machine while it trains; the address is printed.")
    switch("tensorboard", False, "Write TensorBoard event files, a run each, into the workdir.")
    switch("costs", False, "Measure what a step of each rule costs over SGD's, each alone; a compilation a rule.")
    rungs = "Successive halving: the best 1 / HALVING of a rule's runs go on at every rung; from 2."
    whole("halving", Settings.halving, rungs, 2)
    switch("dry_run", False, "Say what would be trained, in how much memory and time; train nothing.")
    switch("save_best_weights", Execution.save_best_weights, "Keep each run's weights at its best epoch.")
    kinds = "local (started here), auto (this machine is part of one) or ray://HOST:PORT"
    text("cluster", None, f"Train on a Ray cluster: {kinds}.")
    cores = "Cores of a cluster's worker; a GPU each if not given, or a machine each without GPUs."
    whole("cpus_per_worker", None, cores, 1)
    whole("workers", None, "Workers of a cluster at most; as many as fit if not given.", 1)
    part = "This is one of several processes that share --workdir, each with its part of the runs."
    switch("distributed", False, part)
    first = "HOST:PORT of the first process; found on Slurm, Cloud TPU and Open MPI, as are the next two."
    text("coordinator", None, first)
    whole("processes", None, "Number of processes of --distributed.", 1)
    whole("process_id", None, "Number of this process, from 0.", 0)
    machine.define()
    for module in (sys.modules[__name__], grid_flags, machine):
        for flag in FLAGS.get_key_flags_for_module(module):
            FLAGS.register_key_flag_for_module(sys.argv[0], flag)  # so that --help lists it


def command(experiment: Experiment) -> Callable[..., None]:
    """An experiment's ``main``: from a command line, the program's if none is given, to files and the exit status."""
    body = exit_status()(functools.partial(run, experiment))
    flags_parser = functools.partial(define_and_parse, experiment)
    main: Callable[..., None] = functools.partial(app.run, body, flags_parser=flags_parser)
    return main


def define_and_parse(experiment: Experiment, arguments: Sequence[str]) -> list[str]:
    """Defines and parses the flags of an experiment's command."""
    define(experiment)
    return parse(arguments)


def run(experiment: Experiment, _: Sequence[str] = ()) -> None:
    """Everything between the flags and the exit status: the study, then its tables, figures and report."""
    asked = grid_flags.asked(experiment, value("seeds", experiment))
    place = FLAGS.workdir or str(Path("workdir") / experiment.name)
    with remote.kept(place, shared=FLAGS.distributed):
        study = study_of(experiment, asked, place)
        unless_interrupted()
        if FLAGS.dry_run:
            from experiments.command import terminal as shown  # Rich is slow to import

            machine.tell(workdir=place, runs=len(study.runs), plan=[part._asdict() for part in shown.show_plan(study)])
            return
        try:
            with contextlib.ExitStack() as until_it_ends:
                study.run(*([until_it_ends.enter_context(watched(study))] if FLAGS.watch else []))
        except Interrupted:
            kept = "what was begun is saved" if FLAGS.cluster is None else "finished runs are kept"
            raise Stopped(f"interrupted; {kept}, the same command goes on from here") from None
        if jax.process_index() > 0:  # the first process writes for all
            return
        from experiments.command import (  # Matplotlib takes a second: the first epoch does not wait for it
            outputs,
            results,
        )

        if FLAGS.costs:
            study.costs()
        results.record(study, asked.drawn)
        machine.tell(workdir=place, runs=len(study.runs), finished=len(study.histories))
        if study.histories:  # else the time was over before
            outputs.write(results.read([study.folder], study.trained), study.folder, study.histories)
    if remote.is_url(place):
        print(f"all of it is at {place}")


@contextlib.contextmanager
def watched(study: "Study") -> Iterator[Live]:
    """Serves the page of a study while the context lasts; gives the callback that tells it what is under way.

    Of several processes the first serves what all of them write into the work directory that they share.
    """
    from experiments.command.live import LivePage  # takes its time to import
    from jaxopt_study.report.server import Server

    study.folder.mkdir(parents=True, exist_ok=True)
    process = jax.process_index()
    with contextlib.closing(Live(study.folder, process)) as live:
        if process:
            yield live
            return
        with Server(LivePage([study.folder])) as server:
            print(f"{server.address} (for this machine alone, while it trains)", file=sys.stderr, flush=True)
            yield live


def study_of(experiment: Experiment, asked: grid_flags.Asked, place: str) -> "Study":
    """The study that the flags describe.

    Raises:
        InputError: a flag cannot be used.
        EnvironmentFault: the machine cannot do it.
    """
    # Slow to import, with all that trains: --help and what is wrong with a flag do not wait for it.
    from experiments.command import results
    from jaxopt_study.api import make_study
    from jaxopt_study.data import load
    from jaxopt_study.models.build import article_model

    make = functools.partial(
        make_study,
        model=article_model(notebook=FLAGS.notebook_model, kernels=FLAGS.kernels, activations=FLAGS.activations),
        workdir=place,
        own=False,
        **{name: value(name, experiment) for name in OF_STUDY},
    )
    of_data = {name: value(name, experiment) for name in OF_DATA}
    read = functools.partial(load, value("dataset", experiment), split_seed=FLAGS.data_seed, **of_data)
    study = make(data=read, grid=asked.runs)
    if experiment.choose is not None and not asked.chosen:
        runs = experiment.choose(results.finished(study), asked.runs, value("seeds", experiment))
        study = make(data=read if FLAGS.data_seeds else study.dataset, grid=grid_flags.where(runs))
    study.questions = functools.partial(results.undecided, study)
    study.experiments = asked.drawn
    return study


def value(name: str, experiment: Experiment) -> Any:
    """A flag's value, or the preset's where it is not given."""
    given = FLAGS[name].value
    return experiment.preset(FLAGS.preset).get(name) if given is None else given


class Stopped(Exception):  # not an error: the person asked for it
    """The command was asked to stop; the message says what is kept."""


INTERRUPTED = "interrupted: finished runs are kept, and the same command goes on from there"
_asked: list[int] = []
"""Signals that were answered outside of training."""


def interrupt(number: int) -> NoReturn:
    """What a signal to stop does where nothing is trained: whatever is half made is put in order."""
    _asked.append(number)
    raise KeyboardInterrupt


def unless_interrupted() -> None:
    """KeyboardInterrupt if there was one: where Python cannot pass it on, as in a collector's callback, it is lost."""
    if _asked:
        raise KeyboardInterrupt


@contextlib.contextmanager
def exit_status() -> Iterator[None]:
    """What a command's work raises, as its exit status: 0 if nothing. Signals are answered, and the terminal may go.

    2 for input that cannot be used; 1 for what the machine cannot do; 130 if it was asked to stop. With --json a line
    on stdout says it too.
    """
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells at INFO that it looks for fonts
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"warning: {' '.join(str(message).split())}\n"
    _asked.clear()
    unraisable = sys.unraisablehook
    sys.unraisablehook = lambda lost: None if isinstance(lost.exc_value, KeyboardInterrupt) else unraisable(lost)
    with machine.one_line(), terminal.lasting(), terminal.answered(INTERRUPTED, interrupt):
        try:
            yield
        except InputError as error:
            flag = f"--{error.name}" if error.name in FLAGS else error.name
            leave(2, f"error: {error.line(flag, error.allowed)}")
        except EnvironmentFault as error:
            leave(1, f"error: {error}")
        except Stopped as stopped:
            leave(130, str(stopped))
        except KeyboardInterrupt:  # it was answered
            sys.exit(130)
        except Warning as warning:
            leave(1, f"error: {type(warning).__name__}: {warning} (PYTHONWARNINGS or -W makes an error of a warning)")
        finally:
            warnings.formatwarning, sys.unraisablehook = before, unraisable


def start(body: Callable[[], None], argv: Sequence[str] | None = None) -> None:
    """Parses the flags (of the program's own command line if None), runs ``body`` and ends the program."""
    machine.define()
    app.run(lambda _: exit_status()(body)(), argv=None if argv is None else list(argv), flags_parser=parse)


def parse(arguments: Sequence[str]) -> list[str]:
    """Parses flags; what cannot be parsed ends the program with one line and exit status 2."""
    try:
        rest: list[str] = FLAGS(arguments)
        if len(rest) > 1:
            raise flags.Error(f"{rest[1]!r} is not a flag")
    except flags.Error as error:
        if "--json" in arguments:
            machine.tell(command=Path(arguments[0]).stem, status=2, error=" ".join(str(error).split()))
            machine.say(sys.stdout)
        leave(2, "error: " + " ".join(str(error).split()))
    return rest


def leave(status: int, line: str) -> NoReturn:
    """Ends the program with one line on stderr."""
    machine.tell(error=" ".join(line.splitlines()).removeprefix("error: "))
    print(" ".join(line.splitlines()), file=sys.stderr)
    sys.exit(status)
