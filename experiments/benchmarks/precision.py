"""What do coarser numbers cost? The lowest validation losses of the same runs in float32 and in coarser precisions.

    python -m experiments.benchmarks.precision       # digits, minutes on two cores
    python -m experiments.benchmarks.precision --dataset=tfds:cats_vs_dogs --image_size=32 --epochs=10 --seeds=3

Runs of four rules at good hyperparameters, with the same seeds in every precision. Told is the mean over the seeds of
the lowest validation loss less that in float32 (paired by seed), with its 95% interval, and the seconds of training.
Expected: a difference of zero for --matmul_precision on a CPU, which has no coarser units; for bfloat16 activations one
that the interval does not tell from zero.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from rich.console import Console
from rich.table import Table

from experiments.benchmarks import common
from experiments.command import flags as command
from jaxopt_study.analysis.intervals import paired_differences, seed_estimate
from jaxopt_study.analysis.minima import lowest_loss
from jaxopt_study.data import Dataset, load
from jaxopt_study.engine import devices
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.grids.run import Run, make_run
from jaxopt_study.models.build import article_model
from jaxopt_study.settings import PRECISIONS, Settings

DATASET = flags.DEFINE_string("dataset", "digits", "digits, tfds:NAME or folder:PATH.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared TFDS sets.")
IMAGE_SIZE = flags.DEFINE_integer("image_size", None, "Height and width in pixels.", 2)
EPOCHS = flags.DEFINE_integer("epochs", 40, "Of every run, at least 1.", 1)
SEEDS = flags.DEFINE_integer("seeds", 10, "Of every rule, at least 2.", 2)
RULES = {
    "sgd": {"learning_rate": 0.0316},
    "momentum": {"learning_rate": 0.01, "momentum": 0.9},
    "rmsprop": {"learning_rate": 0.001},
    "adam": {"learning_rate": 0.001},
}


def trained(dataset: Dataset, runs: Sequence[Run], precision: str, activations: str) -> tuple[dict[Run, float], float]:
    """The lowest validation loss of each run, and the seconds of training without compilation."""
    settings = Settings(max_epochs=EPOCHS.value, patience=EPOCHS.value, matmul_precision=precision)
    with tempfile.TemporaryDirectory() as folder:
        study = Trainer(settings, dataset, runs, Path(folder), model=article_model(activations=activations))
        losses = {make_run(h.optimizer, h.hyperparameters, h.seed): lowest_loss(h) for h in study.train()}
        return losses, common.training_seconds(Path(folder))


def table(dataset: Dataset, runs: Sequence[Run]) -> Table:
    """A row a rule and precision."""
    rows = []
    exact: dict[Run, float] = {}
    for precision, activations in [*((name, "float32") for name in PRECISIONS), ("float32", "bfloat16")]:
        losses, seconds = trained(dataset, runs, precision, activations)
        exact = exact or losses
        for rule in RULES:
            of_rule, theirs = ({run.seed: x[run] for run in x if run.optimizer == rule} for x in (losses, exact))
            difference = seed_estimate(paired_differences(of_rule, theirs))
            mean = sum(of_rule.values()) / len(of_rule)
            cells = [f"{mean:.4f}", f"{difference.value:+.5f}", f"{difference.low:+.5f} to {difference.high:+.5f}"]
            rows.append((precision, activations, rule, *cells, f"{seconds:.0f}"))
    columns = ("products", "activations", "optimizer", "mean", "less float32", "95% interval", "training, s")
    title = f"{dataset.name}, {EPOCHS.value} epochs, {SEEDS.value} seeds: lowest validation loss"
    return common.table(title, columns, rows)


def run() -> None:
    """From the flags to the table."""
    devices.configure()
    dataset = load(DATASET.value, image_size=IMAGE_SIZE.value, data_dir=DATA_DIR.value)
    runs = [make_run(rule, numbers, seed) for rule, numbers in RULES.items() for seed in range(SEEDS.value)]
    Console(width=110).print(table(dataset, runs))


if __name__ == "__main__":
    command.start(run)
