"""What do slots save? A grid whose runs stop at very different epochs, in slots and as one block.

    python -m experiments.benchmarks.slots

40 runs on digits (5 learning rates x 4 momenta x 2 seeds, patience 5), once in 8 slots that stopped runs leave to
others, once as a plain vmap of the grid would have it: all 40 from the first epoch until the slowest has stopped.
Expected: the block takes several times as long, by the ratio of the longest run to the mean.
"""

import dataclasses
import sys
import tempfile
from pathlib import Path

from absl import flags
from rich.console import Console
from rich.table import Table

from experiments.benchmarks import common
from experiments.command import flags as command
from jaxopt_study.data import load
from jaxopt_study.engine import devices
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.grids.run import Run, product
from jaxopt_study.settings import Execution, Settings
from jaxopt_study.storage import workdir

REPEATS = flags.DEFINE_integer("repeats", 3, "Of both, in turn; the first compiles and is not counted.", 1)
AXES = {"learning_rate": (0.0001, 0.001, 0.01, 0.1, 1.0), "momentum": (0.0, 0.5, 0.9, 0.99)}


def trained(settings: Settings, runs: list[Run], slots: int, folder: Path) -> dict[str, float]:
    """Trains the grid; what stats.json says, and the longest run's epochs."""
    study = Trainer(settings, load("digits"), runs, folder, execution=Execution(slots=slots))
    epochs = [history.epochs for history in study.train()]
    stats = workdir.read_json(folder / "stats.json")
    return {**stats, "training": common.training_seconds(folder), "longest": max(epochs), "shortest": min(epochs)}


def run() -> None:
    """From the flags to the table."""
    devices.configure()
    runs = product("momentum", AXES, seeds=2)
    slots = Settings(max_epochs=200, patience=5)
    results: dict[str, list[dict[str, float]]] = {"8 slots": [], "one block": []}
    with tempfile.TemporaryDirectory() as folder:
        for i in range(REPEATS.value + 1):
            first = trained(slots, runs, 8, Path(folder) / f"slots{i}")
            block = dataclasses.replace(slots, max_epochs=int(first["longest"]), patience=10**6)
            second = trained(block, runs, len(runs), Path(folder) / f"block{i}")
            if i:
                results["8 slots"].append(first)
                results["one block"].append(second)
            print(f"{i}: {first['training']:.1f} s in slots, {second['training']:.1f} s as a block", file=sys.stderr)
    Console(width=110).print(table(results))


def table(results: dict[str, list[dict[str, float]]]) -> Table:
    """Median and range of the seconds of training, and the ratio within each repeat."""
    first = results["8 slots"][0]
    rows = []
    for name, turns in results.items():
        seconds = common.spread([turn["training"] for turn in turns])
        pairs = zip(results["one block"], turns, strict=True)
        ratio = common.spread([block["training"] / turn["training"] for block, turn in pairs]).median
        computed = turns[0]["epochs_computed"]
        work = (f"{computed:.0f}", f"{first['epochs_trained'] / computed:.2f}")
        rows.append((name, *work, f"{seconds.median:.1f}", seconds.span, f"{ratio:.2f}"))
    columns = ("", "epochs computed", "goodput", "seconds, median", "lowest to highest", "ratio, median")
    title = f"40 runs of {first['shortest']:.0f} to {first['longest']:.0f} epochs, seconds without compilation"
    return common.table(title, columns, rows)


if __name__ == "__main__":
    command.start(run)
