"""Does a network say in evaluation what it says in training? Why a validation loss may jump and the training loss not.

    python -m experiments.benchmarks.evaluation_shift --workdir=experiments/results/cats_vs_dogs_64 --data_dir=DIR

In training dropout is on and a batch is normalized by its own statistics; in evaluation dropout is off, and statistics
count that were averaged over batches with dropout. A normalization after a dropout has seen activations of another
spread then, and what follows may lean towards a class. Of each run with weights of a work directory (two classes, the
sigmoid's loss), on the first validation examples: loss, mean logit, and the loss without that lean - with the number
added to all logits that brings it lowest - as it is evaluated, as it is trained, and as it is evaluated after its
statistics have seen some hundred batches more with all weights as they are. Expected, on the
photographs at 64 x 64: mean logits within 0.2 of zero, but for RMSprop -0.8 in evaluation and -0.2 in training: its
validation loss varies most, and it is stopped first.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags
from rich.console import Console
from scipy.optimize import minimize_scalar

from experiments.benchmarks import common
from experiments.command import flags as command
from experiments.command import place
from jaxopt_study import load_model
from jaxopt_study.analysis.runs import describe
from jaxopt_study.data import Dataset, load
from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.history import History
from jaxopt_study.optimizers import registry
from jaxopt_study.storage import workdir
from jaxopt_study.storage.store import read_runs
from jaxopt_study.storage.weights import Predictor

BATCH = 32
FAR = 40.0
"""A logit beyond which the loss is 0, or grows in a line."""


class Said(NamedTuple):
    """Of some examples: the mean loss in nats, the mean logit, and the loss without a lean towards a class."""

    loss: float
    logit: float
    upright: float


def said(logits: np.ndarray, labels: np.ndarray) -> Said:
    """Of logits ``[N]`` and labels 0 or 1 ``[N]``."""

    def loss(added: float) -> float:
        moved = np.asarray(logits, np.float64) + added
        return float((np.logaddexp(0, moved) - moved * labels).mean())

    upright = minimize_scalar(loss, bounds=(-FAR - logits.max(), FAR - logits.min()), method="bounded").fun
    return Said(loss(0.0), float(logits.mean()), float(upright))


def shift(model: Predictor, dataset: Dataset, examples: int, batches: int) -> tuple[Said, Said, Said]:
    """As it is evaluated, as it is trained, and evaluated after so many batches of statistics more."""
    network = model.network
    evaluate = jax.jit(lambda variables, x: network.evaluate(variables, network.prepare(x, False)))
    train = jax.jit(lambda variables, x, key: network.train(variables, network.prepare(x, True), key))
    images, labels = dataset.val_images[:examples], np.asarray(dataset.val_labels[:examples])
    rng = np.random.default_rng(0)
    keys = map(jax.random.key, itertools.count())

    def of(answer: Callable[[Any], Any]) -> Said:
        whole = len(images) // BATCH * BATCH or len(images)  # a smaller batch has other statistics
        parts = [np.asarray(answer(images[at : at + BATCH])) for at in range(0, whole, BATCH)]
        return said(np.concatenate(parts).reshape(-1), labels[:whole])

    evaluated = of(lambda x: evaluate(model.variables, x))
    trained = of(lambda x: train(model.variables, x, next(keys))[0])
    variables = model.variables
    for _ in range(batches):
        chosen = np.sort(rng.integers(0, dataset.examples, BATCH))
        variables = variables._replace(stats=train(variables, dataset.train_images[chosen], next(keys))[1])
    return evaluated, trained, of(lambda x: evaluate(variables, x))


def data_of(folder: Path, data_dir: str | None) -> Dataset:
    """The data set that a work directory was trained on.

    Raises:
        InputError: it cannot be loaded again by what the directory tells of it.
        EnvironmentFault: it is not there, or is another one.
    """
    about = workdir.read_config(folder / "config.json")["dataset"]
    if ":" not in about["name"] and about["name"] != "digits":
        allowed = f"allowed is a study on digits, tfds:NAME or folder:PATH, not {about['name']}"
        raise InputError("--workdir", folder, allowed)
    dataset = load(about["name"], **{**about.get("asked", {}), **({"data_dir": data_dir} if data_dir else {})})
    if dataset.fingerprint != about["fingerprint"]:
        raise EnvironmentFault(f"{about['name']} is not here what {folder} was trained on: pixels or split differ")
    return dataset


def with_weights(folder: Path) -> dict[str, History]:
    """The runs of a work directory that have weights, by fingerprint; InputError: it has no weights."""
    if not (folder / "weights").is_dir():
        raise InputError("--workdir", folder, "allowed is a work directory with weights: --save_best_weights")
    return {name: of for name, of in sorted(read_runs(folder).items()) if (folder / "weights" / name).is_dir()}


def in_words(of: History) -> str:
    """A run's rule and numbers, those that have their defaults left out."""
    defaults = {number.name: number.default for number in registry.family(of.optimizer).hyperparameters}
    return describe(of.optimizer, of.hyperparameters, defaults)


def rows(
    folder: Path, data_dir: str | None, examples: int, batches: int
) -> Iterator[tuple[str, tuple[Said, Said, Said]]]:
    """Each run of a work directory that has weights, in words, and its three numbers.

    Raises:
        InputError: the directory has no weights, or the network is not for two classes.
        EnvironmentFault: the data are not there, or a file is damaged.
    """
    runs = with_weights(folder)
    dataset = data_of(folder, data_dir)
    for name, of in runs.items():
        model = load_model(folder, name)
        if model.loss != "sigmoid":
            allowed = f"allowed is a study of two classes with the loss sigmoid, not {model.loss}"
            raise InputError("--workdir", folder, allowed)
        yield in_words(of), shift(model, dataset, examples, batches)


def define_flags() -> None:
    """The command's flags; by the module that is run only."""
    flags.DEFINE_string("workdir", None, "Folder of a study trained with --save_best_weights.")
    flags.DEFINE_string("data_dir", None, "Folder of prepared TFDS sets.")
    flags.DEFINE_integer("examples", 1024, "Of the validation part, at most.", 1)
    flags.DEFINE_integer("batches", 300, "That the statistics see besides.", 1)


def run() -> None:
    """From the flags to the table."""
    options = flags.FLAGS
    with place.kept() as folder:
        found = rows(folder, options.data_dir, options.examples, options.batches)
        texts = [
            (name, *(f"{one.loss:.3f}, {one.logit:+.2f}, {one.upright:.3f}" for one in three)) for name, three in found
        ]
    columns = (
        "run",
        "evaluated: loss, mean logit, without lean",
        "trained",
        f"evaluated, {options.batches} batches more",
    )
    Console(width=120).print(common.table("Evaluation and training", columns, texts, left=("run",)))


if __name__ == "__main__":
    define_flags()
    command.start(run)
