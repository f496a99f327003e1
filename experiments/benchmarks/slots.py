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

from absl import app, flags
from rich.console import Console
from rich.table import Table

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
    seconds = sum(part["training_seconds"] for part in stats["parts"])
    return {**stats, "training": seconds, "longest": max(epochs), "shortest": min(epochs)}


def main(_: list[str]) -> None:
    """The command."""
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
    found = results["8 slots"][0]
    title = f"40 runs of {found['shortest']:.0f} to {found['longest']:.0f} epochs, seconds without compilation"
    result = Table(title=title)
    for name in ("", "epochs computed", "goodput", "seconds, median", "lowest to highest", "ratio, median"):
        result.add_column(name, justify="right")
    for name, rows in results.items():
        seconds = sorted(row["training"] for row in rows)
        pairs = zip(results["one block"], rows, strict=True)
        ratio = sorted(block["training"] / row["training"] for block, row in pairs)[len(rows) // 2]
        useful = found["epochs_trained"] / rows[0]["epochs_computed"]
        middle, spread = seconds[len(seconds) // 2], f"{seconds[0]:.1f} - {seconds[-1]:.1f}"
        cells = [name, f"{rows[0]['epochs_computed']:.0f}", f"{useful:.2f}", f"{middle:.1f}", spread, f"{ratio:.2f}"]
        result.add_row(*cells)
    return result


if __name__ == "__main__":
    app.run(main)
