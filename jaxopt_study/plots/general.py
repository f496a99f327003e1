"""Figures of any grid, whatever its rules and hyperparameters: what the article's recipes are for its own."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from jaxopt_study.analysis import best_first
from jaxopt_study.analysis.runs import by_configuration
from jaxopt_study.history import History
from jaxopt_study.plots import (
    epoch_curves,
    heatmaps,
    labels,
    minima,
    selection,
)
from jaxopt_study.plots.picture import Picture

MOST_CURVES = 8
"""Configurations that have a line of their own; further ones are thin and grey."""
METRICS = ("train_loss", "val_loss")


def general(
    histories: Sequence[History], *, unit: str = labels.LOSS_UNIT, chance: float = math.inf
) -> Iterator[Picture]:
    """Loss curves of each rule, the lowest loss over each of its axes and each pair of them, and the rules compared.

    Args:
        histories: runs of any rules; those that could not be trained are passed over.
        unit: of the loss.
        chance: loss of guessing; values above it have the last colour of a heat map. Infinite where there is none.

    Yields:
        ``(name, figure, caption, alt_text)``.
    """
    trained = [h for h in histories if h.status != "failed" and h.epochs]
    rules = {rule: [h for h in trained if h.optimizer == rule] for rule in dict.fromkeys(h.optimizer for h in trained)}
    pictures = [*_compared(rules)] if len(rules) > 1 else []
    for rule, own in rules.items():
        axes = varied(own)
        pictures += [_curves(rule, own, axes)]
        pictures += [_over(rule, own, axis) for axis in axes]
        pictures += [_map(rule, own, x, y, chance) for y, x in itertools.combinations(axes, 2)]
    for picture in pictures:
        _set_unit(picture.figure, unit)
        yield picture


def varied(histories: Sequence[History]) -> list[str]:
    """The hyperparameters that have more than one value, in the order of the runs' own."""
    names = dict.fromkeys(name for h in histories for name in h.hyperparameters)
    return [name for name in names if len(selection.values(histories, name)) > 1]


def configurations(histories: Sequence[History]) -> list[Sequence[History]]:
    """The runs of each configuration, the best first."""
    return best_first(by_configuration(histories))


def _best_by(histories: Sequence[History], names: Sequence[str]) -> list[History]:
    """For each combination of values of ``names``, the runs of its best configuration."""
    having = [h for h in histories if all(name in h.hyperparameters for name in names)]
    kept: dict[tuple[object, ...], Sequence[History]] = {}
    for members in configurations(having):
        kept.setdefault(tuple(selection.value_of(members[0], name) for name in names), members)
    return [h for members in kept.values() for h in members]


def _curves(rule: str, histories: Sequence[History], axes: Sequence[str]) -> Picture:
    ranked = configurations(histories)
    best, rest = ranked[:MOST_CURVES], ranked[MOST_CURVES:]
    named = {_name(members[0], axes): members for members in best}
    title = f"{labels.optimizer(rule)}: loss over the epochs"
    figure = epoch_curves.lines(named, METRICS, legend=", ".join(map(labels.short, axes)), title=title)
    for panel, metric in zip(figure.axes, METRICS, strict=True):
        for members in rest:
            mean = epoch_curves.band([h for h in members if h.status != "diverged"], metric).mean
            panel.plot(np.arange(1, len(mean) + 1), mean, color="#b8b8b8", linewidth=0.6, zorder=0.5)
    grey = f" Thin and grey: the other {len(rest)}." if rest else ""
    caption = (
        f"{labels.sentence(labels.optimizer(rule))}: training and validation loss, the best configuration first in the "
        f"legend; {_seeds(histories)}. A cross marks the epoch in which a run diverged.{grey}"
    )
    lost = len(selection.diverged(histories))
    alt = f"Loss of {labels.counted(len(ranked), 'configuration')}, {lost} runs diverged; best: {next(iter(named))}."
    return Picture(f"{_slug(rule)}_curves", figure, caption, alt)


def _over(rule: str, histories: Sequence[History], axis: str) -> Picture:
    chosen = _best_by(histories, [axis])
    title = f"{labels.optimizer(rule)}: lowest loss by {labels.hyperparameter(axis)}"
    figure = minima.minimum_by(chosen, by=axis, title=title)
    others = " At each value the best configuration of the other axes is shown." if len(varied(histories)) > 1 else ""
    caption = f"{labels.sentence(title)}; {_seeds(histories)}.{others}"
    best = selection.value_of(configurations(chosen)[0][0], axis)
    alt = f"Lowest training and validation loss against the {labels.hyperparameter(axis)}; best at {_text(best)}."
    return Picture(f"{_slug(rule)}_by_{_slug(axis)}", figure, caption, alt)


def _map(rule: str, histories: Sequence[History], x: str, y: str, chance: float) -> Picture:
    chosen = _best_by(histories, [x, y])
    title = f"{labels.optimizer(rule)}: lowest loss by {labels.hyperparameter(y)} and {labels.hyperparameter(x)}"
    figure = heatmaps.heat_map(chosen, x=x, y=y, best="all", title=title, ceiling=chance)
    others = " In each cell the best configuration of the other axes is shown." if len(varied(histories)) > 2 else ""
    caption = f"{labels.sentence(title)}; {_seeds(histories)}. Hatched: a run diverged, in the epoch given.{others}"
    best = configurations(chosen)[0][0]
    at = ", ".join(f"{labels.hyperparameter(n)} {_text(selection.value_of(best, n))}" for n in (y, x))
    alt = f"Heat maps of the lowest training and validation loss; lowest validation loss at {at}."
    return Picture(f"{_slug(rule)}_by_{_slug(y)}_and_{_slug(x)}", figure, caption, alt)


def _compared(rules: Mapping[str, Sequence[History]]) -> Iterator[Picture]:
    best = {rule: configurations(own)[0] for rule, own in rules.items()}
    named = {}
    for members in best_first(list(best.values())):
        rule = members[0].optimizer
        named[f"{labels.optimizer(rule)}\n{_name(members[0], varied(rules[rule]))}"] = members
    shown = dict(itertools.islice(named.items(), MOST_CURVES))
    figure = epoch_curves.lines(shown, METRICS, legend="optimizer", title="The best configuration of each optimizer")
    seeds = _seeds([h for members in best.values() for h in members])
    caption = f"The best configuration of each optimizer, by its lowest validation loss; {seeds}."
    order = labels.listing(name.replace("\n", " ") for name in named)
    yield Picture("best_of_each_optimizer", figure, caption, f"Loss curves; from the best on: {order}.")


def _name(history: History, axes: Sequence[str]) -> str:
    own = [name for name in axes if name in history.hyperparameters]
    return ", ".join(_text(selection.value_of(history, n)) for n in own) or labels.optimizer(history.optimizer)


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else labels.number(value)


def _seeds(histories: Sequence[History]) -> str:
    count = len({h.seed for h in histories})
    return f"mean and range over {count} seeds" if count > 1 else "one seed"


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", name).strip("_")


def _set_unit(figure: Figure, unit: str) -> None:
    for panel in figure.axes:
        for read, write in ((panel.get_ylabel, panel.set_ylabel), (panel.get_xlabel, panel.set_xlabel)):
            write(read().replace(labels.LOSS_UNIT, unit).replace("loss (nats)", f"loss ({unit})"))
