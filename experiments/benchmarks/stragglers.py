"""What does it bring to begin the longest runs first? The engine's own scheduler on simulated epochs; some seconds.

    python -m experiments.benchmarks.stragglers
    python -m experiments.benchmarks.stragglers --summary=W/summary.csv

A device trains all of its slots at once, as a GPU does; where runs take turns an empty slot costs nothing. How many
epochs each run takes says a summary.csv, that of the published study if none is given. Goodput in the order of the
grid; the longest first, as runs that end tell of the others; the same where the store knows one seed of each
configuration; and if all was known. Expected: next to nothing for the published study, of whose runs all but three take
20 epochs, some percent where patience ends runs.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from rich.console import Console

from experiments.benchmarks import common
from experiments.command import flags as command
from jaxopt_study.analysis.minima import Summary
from jaxopt_study.engine.lengths import Lengths
from jaxopt_study.engine.slots import Scheduler, Work
from jaxopt_study.engine.watcher import Watcher
from jaxopt_study.files import path_of
from jaxopt_study.grids.run import Run, make_run, signature
from jaxopt_study.history import CURVES, History
from jaxopt_study.settings import Settings
from jaxopt_study.training.early_stopping import FINISHED, IDLE, RUNNING, STOPPED
from jaxopt_study.training.epoch import EpochReport

PUBLISHED = Path(__file__).parents[1] / "results" / "cats_vs_dogs_32" / "summary.csv"
SLOTS = (16, 32, 64, 128, 185, 256)


class States(NamedTuple):
    """Of slots: epochs that are left, and how each stands."""

    left: np.ndarray
    status: np.ndarray
    stopping: tuple[()] = ()
    best: tuple[()] = ()


class Simulated:
    """What a scheduler needs of a Sweep: runs whose epochs are known train one an epoch."""

    def __init__(self, epochs: Mapping[Run, int], *, in_turn: bool = False) -> None:
        self.epochs, self.batches, self.curves = epochs, None, CURVES
        self.devices = (SimpleNamespace(platform="none", memory_stats=dict),)
        self.program = SimpleNamespace(strategy=SimpleNamespace(in_turn=in_turn))
        self.compile_seconds = 0.0

    def own_shapes(self) -> dict[Any, Any]:
        """Nothing is resumed."""
        return {}

    def padded(self, slots: int) -> int:
        """One device."""
        return slots

    def put(self, tree: Any) -> Any:
        """The host is the device."""
        return tree

    def stacked(self, runs: Sequence[Run]) -> np.ndarray:
        """Instead of hyperparameters, what each run takes."""
        return np.array([self.epochs[run] for run in runs])

    def idle(self, slots: int) -> States:
        """As of a Sweep."""
        return States(np.zeros(slots, int), np.full(slots, IDLE))

    def fill(self, states: States, epochs: np.ndarray, seeds: np.ndarray, mask: np.ndarray) -> States:
        """As of a Sweep."""
        return States(np.where(mask, epochs, states.left), np.where(mask, RUNNING, states.status))

    def move(self, states: States, slots: np.ndarray) -> States:
        """As of a Sweep."""
        return States(states.left[slots], np.where(slots < 0, IDLE, states.status[slots]))

    def compiled(self, call: str, slots: int) -> Callable[..., tuple[States, EpochReport]]:
        """An epoch of all slots."""

        def epoch(states: States, numbers: Any, limits: Any, batches: None) -> tuple[States, EpochReport]:
            running: Any = states.status == RUNNING
            left = states.left - running
            ended = np.where(numbers < limits.max_epochs, STOPPED, FINISHED)
            status: Any = np.where(running & (left <= 0), ended, states.status)
            rows: Any = np.zeros((slots, len(CURVES)), np.float32)
            return States(left, status), EpochReport(running, status, rows)

        return epoch


def trained(
    epochs: Mapping[Run, int], slots: int, most: int, lengths: Lengths | None = None, *, in_turn: bool = False
) -> tuple[Work, list[Run]]:
    """What came of training runs that take so many epochs, of ``most`` at most, and their order of ending; without
    ``lengths`` they begin in their order."""
    ended: list[Run] = []
    sweep: Any = Simulated(epochs, in_turn=in_turn)
    nothing: Any = SimpleNamespace(load=lambda runs, shapes: {})
    scheduler = Scheduler(
        sweep,
        list(epochs),
        slots=min(slots, len(epochs)),
        totals=Counter(map(signature, epochs)),
        lengths=lengths or AsTheyCome(list(epochs), lambda run: most),
        settings=Settings(max_epochs=most),
        checkpoints=nothing,
        checkpoint_minutes=1e6,
        keep=lambda run, history, best: ended.append(run),
        watcher=Watcher(),
    )
    scheduler.train()
    return scheduler.work, ended


class AsTheyCome(Lengths):
    """The order of the grid."""

    def longest_first(self, runs: Iterable[Run]) -> list[Run]:
        """As they are."""
        return list(runs)


def learnt(epochs: Mapping[Run, int], most: int, known: Iterable[Run] = ()) -> Lengths:
    """What is expected of runs when some of them have ended."""
    lengths = Lengths(list(epochs), lambda run: most)
    for run in known:
        rows = np.zeros((epochs[run], len(CURVES)), np.float32)
        status = "stopped" if epochs[run] < most else "finished"
        lengths.add(run, History.from_rows(run.optimizer, dict(run.hyperparameters), run.seed, status, rows))
    return lengths


def read(path: Path) -> dict[Run, int]:
    """The epochs of the runs of a summary.csv."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    others = {"optimizer", "seed", "data_seed", "reason", *Summary._fields}
    numbers = [{name: float(text) for name, text in row.items() if text and name not in others} for row in rows]
    runs = [make_run(row["optimizer"], given, int(row["seed"])) for row, given in zip(rows, numbers, strict=True)]
    return {run: int(row["epochs"]) for run, row in zip(runs, rows, strict=True)}


def goodputs(epochs: Mapping[Run, int], slots: int, most: int) -> list[float]:
    """In the order of the grid, the longest first as is learnt, with a seed known, and with all known."""
    later = {run: count for run, count in epochs.items() if run.seed} or epochs
    known = [run for run in epochs if run not in later]
    cases: list[tuple[Mapping[Run, int], Any]] = [
        (epochs, None),
        (epochs, learnt(epochs, most)),
        (later, None),
        (later, learnt(epochs, most, known)),
        (epochs, learnt(epochs, most, epochs)),
    ]
    works = [trained(of_case, slots, most, lengths)[0] for of_case, lengths in cases]
    return [work.epochs_trained / work.epochs_computed for work in works]


def run() -> None:
    """From the flags to the table."""
    path = PUBLISHED if flags.FLAGS.summary is None else path_of("--summary", flags.FLAGS.summary)
    epochs = read(path)
    most = max(epochs.values())
    rows = [[str(slots), *(f"{share:.3f}" for share in goodputs(epochs, slots, most))] for slots in SLOTS]
    columns = ("slots", "in order", "longest first", "later seeds, in order", "longest first", "all known")
    title = f"Goodput of {len(epochs)} runs of {min(epochs.values())} to {most} epochs in one batched program"
    Console(width=110).print(common.table(title, columns, rows))


if __name__ == "__main__":
    flags.DEFINE_string("summary", None, "A summary.csv; that of the published study if not given.")
    command.start(run)
