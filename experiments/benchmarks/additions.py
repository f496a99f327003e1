"""What do a test part and the sharpness cost of an epoch? Processor time of whole epochs with each and without.

    python -m experiments.benchmarks.additions       # digits, a few minutes on two cores
    python -m experiments.benchmarks.additions --dataset=tfds:cats_vs_dogs --image_size=32 --train_examples=1280 \
        --val_examples=320

The article's network, momentum, two runs, and all that an epoch of a study does. Studies with and without are trained
in turns; told is the processor time of their epochs but for the first, all cores added up, since other work on the
machine moves that little. Of the turns' ratios it is the median, with the lowest and the highest.
The sharpness is measured after every epoch here, and takes as long after a short one as after a long one: few training
examples show it best. Expected: the test part costs nothing that can be told, since as many examples are evaluated with
it; a measurement of the sharpness some 40 training steps.
"""

import dataclasses
import sys
import tempfile
import time
from pathlib import Path

from absl import flags
from rich.console import Console
from rich.table import Table

from experiments.benchmarks import common
from experiments.command import flags as command
from jaxopt_study.data import Dataset, load
from jaxopt_study.engine import devices
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.engine.watcher import Watcher
from jaxopt_study.grids.run import make_run
from jaxopt_study.models.build import article_model
from jaxopt_study.settings import Settings

DATASET = flags.DEFINE_string("dataset", "digits", "digits, tfds:NAME or folder:PATH.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared TFDS sets.")
IMAGE_SIZE = flags.DEFINE_integer("image_size", None, "Height and width in pixels.", 2)
TRAIN_EXAMPLES = flags.DEFINE_integer("train_examples", None, "Only so many.", 32)
VAL_EXAMPLES = flags.DEFINE_integer("val_examples", None, "Only so many.", 10)
EPOCHS = flags.DEFINE_integer("epochs", 8, "That are timed of every run, after the first.", 1)
TURNS = flags.DEFINE_integer("turns", 5, "Of all variants.", 1)
ALONE = "neither"
VARIANTS = {
    ALONE: Settings(),
    "test part, a fifth": Settings(test_share=0.2),
    "sharpness, every epoch": Settings(sharpness=True, sharpness_every=1),
}
RUNS = [make_run("momentum", {"learning_rate": 0.01, "momentum": 0.9}, seed) for seed in range(2)]


def seconds(dataset: Dataset, settings: Settings) -> float:
    """Processor time of an epoch of all runs, the mean over those after the first."""
    last = EPOCHS.value + 1
    settings = dataclasses.replace(settings, max_epochs=last, patience=last)
    after: dict[int, float] = {}  # an epoch, the last of its runs
    watcher = Watcher(epoch=lambda run, number, metrics: after.update({number: time.process_time()}))
    with tempfile.TemporaryDirectory() as folder:
        Trainer(settings, dataset, RUNS, Path(folder), model=article_model()).train(watcher)
    return (after[last] - after[1]) / EPOCHS.value


def table(dataset: Dataset) -> Table:
    """A row a variant: seconds of an epoch, and their ratio to those of the same turn without."""
    turns: list[dict[str, float]] = []
    for _ in range(TURNS.value):
        turns.append({name: seconds(dataset, settings) for name, settings in VARIANTS.items()})
        print(", ".join(f"{name}: {took:.3f} s" for name, took in turns[-1].items()), file=sys.stderr)
    examples = len(RUNS) * len(dataset.train_labels)
    rows = []
    for name in VARIANTS:
        took = common.spread([turn[name] for turn in turns])
        over = common.spread([turn[name] / turn[ALONE] for turn in turns])
        ratio = (f"{over.median:.3f}", f"{over.lowest:.3f} to {over.highest:.3f}")
        rows.append((name, f"{took.median:.2f}", f"{examples / took.median:,.0f}", *ratio))
    title = (
        f"{dataset.name}: processor time of an epoch of {len(RUNS)} runs, {TURNS.value} turns of {EPOCHS.value} epochs"
    )
    columns = ("with", "seconds, median", "examples a second of a core", "over neither", "lowest to highest")
    return common.table(title, columns, rows, ("with",))


def run() -> None:
    """From the flags to the table."""
    devices.configure()
    dataset = load(
        DATASET.value, image_size=IMAGE_SIZE.value, data_dir=DATA_DIR.value,
        train_examples=TRAIN_EXAMPLES.value, val_examples=VAL_EXAMPLES.value,
    )  # fmt: skip
    Console(width=110).print(table(dataset))


if __name__ == "__main__":
    command.start(run)
