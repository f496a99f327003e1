"""Makes tables, figures, claims.csv and report.html again from finished runs; nothing is trained.

    python -m experiments.report --workdir=workdir/replicate
    python -m experiments.report --workdir=workdir/momentum_grid,workdir/adam_betas --output=workdir/both
    python -m experiments.report --workdir=workdir/momentum_grid --tensorboard
    tensorboard --logdir=workdir/momentum_grid/tensorboard
    python -m experiments.report --workdir=workdir/momentum_grid --to=mlflow      # or wandb, offline, or trackio
    python -m experiments.report --workdir=workdir/replicate --serve     # the page at http://127.0.0.1, as it grows
    python -m experiments.report --workdir=workdir/replicate --paper     # the figures as PDF, too, for a paper

Several work directories must be of the same data, network and settings. A few seconds a dozen figures.

With ``--paper`` paper/ has each figure as PDF, without its title, with texts of 7 to 9 points and embedded fonts: those
of one panel as wide as a column, those of several as the text (``--paper_widths=3.35,6.9``, inches); figures.tex
beside them has all in the article's order, with captions. A fifth of a second a figure.

With ``--tensorboard`` TensorBoard event files, too: a folder a run, with its curves as scalars and its numbers for the
HParams tab. Runs that are there already, such as those that were trained with --tensorboard, are not written again.
About a second a hundred runs of a hundred epochs. ``--to`` writes a run each for another service, into a folder of its
name; of MLflow's, runs that are there are left as they are. To write while training: docs/watching.md.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from experiments.command import flags as command
from experiments.command import place
from jaxopt_study.errors import InputError
from jaxopt_study.storage import made, remote

if TYPE_CHECKING:
    from experiments.command.results import Results
    from jaxopt_study.plots.paper import Paper
    from jaxopt_study.watch.callbacks import Callback


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    define("Folder to write into; the first work directory if not given.")
    flags.DEFINE_bool("serve", False, "Serve the page to this machine instead, with what is new; Ctrl-C ends it.")
    flags.DEFINE_integer("port", 0, "Port of --serve; a free one if 0.", 0, 65535)
    flags.DEFINE_bool("paper", False, "Write the figures as PDF, too, sized for a paper, with paper/figures.tex.")
    widths = "Inches of a paper's column and of its text, for --paper."
    flags.DEFINE_list("paper_widths", ["3.35", "6.9"], widths)
    flags.DEFINE_bool("tensorboard", False, "Write TensorBoard event files, too.", allow_override=True)
    flags.DEFINE_enum(
        "to", None, ["mlflow", "wandb", "trackio"], "Write the runs for a service, too.", allow_override=True
    )
    command.start(body, argv)


def define(output: str) -> None:
    """Defines the flags of a command that reads finished runs: --workdir, and --output with its help."""
    flags.DEFINE_list("workdir", None, "Work directories with finished runs, comma-separated.", allow_override=True)
    flags.DEFINE_string("output", None, output, allow_override=True)
    command.listed(flags.FLAGS["workdir"], flags.FLAGS["output"])


def body() -> None:
    """Everything between the flags and the exit status."""
    if flags.FLAGS.serve:
        serve()
        return
    widths = paper_widths() if flags.FLAGS.paper else None
    with read() as (results, folder):
        from experiments.command import outputs  # takes its time to import
        from jaxopt_study.report import paper

        made.check(folder, [made.PAPER] * (widths is not None))
        outputs.write(results, folder)
        if widths is not None:
            written = paper.write(outputs.pictures(results, []), folder, widths)
            print(f"{folder / paper.FOLDER}: {len(written)} figures as PDF, figures.tex")
        if flags.FLAGS.tensorboard:
            from jaxopt_study.watch.callbacks import TensorBoard, by_run

            runs, events = by_run(results.histories), folder / "tensorboard"
            print(f"{events}: {len(runs)} runs, {TensorBoard(events).fill(runs)} of them written now")
        if flags.FLAGS.to:
            from jaxopt_study.watch.callbacks import by_run, replay

            runs, to = by_run(results.histories), folder / flags.FLAGS.to
            replay(sink(flags.FLAGS.to, to, folder.name), runs)
            print(f"{to}: {len(runs)} runs")


def sink(service: str, folder: Path, project: str) -> "Callback":
    """What writes for a service, into a folder where it has one; EnvironmentFault: it is not installed."""
    from jaxopt_study.watch.mlflow import MLflow
    from jaxopt_study.watch.trackio import Trackio
    from jaxopt_study.watch.wandb import WeightsAndBiases

    makers: Mapping[str, Callable[[], Callback]] = {
        "mlflow": lambda: MLflow(folder, project),
        "wandb": lambda: WeightsAndBiases(project, folder),
        "trackio": lambda: Trackio(project),
    }
    return makers[service]()


def serve() -> None:
    """Serves the page until somebody stops it."""
    from experiments.command.live import LivePage  # takes its time to import
    from jaxopt_study.report.server import Server

    folders = [path.expanduser() for path in map(remote.place, checked())]
    with Server(LivePage(folders), flags.FLAGS.port) as server:
        print(f"{server.address} (for this machine alone; Ctrl-C ends it)", flush=True)
        threading.Event().wait()


def paper_widths() -> "Paper":
    """Those of the flags; InputError: they cannot be used."""
    from jaxopt_study.plots.paper import paper_of  # takes its time to import

    return paper_of(flags.FLAGS.paper_widths)


def checked() -> list[str]:
    """The work directories of the flags; InputError: there is none, or one is no folder."""
    names: list[str] = flags.FLAGS.workdir or []
    if not names:
        raise InputError("--workdir", "", "allowed are work directories with finished runs, comma-separated")
    for name in names:
        folder = remote.place(name).expanduser()
        if not remote.is_url(name) and not folder.is_dir():
            raise InputError("--workdir", folder, "there is no such folder")
    return names


@contextlib.contextmanager
def read(inside: str = "") -> "Iterator[tuple[Results, Path]]":
    """What the work directories of the flags hold, and the folder to write into, else ``inside`` the first of them.

    Raises:
        InputError: no finished runs there, or not of one study, or nothing can be written.
        EnvironmentFault: a file is damaged, or a storage does not answer.
    """
    names = checked()
    into = place.output(remote.place(names[0]) / inside)
    from experiments.command import results  # takes its time to import: not before the flags are known to be good

    with contextlib.ExitStack() as kept:
        yield results.read([kept.enter_context(remote.kept(name)).expanduser() for name in names]), into


if __name__ == "__main__":
    main()
