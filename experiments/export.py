"""Writes TensorBoard event files of finished runs; nothing is trained.

    python -m experiments.export --workdir=workdir/momentum_grid
    tensorboard --logdir=workdir/momentum_grid/tensorboard

A folder a run, with its curves as scalars and its numbers for the HParams tab. Runs that are there already, such as
those that were trained with --tensorboard, are not written again. Other services are a few lines of Python each, see
docs/watching.md. About a second a hundred runs of a hundred epochs.
"""

from collections.abc import Sequence

from experiments import report
from experiments.command import flags as command


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    report.define("Folder for the event files; tensorboard/ in the first work directory if not given.")
    command.start(body, argv)


def body() -> None:
    """Everything between the flags and the exit status."""
    from jaxopt_study.watch.callbacks import TensorBoard, by_run  # takes its time to import

    with report.read("tensorboard") as (results, folder):
        runs = by_run(results.histories)
        written = TensorBoard(folder).fill(runs)
    print(f"{folder}: {len(runs)} runs, {written} of them written now")


if __name__ == "__main__":
    main()
