"""How long would a study take on N workers, how long would they idle, and is the driver fast enough?

    python -m experiments.benchmarks.scaling_model --from_workdir=workdir/momentum_grid  # its epoch times and its runs
    python -m experiments.benchmarks.scaling_model --epoch_seconds=2 --epochs=30,120 --runs=20000 --measured=s.json

A simulation of the driver's shares for 1 to 10,000 workers: a table, scaling_model.csv and a figure in --output, with
what experiments.benchmarks.scaling measured for 1 and 2 workers beside it. Less than a minute. Expected: next to no
idling with hundreds of runs a worker; with tens the longest is waited for, the more the wider runs differ in length.
"""

import heapq
import json
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from matplotlib.axes import Axes
from rich.table import Table

from experiments.benchmarks import common
from experiments.command import flags as command
from experiments.command import terminal
from jaxopt_study import files
from jaxopt_study.cluster.shares import Capacity, room, seconds_between
from jaxopt_study.errors import InputError
from jaxopt_study.plots import picture, style
from jaxopt_study.report import tables
from jaxopt_study.storage import remote, workdir
from jaxopt_study.storage.store import read_runs

COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000, 5000, 10_000)
TITLE = "A study on so many workers, simulated"


class Costs(NamedTuple):
    """Seconds of a worker and of the driver.

    Attributes:
        start: from the beginning until a worker trains, compilation included.
        epoch: of one run that trains alone on a device; runs that take turns take it each.
        batched: what one more run in a batched program adds, as a part of ``epoch``; not used where runs take turns.
        answer: of the driver for a reply: reading it, writing the run, handing out the next.
        poll: between two replies of a worker that has only epochs to tell.
    """

    start: float
    epoch: float
    batched: float
    answer: float
    poll: float


class Outcome(NamedTuple):
    """What came of a simulated study.

    Attributes:
        makespan: seconds until the last run is stored.
        idle_share: of the time of the workers' devices; the start is not counted.
        driver_load: share of the time in which the driver is busy; near 1 it holds the workers up.
    """

    makespan: float
    idle_share: float
    driver_load: float


class Row(NamedTuple):
    """A number of workers; efficiency is that of the runs a worker-second against the fewest workers, start apart."""

    workers: int
    runs: int
    seconds: float
    efficiency: float
    idle_share: float
    driver_load: float
    measured_seconds: float | None


def simulate(epochs: Sequence[int], workers: int, capacity: Capacity, costs: Costs) -> Outcome:
    """Hands runs out as the driver does and trains them at the given speed.

    A worker's runs share its devices: with ``n`` runs in its hands, each goes on at the speed that ``n`` allow. All are
    of one group; ``epochs`` are those that each trains until it stops, in the order in which they are handed out.
    """
    pending, unfinished = deque(map(float, epochs)), len(epochs)
    held: list[list[float]] = [[] for _ in range(workers)]  # epochs left of each of a worker's runs ..
    seen = [costs.start] * workers  # .. at this time
    replies = [(costs.start, worker) for worker in range(workers)]  # a heap: when each worker is heard of next
    busy, driver_free, end = 0.0, 0.0, costs.start
    while replies:
        now, worker = heapq.heappop(replies)
        busy += (now - seen[worker]) * min(len(held[worker]), capacity.devices)
        runs = trained(held[worker], now - seen[worker], capacity, costs)
        left = [run for run in runs if run > 1e-6]
        driver_free = max(driver_free, now) + costs.answer
        if len(left) < len(runs):
            unfinished -= len(runs) - len(left)
            end = max(end, driver_free)
        # What is left of its runs goes on while the driver is busy.
        busy += (driver_free - now) * min(len(left), capacity.devices)
        runs = trained(left, driver_free - now, capacity, costs)
        wanted = room(capacity, unfinished, workers) - len(runs) if unfinished else 0
        runs += [pending.popleft() for _ in range(min(wanted, len(pending)))]
        held[worker], seen[worker] = runs, driver_free
        if runs:
            next_end = max(0.0, min(runs)) * pace(len(runs), capacity, costs)
            heapq.heappush(replies, (driver_free + next_end, worker))
    seconds = max(end - costs.start, 1e-9)
    polls = workers * (end - costs.start) / max(costs.poll, 1e-9)
    load = costs.answer * (len(epochs) + polls) / max(end, 1e-9)
    return Outcome(end, max(0.0, 1.0 - busy / (workers * capacity.devices * seconds)), min(1.0, load))


def trained(runs: list[float], seconds: float, capacity: Capacity, costs: Costs) -> list[float]:
    """Epochs left of each of a worker's runs so many seconds later; a run whose end is not yet read off goes on."""
    done = seconds / pace(len(runs), capacity, costs) if runs else 0.0
    return [left - done for left in runs]


def pace(runs: int, capacity: Capacity, costs: Costs) -> float:
    """Seconds of an epoch of each of so many runs together."""
    per_device = -(-runs // capacity.devices)
    return costs.epoch * (per_device if capacity.in_turn else 1 + costs.batched * (per_device - 1))


def stopping_epochs(observed: Sequence[int], count: int, seed: int = 0) -> list[int]:
    """Draws the epochs of so many runs from those observed, with replacement."""
    return [int(epochs) for epochs in np.random.default_rng(seed).choice(np.asarray(observed), size=count)]


def define_flags() -> None:
    """The command's flags; by the module that is run only."""
    flags.DEFINE_string("from_workdir", None, "Work directory whose stats.json and runs say what a run takes.")
    flags.DEFINE_float("epoch_seconds", None, "Seconds of an epoch of one run on one device.", 0.0)
    flags.DEFINE_list("epochs", None, "Epochs after which runs stop; drawn from with replacement.")
    flags.DEFINE_integer("runs", None, "Runs of the study; as many as are in --from_workdir if not given.", 1)
    flags.DEFINE_integer("runs_a_worker", None, "Instead of --runs: the study grows with the workers.", 1)
    flags.DEFINE_list("counts", [str(count) for count in COUNTS], "Numbers of workers.")
    flags.DEFINE_integer("slots", 32, "Runs that a worker trains at once, at most.", 1)
    flags.DEFINE_integer("devices", 1, "Devices of a worker.", 1)
    flags.DEFINE_bool("batched", False, "Workers train their runs in one batched program, as on a GPU.")
    more = "With --batched: what one more run adds to an epoch, as a part of the first."
    flags.DEFINE_float("added", 0.2, more, 0.0)
    flags.DEFINE_float("start_seconds", 15.0, "Until a worker trains, compilation included.", 0.0)
    flags.DEFINE_float("answer_seconds", 0.003, "Of the driver for a reply of a worker.", 0.0)
    flags.DEFINE_string("measured", None, "JSON file of experiments.benchmarks.scaling.")
    flags.DEFINE_string("output", "workdir/scaling_model", "Folder for the table and the figure.")


def observed(config: Any) -> tuple[float, list[int]]:
    """Seconds of an epoch and the epochs after which runs stopped, from the flags or a work directory.

    Raises:
        InputError: neither says it.
    """
    seconds, epochs = config.epoch_seconds, common.whole_numbers("epochs", config.epochs) if config.epochs else []
    if config.from_workdir is not None:
        with remote.kept(config.from_workdir) as at:
            folder = at.expanduser()
            if not (folder / "stats.json").exists():
                allowed = "allowed is a work directory with finished runs and stats.json"
                raise InputError("--from_workdir", folder, allowed)
            epochs = epochs or [history.epochs for history in read_runs(folder).values() if history.epochs]
            seconds = seconds or epoch_seconds(workdir.read_stats(folder / "stats.json"))
    if not seconds or not epochs:
        raise InputError("--from_workdir", config.from_workdir, "allowed is one, or --epoch_seconds and --epochs")
    return seconds, epochs


def epoch_seconds(stats: Mapping[str, Any]) -> float:
    """Device seconds of a run's epoch: those of all devices by all epochs that they had room for."""
    busy = sum(part["training_seconds"] * part["devices"] * (1 - part.get("idle_share", 0)) for part in stats["parts"])
    return float(busy / sum(part["epochs_computed"] for part in stats["parts"]))


def simulated(config: Any, measured: Mapping[int, float]) -> list[Row]:
    """A row a number of workers, fewest first, as the flags say."""
    seconds, epochs = observed(config)
    capacity, start = Capacity(config.slots, config.devices, not config.batched), config.start_seconds
    rows: list[Row] = []
    first_rate = None  # runs a worker-second
    for workers in sorted(set(common.whole_numbers("counts", config.counts))):
        runs = config.runs_a_worker * workers if config.runs_a_worker else config.runs or len(epochs)
        costs = Costs(start, seconds, config.added, config.answer_seconds, seconds_between(workers))
        outcome = simulate(stopping_epochs(epochs, runs), workers, capacity, costs)
        rate = runs / max(outcome.makespan - start, 1e-9) / workers
        first_rate = first_rate or rate
        shares = (rate / first_rate, outcome.idle_share, outcome.driver_load)
        rows.append(Row(workers, runs, outcome.makespan, *shares, measured.get(workers)))
    return rows


def write(rows: Sequence[Row], output: Path) -> None:
    """The rows as CSV and JSON, and the figure as PNG and SVG."""
    files.write_text(output / "scaling_model.csv", tables.to_csv(tables.Table(Row._fields, rows)))
    files.write_text(output / "scaling_model.json", json.dumps([row._asdict() for row in rows], indent=2) + "\n")
    with style.applied():
        figure, (left, right) = style.panels(2, TITLE)
        draw_seconds(left, rows)
        draw_shares(right, rows)
        style.legend(figure, right, "")
    picture.save(figure, output, "scaling_model")


def draw_seconds(axes: Axes, rows: Sequence[Row]) -> None:
    """Seconds over the workers; measured ones as crosses."""
    measured = [(row.workers, row.measured_seconds) for row in rows if row.measured_seconds]
    values = [row.seconds for row in rows] + [seconds for _, seconds in measured]
    style.log_axis(axes, "y", min(values), max(values))
    axes.plot([row.workers for row in rows], values[: len(rows)], color=style.INK, marker="o")
    if measured:
        axes.plot(*zip(*measured, strict=True), linestyle="None", marker="x", color=style.MUTED)
    workers_axis(axes, rows)
    axes.set_title("seconds" + (" (x: measured)" if measured else ""), loc="left")


def draw_shares(axes: Axes, rows: Sequence[Row]) -> None:
    """Idle share and driver load over the workers."""
    shares = {"workers idle": [row.idle_share for row in rows], "driver busy": [row.driver_load for row in rows]}
    for label, look in style.looks(shares).items():
        axes.plot([row.workers for row in rows], shares[label], label=label, **look._asdict())
    axes.set_ylim(-0.02, 1.02)
    workers_axis(axes, rows)
    axes.set_title("share of the time", loc="left")


def workers_axis(axes: Axes, rows: Sequence[Row]) -> None:
    """The x axis."""
    style.log_axis(axes, "x", rows[0].workers, rows[-1].workers)
    axes.set_xlabel("workers")
    axes.set_xlim(rows[0].workers / 1.2, rows[-1].workers * 1.2)


def table(rows: Sequence[Row]) -> Table:
    """For the terminal."""
    columns = ("workers", "runs", "seconds", "efficiency", "idle", "driver busy", "measured, s")
    formats = (",", ",", ",.1f", ".3f", ".3f", ".4f", ".1f")
    cells = [["" if x is None else f"{x:{form}}" for x, form in zip(row, formats, strict=True)] for row in rows]
    return common.table(TITLE, columns, cells)


def run() -> None:
    """Everything between the flags and the exit status."""
    config = flags.FLAGS
    measured = {}
    if config.measured is not None:
        kinds = workdir.read_json(Path(config.measured).expanduser())
        measured = {row["workers"]: row["seconds"] for row in kinds["weak" if config.runs_a_worker else "strong"]}
    rows = simulated(config, measured)
    output = workdir.check(Path(config.output), "--output")
    write(rows, output)
    console = terminal.wide_console()
    console.print(table(rows))
    console.print(f"{output}: scaling_model.csv, scaling_model.json, scaling_model.png, .svg")


if __name__ == "__main__":
    define_flags()
    command.start(run)
