"""Would a run that its patience ended have come lower? Runs go on from their best weights for a number of epochs.

    python -m experiments.benchmarks.further --workdir=experiments/results/cats_vs_dogs_128 --output=W --data_dir=DIR \
        --only=momentum,rmsprop --epochs=120 --max_minutes=60

Each run of a work directory with weights goes on from those of its lowest validation loss, on the same data in the same
order; what its rule remembers begins anew, and so do the masks of its dropout. It is a study of its own in a folder of
--output: what was stopped goes on with the same command. Told are the lowest validation loss before, and since with its
epoch, counted from the first; and the median of the epochs around each, since the lowest of many noisy ones is low by
luck.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from rich.console import Console

import jaxopt_study as js
from experiments.benchmarks import common
from experiments.benchmarks.evaluation_shift import data_of, in_words, with_weights
from experiments.command import flags as command
from experiments.command import place
from jaxopt_study.analysis.minima import minimum
from jaxopt_study.data import Dataset
from jaxopt_study.errors import InputError
from jaxopt_study.grids.run import make_run
from jaxopt_study.history import History
from jaxopt_study.models.build import Model
from jaxopt_study.storage import workdir
from jaxopt_study.storage.weights import Predictor

NEAR = 10
"""Epochs on either side of a minimum whose median is told."""


class Lowest(NamedTuple):
    """Of a curve the lowest loss in nats, its epoch, and the median of the epochs around it."""

    loss: float
    epoch: int
    around: float


def lowest(curve: np.ndarray) -> Lowest:
    """Of losses ``[E]``; NaN in epoch 0 where none is finite."""
    loss, epoch = minimum(curve)
    if epoch is None:
        return Lowest(loss, 0, loss)
    return Lowest(loss, epoch, float(np.nanmedian(curve[max(0, epoch - 1 - NEAR) : epoch + NEAR])))


def begun_with(trained: Predictor, identity: str) -> Model:
    """The network of a run, which begins with that run's weights, whatever the seed."""
    network = trained.network._replace(init=lambda key: trained.variables)
    return Model(f"{identity}, from the best weights of run {trained.run}", lambda *_: network)


def gone_on(folder: Path, name: str, of: History, study_of: Callable[..., js.Study]) -> tuple[Lowest, Lowest] | None:
    """The lowest loss of a run, and since; None if it has not all of its further epochs yet.

    ``study_of`` makes the study, from what it is to share with the run's own.

    Raises:
        InputError: the run was one of several orders of the examples.
    """
    config = workdir.read_config(folder / "config.json")
    if of.data_seed is not None:
        raise InputError("--workdir", folder, "allowed is a study with one order of the examples, without --data_seeds")
    study = study_of(
        **config["settings"] | {"halving": None},
        loss=config["loss"],
        model=begun_with(js.load_model(folder, name), config["identity"]["model"]),
        grid=[make_run(of.optimizer, of.hyperparameters, of.seed)],
    )
    study.run()
    if not study.histories:
        return None
    before, since = (lowest(history.curves["val_loss"]) for history in (of, *study.histories))
    return before, since._replace(epoch=before.epoch + since.epoch)


def chosen(folder: Path, only: Sequence[str]) -> dict[str, History]:
    """The runs with weights, by fingerprint: all, or those of the rules and of the fingerprints in ``only``.

    Raises:
        InputError: the folder has no weights, or none of what is asked for.
    """
    there = with_weights(folder)
    known = sorted({of.optimizer for of in there.values()} | there.keys())
    for asked in only:
        if asked not in known:
            raise InputError("--only", asked, f"allowed is what has weights in it: {', '.join(known)}")
    return {name: of for name, of in there.items() if not only or {name, of.optimizer} & set(only)}


def define_flags() -> None:
    """The command's flags; by the module that is run only."""
    flags.DEFINE_string("workdir", None, "Folder of a study trained with --save_best_weights.")
    flags.DEFINE_string("output", None, "Folder for the studies of what goes on.")
    flags.DEFINE_string("data_dir", None, "Folder of prepared TFDS sets.")
    flags.DEFINE_list("only", [], "Rules, or fingerprints of runs, that go on; all if not given.")
    flags.DEFINE_integer("epochs", 100, "For which each run goes on.", 1)
    flags.DEFINE_float("max_minutes", None, "For each run; the same command goes on with it.", 0.0)


def _study(dataset: Dataset, folder: Path, **shared: Any) -> js.Study:
    """A study of as many epochs as the flags say, whatever the patience."""
    options = flags.FLAGS
    length = {"max_epochs": options.epochs, "patience": options.epochs}
    return js.make_study(**shared | length, data=dataset, workdir=folder, max_minutes=options.max_minutes)


def run() -> None:
    """From the flags to the table."""
    options = flags.FLAGS
    place.given()
    if not options.output:
        raise InputError("--output", options.output, "allowed is a folder")
    output = place.output("")
    with place.kept() as folder:
        runs = chosen(folder, options.only)
        dataset, texts = data_of(folder, options.data_dir), []
        for name, of in runs.items():
            found = gone_on(folder, name, of, partial(_study, dataset, output / name))
            told = [f"{one.loss:.4f}, {one.around:.4f} ({one.epoch})" for one in found] if found else ["", "under way"]
            texts.append((in_words(of), *told))
    columns = ("run", "lowest, around it (epoch)", f"since, of {options.epochs} epochs more")
    Console(width=120).print(common.table("Further than the patience", columns, texts, left=("run",)))


if __name__ == "__main__":
    define_flags()
    command.start(run)
