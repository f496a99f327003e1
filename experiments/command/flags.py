"""What every command shares: the way from its flags to the work directory, and what it ends with."""

import contextlib
import functools
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

import jax
from absl import app, flags, logging

from experiments.command import grid_flags, machine, place, study_flags
from experiments.command.experiment import Experiment
from jaxopt_study.engine.watcher import Interrupted
from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.storage import made, remote
from jaxopt_study.watch import terminal
from jaxopt_study.watch.live import Live

if TYPE_CHECKING:
    from jaxopt_study.api import Study

FLAGS = flags.FLAGS


def define(experiment: Experiment) -> None:
    """Defines the flags of an experiment's command: by the module that is run, not by those that import it."""
    for name, axis in experiment.axes.items():
        grid_flags.define_axis(name, axis)
    grid_flags.define()
    flags.DEFINE_enum("preset", "quick", ["quick", "article"], "Which set of defaults all other flags override.")
    study_flags.define_data()
    study_flags.define("the preset's if not given", f"workdir/{experiment.name}")
    register()


def register(*others: ModuleType) -> None:
    """Lists the flags that commands share, and those of other modules, in the --help of the one that is run."""
    machine.define()
    for module in (*others, sys.modules[__name__], study_flags, grid_flags, machine):
        listed(*FLAGS.get_key_flags_for_module(module))


def listed(*known: "flags.Flag[Any]") -> None:
    """Has the --help of the module that is run list flags that another one defined."""
    for flag in known:
        FLAGS.register_key_flag_for_module(sys.argv[0], flag)


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
    usual = f"workdir/{experiment.name}"
    given = place.given(usual)
    with place.kept(usual, shared=FLAGS.distributed) as folder:
        made.check(folder, (made.PAGE, "summary.csv", "claims.csv"))
        study = study_of(experiment, asked, given)
        unless_interrupted()
        if FLAGS.dry_run:
            from experiments.command import terminal as shown  # Rich is slow to import

            machine.tell(workdir=given, runs=len(study.runs), plan=[part._asdict() for part in shown.show_plan(study)])
            return
        with training(study) as callbacks:
            study.run(*callbacks)
        if jax.process_index() > 0:  # the first process writes for all
            return
        # Matplotlib takes a second: the first epoch does not wait for it.
        from experiments.command import outputs, results
        from experiments.command import terminal as shown

        if FLAGS.costs:
            shown.show_costs(study)
        results.record(study, asked.drawn)
        machine.tell(workdir=given, runs=len(study.runs), finished=len(study.histories))
        if study.histories:  # else the time was over before
            outputs.write(results.read([study.folder], study.trained), study.folder, study.histories)
    if remote.is_url(given):
        print(f"all of it is at {given}")


@contextlib.contextmanager
def training(study: "Study") -> Iterator[list[Live]]:
    """What a command trains a study in; gives the callbacks: of its page, if that is asked for.

    Raises:
        Stopped: it was asked to stop.
    """
    try:
        with contextlib.ExitStack() as until_it_ends:
            yield [until_it_ends.enter_context(watched(study))] if FLAGS.watch else []
    except Interrupted:
        kept = "what was begun is saved" if FLAGS.cluster is None else "finished runs are kept"
        raise Stopped(f"interrupted; {kept}, the same command goes on from here") from None


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


def study_of(experiment: Experiment, asked: grid_flags.Asked, folder: str) -> "Study":
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
        workdir=folder,
        own=False,
        **{name: value(name, experiment) for name in study_flags.OF_STUDY},
    )
    of_data = {name: value(name, experiment) for name in study_flags.OF_DATA}
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
    return study_flags.value(name, experiment.preset(FLAGS.preset))


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
    if not FLAGS["verbosity"].present:  # absl lets INFO through: what others do with fonts and files
        logging.set_verbosity(logging.WARNING)
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


def start(body: "Callable[[], Study | None]", argv: Sequence[str] | None = None) -> None:
    """Parses the flags (of the program's own command line if None), runs ``body`` and ends the program.

    What a study that ``body`` returns has come to is in the line of --json.
    """

    def told() -> None:
        if (study := body()) is not None:
            machine.tell_study(study)

    machine.define()
    listed(FLAGS["json"])
    app.run(lambda _: exit_status()(told)(), argv=None if argv is None else list(argv), flags_parser=parse)


def parse(arguments: Sequence[str]) -> list[str]:
    """Parses flags; what cannot be parsed ends the program with one line and exit status 2, and --help with 0."""
    try:
        rest: list[str] = FLAGS(arguments)
        if len(rest) > 1:
            raise flags.Error(f"{rest[1]!r} is not a flag")
    except SystemExit:  # absl's, after --help, with 1
        sys.exit(0)
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
