"""Why do the losses differ from the article's? (its best configurations, with one thing changed at a time)

    python -m experiments.benchmarks.differences --workdir=W                     # photographs: 40 minutes on two cores
    python -m experiments.benchmarks.differences --workdir=W --dataset=digits    # a minute, to see it work

The article's best run of SGD, RMSprop and Adam, as `replicate` trains them at 32 x 32 pixels for 20 epochs; then with
five times the epochs, twice the side of the image, another order of the examples, the network of the article's notebook
(dropout in place of the batch norm after the second dense layer), batch norm that forgets faster, and four times the
batch. The table says how each moves the lowest validation loss of a seed, paired by seed, with an interval. A variant
keeps its runs in a folder of its own under W. Expected: many more epochs lower all three losses, another order of the
examples none that the seeds could tell; see experiments/results/differences.md.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from absl import flags

from experiments.article import facts as article
from experiments.command import flags as command
from experiments.command import machine, place
from jaxopt_study import files
from jaxopt_study.analysis.intervals import seed_estimate
from jaxopt_study.analysis.minima import minimum
from jaxopt_study.errors import InputError
from jaxopt_study.history import History
from jaxopt_study.models.build import Model
from jaxopt_study.models.network import Network, Variables
from jaxopt_study.report import tables

RULES = ("sgd", "rmsprop", "adam")
WORKDIR = "workdir/differences"
FOLDERS = "Folder for results, or s3://.. or gs://.., with one in it for each variant"


class Variant(NamedTuple):
    """One thing changed, as factors of what the flags give."""

    title: str
    epochs: int = 1
    side: int = 1
    batch: int = 1
    data_seed: int = 0
    notebook: bool = False
    norm_momentum: float = 0.99


VARIANTS = {
    "base": Variant("as replicate trains it"),
    "data_seed": Variant("another order of the examples", data_seed=1),
    "notebook": Variant("the notebook's network", notebook=True),
    "norm": Variant("batch norm's running statistics with momentum 0.9", norm_momentum=0.9),
    "batch": Variant("four times the batch", batch=4),
    "epochs": Variant("five times the epochs", epochs=5),
    "pixels": Variant("twice the side of the image", side=2),
}


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    again: Any = {"allow_override": True}
    flags.DEFINE_string("workdir", None, f"{FOLDERS}; {WORKDIR} if not given.", **again)
    flags.DEFINE_string("dataset", "tfds:cats_vs_dogs", "digits, tfds:NAME or folder:PATH.", **again)
    flags.DEFINE_string("data_dir", None, "Folder of prepared TFDS sets; TFDS's own if not given.", **again)
    flags.DEFINE_integer("image_size", None, "Height and width in pixels; 32, and 8 for digits.", 2, **again)
    flags.DEFINE_integer("max_epochs", 20, "Epochs of a run, at least 1.", 1, **again)
    flags.DEFINE_integer("seeds", 2, "Seeds of every configuration, at least 1.", 1, **again)
    flags.DEFINE_list("variants", list(VARIANTS), f"Some of {', '.join(VARIANTS)}; base always is.", **again)
    command.start(body, argv)


def body() -> None:
    """Everything between the flags and the exit status."""
    given: Any = flags.FLAGS
    for name in given.variants:
        if name not in VARIANTS:
            raise InputError("--variants", name, f"allowed are {', '.join(VARIANTS)}")
    with place.kept(WORKDIR) as folder:
        by_variant = {name: train(name, folder) for name in VARIANTS if name == "base" or name in given.variants}
        table = compare(by_variant)
        files.write_text(folder / "differences.csv", tables.to_csv(table))
    print(tables.to_markdown(table))
    told = place.given(WORKDIR)
    print(f"{told}: differences.csv")
    machine.tell(workdir=told, differences=table.records(), files=[f"{told}/differences.csv"])


def train(name: str, folder: Path) -> list[History]:
    """The runs of a variant; those in its folder are not trained again."""
    import jaxopt_study as js  # takes its time to import: not before the flags are known to be good

    given: Any = flags.FLAGS
    variant = VARIANTS[name]
    side = given.image_size or (8 if given.dataset == "digits" else 32)
    best = {row.optimizer: row.hyperparameters for row in article.BEST_RUNS}
    study = js.make_study(
        model=forgetful(js.article_model(notebook=variant.notebook), variant.norm_momentum),
        data=js.load(given.dataset, image_size=variant.side * side, data_dir=given.data_dir),
        grid=[js.make_grid(rule, points=[best[rule]]) for rule in RULES],
        seeds=given.seeds,
        batch_size=32 * variant.batch,
        max_epochs=given.max_epochs * variant.epochs,
        patience=50,
        data_seed=variant.data_seed,
        workdir=folder / name,
    )
    print(variant.title)
    try:
        study.run()
    except js.Interrupted:
        raise command.Stopped("interrupted; what was begun is saved, the same command goes on from here") from None
    return study.histories


def forgetful(model: Model, momentum: float) -> Model:
    """The article's network with running statistics of another momentum than its 0.99.

    They are updated by (1 - momentum) times what the batch is apart from them, so the other momentum is a factor.
    """
    if momentum == 0.99:
        return model
    factor = (1.0 - momentum) / (1.0 - 0.99)

    @functools.cache
    def build(image_shape: tuple[int, ...], outputs: int, batch_size: int) -> Network:
        network = model.build(image_shape, outputs, batch_size)

        def train(variables: Variables, prepared: Any, key: jax.Array) -> tuple[jax.Array, Any]:
            logits, stats = network.train(variables, prepared, key)
            return logits, jax.tree.map(lambda new, old: old + factor * (new - old), stats, variables.stats)

        return network._replace(train=train)

    return Model(f"{model.identity}, batch norm momentum {momentum}", build)


def compare(by_variant: dict[str, list[History]]) -> tables.Table:
    """A row for each variant and rule: mean lowest validation loss, and how far it is from that of the base.

    Columns: variant, optimizer, val_loss with its interval over seeds, its mean epoch, the mean paired difference from
    the base with its interval, seeds.
    """
    moved = ("difference", "difference_low", "difference_high")
    columns = ("variant", "optimizer", "val_loss", "val_low", "val_high", "epoch", *moved, "seeds")
    base = {(run.optimizer, run.seed): minimum(run.curves["val_loss"]).value for run in by_variant["base"]}
    rows: list[tuple[tables.Value, ...]] = []
    for name, rule in itertools.product(by_variant, RULES):
        lowest = {run.seed: minimum(run.curves["val_loss"]) for run in by_variant[name] if run.optimizer == rule}
        loss = seed_estimate({seed: at.value for seed, at in lowest.items()}, positive=True)
        apart = seed_estimate({seed: at.value - base[rule, seed] for seed, at in lowest.items()})
        epoch = sum(at.epoch or math.nan for at in lowest.values()) / len(lowest)
        from_base = (None,) * 3 if name == "base" else apart[:3]
        rows.append((VARIANTS[name].title, rule, *loss[:3], epoch, *from_base, len(lowest)))
    return tables.Table(columns, rows)


if __name__ == "__main__":
    main()
