"""How long would a study take on N workers, how long would they idle, and is the driver fast enough?

    python -m experiments.benchmarks.scaling_model --from_workdir=workdir/momentum_grid  # its epoch times and its runs
    python -m experiments.benchmarks.scaling_model --epoch_seconds=2 --epochs=30,120 --runs=20000 --measured=s.json

A simulation of the driver's shares for 1 to 10,000 workers: a table, scaling_model.csv and a figure in --output, with
what experiments.benchmarks.scaling measured for 1 and 2 workers beside it. Less than a minute. Expected: next to no
idling with hundreds of runs a worker; with tens the longest is waited for, the more the wider runs differ in length.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from rich.table import Table

from experiments.benchmarks.simulation import Costs, Outcome, simulate, stopping_epochs
from experiments.command import start as command
from jaxopt_study import files
from jaxopt_study.cluster.shares import Capacity, seconds_between
from jaxopt_study.errors import InputError
from jaxopt_study.storage import workdir
from jaxopt_study.storage.store import Store

COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000, 5000, 10_000)
COLUMNS = ("workers", "runs", "seconds", "efficiency", "idle_share", "driver_load", "measured_seconds")


def define_flags() -> None:
    """The command's flags; by the module that is run only."""
    again: dict[str, Any] = {"allow_override": True}
    flags.DEFINE_string("from_workdir", None, "Work directory whose stats.json and runs say what a run takes.", **again)
    flags.DEFINE_float("epoch_seconds", None, "Seconds of an epoch of one run on one device.", 0.0, **again)
    flags.DEFINE_list("epochs", None, "Epochs after which runs stop; drawn from with replacement.", **again)
    flags.DEFINE_integer("runs", None, "Runs of the study; as many as are in --from_workdir if not given.", 1, **again)
    flags.DEFINE_integer("runs_a_worker", None, "Instead of --runs: the study grows with the workers.", 1, **again)
    flags.DEFINE_list("counts", [str(count) for count in COUNTS], "Numbers of workers.", **again)
    flags.DEFINE_integer("slots", 32, "Runs that a worker trains at once, at most.", 1, **again)
    flags.DEFINE_integer("devices", 1, "Devices of a worker.", 1, **again)
    flags.DEFINE_bool("batched", False, "Workers train their runs in one batched program, as on a GPU.", **again)
    flags.DEFINE_float(
        "added", 0.2, "With --batched: what one more run adds to an epoch, as a part of the first.", 0.0, **again
    )
    flags.DEFINE_float("start_seconds", 15.0, "Until a worker trains, compilation included.", 0.0, **again)
    flags.DEFINE_float("answer_seconds", 0.003, "Of the driver for a reply of a worker.", 0.0, **again)
    flags.DEFINE_string("measured", None, "JSON file of experiments.benchmarks.scaling.", **again)
    flags.DEFINE_string("output", "workdir/scaling_model", "Folder for the table and the figure.", **again)


def observed(given: Any) -> tuple[float, list[int]]:
    """Seconds of an epoch and the epochs after which runs stopped, from the flags or a work directory.

    Raises:
        InputError: neither says it.
    """
    seconds, epochs = given.epoch_seconds, [number("--epochs", text) for text in given.epochs or ()]
    if given.from_workdir is not None:
        folder = Path(given.from_workdir).expanduser()
        if not (folder / "stats.json").exists():
            raise InputError("--from_workdir", folder, "allowed is a work directory with finished runs and stats.json")
        epochs = epochs or [history.epochs for history in Store(folder / "runs") if history.epochs]
        seconds = seconds or seconds_of(workdir.read_json(folder / "stats.json"))
    if not seconds or not epochs:
        raise InputError("--from_workdir", given.from_workdir, "allowed is one, or --epoch_seconds and --epochs")
    return seconds, epochs


def seconds_of(stats: Mapping[str, Any]) -> float:
    """Device seconds of a run's epoch: those of all devices by all epochs that they had room for."""
    busy = sum(part["training_seconds"] * part["devices"] * (1 - part.get("idle_share", 0)) for part in stats["parts"])
    return float(busy / sum(part["epochs_computed"] for part in stats["parts"]))


def number(flag: str, text: str) -> int:
    """A whole number from 1.

    Raises:
        InputError: it is none.
    """
    if not text.strip().isdigit() or int(text) < 1:
        raise InputError(flag, text, "allowed is a comma-separated list of whole numbers from 1")
    return int(text)


def rows_of(given: Any, measured: Mapping[int, float]) -> list[dict[str, Any]]:
    """A row a number of workers; efficiency is that of the runs a worker-second against one worker."""
    seconds, epochs = observed(given)
    capacity = Capacity(given.slots, given.devices, not given.batched)
    rows: list[dict[str, Any]] = []
    for workers in sorted({number("--counts", text) for text in given.counts}):
        runs = given.runs_a_worker * workers if given.runs_a_worker else given.runs or len(epochs)
        costs = Costs(given.start_seconds, seconds, given.added, given.answer_seconds, seconds_between(workers))
        found = simulate(stopping_epochs(epochs, runs), workers, capacity, costs)
        rows.append(row(found, runs, rows, given.start_seconds) | {"measured_seconds": measured.get(workers)})
    return rows


def row(found: Outcome, runs: int, before: Sequence[Mapping[str, Any]], start: float) -> dict[str, Any]:
    """One outcome; the seconds of starting do not count for the efficiency."""
    rate = runs / max(found.makespan - start, 1e-9) / found.workers
    first = rate if not before else before[0]["runs"] / (before[0]["seconds"] - start) / before[0]["workers"]
    return {
        "workers": found.workers,
        "runs": runs,
        "seconds": found.makespan,
        "efficiency": rate / first,
        "idle_share": found.idle_share,
        "driver_load": found.driver_load,
    }


def body() -> None:
    """Everything between the flags and the exit status."""
    given = flags.FLAGS
    measured = {}
    if given.measured is not None:
        found = workdir.read_json(Path(given.measured).expanduser())
        kind = "weak" if given.runs_a_worker else "strong"
        measured = {each["workers"]: each["seconds"] for each in found[kind]}
    rows = rows_of(given, measured)
    output = Path(given.output).expanduser()
    workdir.check(output)
    write(rows, output)
    from experiments.command import terminal

    terminal.wide_console().print(table(rows))
    terminal.wide_console().print(f"{output}: scaling_model.csv, scaling_model.json, scaling_model.png, .svg")


def write(rows: Sequence[Mapping[str, Any]], output: Path) -> None:
    """The rows as CSV and JSON, and the figure."""
    from experiments.benchmarks import scaling_picture as scaling

    output.mkdir(parents=True, exist_ok=True)

    def as_csv(path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    files.write_atomically(output / "scaling_model.csv", as_csv)
    files.write_text(output / "scaling_model.json", json.dumps(rows, indent=2) + "\n")
    scaling.save(rows, output / "scaling_model")


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """For the terminal."""
    found = Table(title="A study on so many workers, simulated")
    for name in ("workers", "runs", "seconds", "efficiency", "idle", "driver busy", "measured, s"):
        found.add_column(name, justify="right")
    for each in rows:
        measured = "" if each["measured_seconds"] is None else f"{each['measured_seconds']:.1f}"
        cells = (f"{each['seconds']:,.1f}", f"{each['efficiency']:.3f}")
        shares = (f"{each['idle_share']:.3f}", f"{each['driver_load']:.4f}")
        found.add_row(f"{each['workers']:,}", f"{each['runs']:,}", *cells, *shares, measured)
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    define_flags()
    command.start(body, argv)


if __name__ == "__main__":
    main()
