"""Figures of all the article's optimizers side by side, each at the best of its configurations that there are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from experiments.article import facts
from jaxopt_study import plots
from jaxopt_study.analysis.best import held_out_cell
from jaxopt_study.analysis.minima import accuracy, seed_lowest
from jaxopt_study.analysis.runs import Cell
from jaxopt_study.analysis.speed import epochs_to
from jaxopt_study.history import History
from jaxopt_study.plots import labels
from jaxopt_study.plots.selection import NotDrawable


def best_of_each(source: plots.picture.Source) -> list[Cell]:
    """The best configurations, in the article's order; NotDrawable if there are fewer than two."""
    rules = (row.optimizer for row in facts.BEST_RUNS)
    chosen = [held_out_cell(cells) for rule in rules if (cells := source.runs.family(rule))]
    if len(chosen) < 2:
        raise NotDrawable("it compares optimizers, and there are runs of fewer than two")
    return chosen


def bars(
    source: plots.picture.Source, *, number: int, shows: str, what: str, measured: Callable[[History], float],
    unit: str = f"loss ({labels.LOSS_UNIT})", whole: bool = False,
) -> plots.picture.Picture:  # fmt: skip
    """One number a run: a bar an optimizer, its mean over the seeds.

    Raises:
        NotDrawable: there are runs of fewer than two optimizers.
    """
    entries = [
        plots.comparison.Bar(c.optimizer, labels.configuration(c.hyperparameters), [measured(h) for h in c.histories])
        for c in best_of_each(source)
    ]
    title = labels.sentence(f"{what}, each optimizer at its best configuration")
    figure = plots.comparison.bars(entries, unit=unit, whole=whole, title=title)
    chosen = "The best configuration has the lowest mean of the minimum validation losses over its seeds." + (
        plots.captions.over_seeds(
            source.histories, " What is told of each half of the seeds is of what the other half chooses.", ""
        )
    )
    dots = plots.captions.over_seeds(
        source.histories, "Bars are means over up to {} seeds, dots the seeds.", "One seed a configuration."
    )
    caption = f"{title}. {chosen} {dots} The lowest is starred."
    alt = f"Bar chart. {title}: {plots.comparison.told(entries, whole)}."
    return plots.picture.Picture(f"fig{number}_{shows}", figure, caption, alt)


def epochs_to_worst(source: plots.picture.Source, *, number: int) -> plots.picture.Picture:
    """Epochs that each needs to the highest of their minima, the longest bar of figure 45.

    Raises:
        NotDrawable: there are runs of fewer than two optimizers, or none with a loss that counts.
    """
    minima = [seed_lowest(cell.histories).value for cell in best_of_each(source)]
    if not any(map(math.isfinite, minima)):
        raise NotDrawable("no optimizer has a loss that counts")
    target = max(filter(math.isfinite, minima))
    what = f"epochs until the validation loss is at most {labels.loss(target)}, the worst of the minima"
    return bars(
        source, number=number, shows="epochs_to_worst_minimum", what=what, unit="epochs", whole=True,
        measured=lambda run: float(epochs_to(run.curves["val_loss"], target) or math.nan),
    )  # fmt: skip


def curves(source: plots.picture.Source, *, shows: str, what: str, metrics: Sequence[str]) -> plots.picture.Picture:
    """Curves over the epochs, one an optimizer, a panel a metric.

    Raises:
        NotDrawable: there are runs of fewer than two optimizers.
    """
    cells = best_of_each(source)
    groups = {f"{labels.optimizer(c.optimizer)}\n{labels.configuration(c.hyperparameters)}": c.histories for c in cells}
    lead = "Each optimizer at the configuration with the lowest mean of the minimum validation losses over its seeds."
    title = labels.sentence(f"{what}, each optimizer at its best configuration")
    return plots.picture.groups_picture(
        0, groups, lead, chance=source.chance, shows=shows, title=title, metrics=metrics
    )


def accuracies(source: plots.picture.Source) -> plots.picture.Picture:
    """The same of the validation accuracy; NotDrawable also if none was measured."""
    if not any(np.isfinite(accuracy(run)).any() for cell in best_of_each(source) for run in cell.histories):
        raise NotDrawable("no accuracy was measured")
    return curves(source, shows="best_accuracy", what="validation accuracy", metrics=["val_accuracy"])
