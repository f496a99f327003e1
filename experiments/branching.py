"""What becomes of a run that goes on otherwise? (momentum that cools down, Adam that ends as SGD)

    python -m experiments.branching                                                   # digits: a minute or two
    python -m experiments.branching --dataset=tfds:cats_vs_dogs --max_epochs=20 --branch_epoch=12 --workdir=W

Momentum and Adam at a few learning rates; the best of each goes on, from what it had come to after --branch_epoch, as
it was, at a tenth of its rate, at one that falls to zero until the end, with what the rule remembers forgotten, and as
plain SGD at two rates. The table says how each moves the lowest validation loss and the last training loss of a seed,
paired by seed, with an interval; a figure a rule shows the curves. A schedule makes another rule, which remembers
nothing at first. Expected on digits: a rate that falls ends with a lower training loss (by 0.030 of 0.193 nats with
momentum, 0.025 of 0.170 with Adam; 3 seeds, intervals below 0), but not with a lower validation loss; what momentum has
forgotten is made good within an epoch or two, what Adam has is not.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments.command import flags as command
from experiments.command import machine, place
from jaxopt_study import files
from jaxopt_study.analysis.intervals import seed_estimate
from jaxopt_study.analysis.minima import minimum
from jaxopt_study.errors import InputError
from jaxopt_study.history import History
from jaxopt_study.report import tables

if TYPE_CHECKING:
    from jaxopt_study.api import Study

RATES = {"momentum": (0.01, 0.03, 0.1), "adam": (0.001, 0.003, 0.01)}
SGD_RATES = (0.1, 1.0)
AS_IT_WAS, FORGOTTEN = "as it was", "memory forgotten"


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    again: Any = {"allow_override": True}
    flags.DEFINE_string(
        "workdir", None, "Folder for results, or s3://.. or gs://..; workdir/branching if not given.", **again
    )
    flags.DEFINE_string("dataset", "digits", "digits, tfds:NAME or folder:PATH.", **again)
    flags.DEFINE_string("data_dir", None, "Folder of prepared TFDS sets; TFDS's own if not given.", **again)
    flags.DEFINE_integer("image_size", None, "Height and width in pixels; 32, and 8 for digits.", 2, **again)
    flags.DEFINE_integer("max_epochs", 20, "Epochs of a run, at least 2.", 2, **again)
    flags.DEFINE_integer("branch_epoch", 10, "Epoch after which runs go on otherwise, at least 1.", 1, **again)
    flags.DEFINE_integer("seeds", 3, "Seeds of every configuration, at least 1.", 1, **again)
    command.start(body, argv)


def body() -> "Study":
    """Everything between the flags and the exit status."""
    given: Any = flags.FLAGS
    if given.branch_epoch >= given.max_epochs:
        raise InputError("--branch_epoch", given.branch_epoch, f"allowed is less than --max_epochs={given.max_epochs}")
    with place.kept("workdir/branching") as folder:
        return train(folder)


def train(folder: Path) -> "Study":
    """Trains the runs and their branches, and writes what came of them."""
    import jaxopt_study as js  # takes its time to import: not before the flags are known to be good

    given: Any = flags.FLAGS
    side = given.image_size or (8 if given.dataset == "digits" else 32)
    study = js.make_study(
        model=js.article_model(),
        data=js.load(given.dataset, image_size=side, data_dir=given.data_dir),
        grid=[js.make_grid(rule, learning_rate=list(rates)) for rule, rates in RATES.items()],
        seeds=given.seeds,
        max_epochs=given.max_epochs,
        patience=given.max_epochs,
        workdir=folder / "straight",
    )
    try:
        study.run()
        by_rule = {rule: ways(study, rule, given.branch_epoch) for rule in RATES}
    except js.Interrupted:
        raise command.Stopped("interrupted; what was begun is saved, the same command goes on from here") from None
    table = compare(by_rule)
    files.write_text(folder / "branching.csv", tables.to_csv(table))
    for rule, groups in by_rule.items():
        draw(groups, rule, given.branch_epoch, folder)
    print(tables.to_markdown(table))
    machine.tell(branches=table.records())
    print(f"{place.given(str(folder))}: branching.csv, figures/branching_momentum.png, figures/branching_adam.png")
    return study


def ways(study: "Study", rule: str, epoch: int) -> dict[str, list[History]]:
    """What becomes of the best run of a rule, each seed of it, by how it goes on."""
    import optax

    import jaxopt_study as js

    best = dict(study.best(rule).hyperparameters)
    parents = [run for run in study.runs if run.optimizer == rule and dict(run.hyperparameters) == best]
    whole = {"end_value": 0.0, "transition_steps": 1.0}
    cooling = js.scheduled(
        rule, optax.linear_schedule, f"{rule}, cooling", static=whole, in_runs=["transition_steps"], peak="init_value"
    )
    as_it_was = js.make_grid(rule, points=[best])
    grid = [
        as_it_was,
        js.make_grid(rule, points=[best | {"learning_rate": best["learning_rate"] / 10}]),
        js.make_grid(cooling, points=[best]),
        js.make_grid("sgd", learning_rate=list(SGD_RATES)),
    ]
    names = [AS_IT_WAS, "a tenth of its rate", "rate falls to 0", *(f"SGD, rate {rate:g}" for rate in SGD_RATES)]
    branch, forgotten = study.branch(parents, epoch, grid), study.branch(parents, epoch, as_it_was, reset=True)
    for each in (branch, forgotten):
        each.run()
    seeds = len(parents)
    of_names = [branch.histories[first : first + seeds] for first in range(0, len(branch.histories), seeds)]
    return {**dict(zip(names, of_names, strict=True)), FORGOTTEN: forgotten.histories}


def compare(by_rule: Mapping[str, Mapping[str, Sequence[History]]]) -> tables.Table:
    """A row for each rule and way: mean lowest validation loss and last training loss, and how far they are from those
    of the runs that went on as they were, means of the seeds' differences with their intervals."""
    moved = [f"{of}_{what}" for of in ("val", "train") for what in ("difference", "low", "high")]
    rows: list[tuple[tables.Value, ...]] = []
    for rule, groups in by_rule.items():
        before = [measured(history) for history in groups[AS_IT_WAS]]
        for way, histories in groups.items():
            after = [measured(history) for history in histories]
            apart = [(a - c, b - d) for (a, b), (c, d) in zip(after, before, strict=True)]
            seeds = [history.replicate for history in histories]
            means = [
                seed_estimate(dict(zip(seeds, each, strict=True)), positive=True).value
                for each in zip(*after, strict=True)
            ]
            differences = [seed_estimate(dict(zip(seeds, each, strict=True)))[:3] for each in zip(*apart, strict=True)]
            same: tuple[tables.Value, ...] = (None,) * len(moved)
            found = same if way == AS_IT_WAS else (*differences[0], *differences[1])
            rows.append((rule, way, *means, *found, len(histories)))
    return tables.Table(("optimizer", "goes on", "val_loss", "train_loss", *moved, "seeds"), rows)


def measured(history: History) -> tuple[float, float]:
    """The lowest validation loss and the last training loss; NaN of a run that diverged."""
    if history.status == "diverged":
        return math.nan, math.nan
    return minimum(history.curves["val_loss"]).value, float(history.curves["train_loss"][-1])


def draw(groups: Mapping[str, Sequence[History]], rule: str, epoch: int, folder: Path) -> None:
    """Both losses over the epochs, and where the runs part."""
    from jaxopt_study.plots import epoch_curves, picture

    title = f"{rule}: the same runs, going on in other ways after epoch {epoch}"
    figure = epoch_curves.lines(groups, legend="goes on", title=title, events=[epoch])
    picture.save(figure, folder / "figures", f"branching_{rule}")


if __name__ == "__main__":
    main()
