"""The figures of any study, whatever its rules and hyperparameters."""

import contextlib
import dataclasses
import hashlib
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from jaxopt_study.analysis.best import best_first
from jaxopt_study.analysis.edge import over_edge
from jaxopt_study.analysis.minima import accuracy
from jaxopt_study.analysis.runs import by_configuration
from jaxopt_study.history import History
from jaxopt_study.plots import importance, labels, picture, selection, style, tuning
from jaxopt_study.plots.picture import Picture, Source
from jaxopt_study.plots.selection import NotDrawable

MOST_CURVES = 8
"""Configurations that have a line of their own; further ones are thin and grey."""
_LONGEST_SLUG = 40
_SHARPNESS = (
    "Sharpness is the largest eigenvalue of the Hessian of one batch's loss after each epoch, preconditioned where the "
    "rule divides by a root of squares."
)
_EDGE = " On the right as a multiple of the edge of stability (dotted), from which the rule diverges on a quadratic."


def general(
    histories: Sequence[History], *, unit: str = labels.LOSS_UNIT, chance: float = math.inf
) -> Iterator[Picture]:
    """Curves of each rule, the lowest loss over each of its axes and each pair of them, the rules compared, also over
    the number of configurations tried, and how much each hyperparameter matters.

    The curves are those of the losses, of the validation accuracy where it was measured, and of the user's own metrics.

    Args:
        histories: runs of any rules; those that could not be trained are passed over.
        unit: of the loss.
        chance: loss of guessing; infinite where it is not known.
    """
    trained = [h for h in histories if h.status != "failed" and h.epochs]
    rules: dict[str, list[History]] = {}
    for history in trained:
        rules.setdefault(history.optimizer, []).append(history)
    measured = any(np.isfinite(accuracy(h)).any() for h in trained)
    curves = {"loss": labels.LOSSES} | ({"accuracy": ("val_accuracy",)} if measured else {})
    curves |= {name: (name,) for h in trained for name in h.metrics}
    pictures = [_compared(rules, chance, *one) for one in curves.items()] if len(rules) > 1 else []
    with contextlib.suppress(NotDrawable):
        pictures.append(tuning.picture(Source(trained, chance)))
    with contextlib.suppress(NotDrawable):
        pictures.append(importance.picture(Source(trained, chance)))
    for rule, runs in rules.items():
        axes = varied(runs)
        pictures += [_curves(rule, runs, axes, chance, *one) for one in curves.items()]
        pictures += [_over(Source(runs, chance), rule, axis) for axis in axes]
        pictures += [_map(Source(runs, chance), rule, x, y) for y, x in itertools.combinations(axes, 2)]
    for made in (*pictures, *sharpness(trained, chance=chance)):
        _set_unit(made.figure, unit)
        yield made


def sharpness(histories: Sequence[History], *, chance: float = math.inf) -> Iterator[Picture]:
    """The sharpness of each rule's runs where it was measured, and beside it as a multiple of what the rule bears.

    Args:
        histories: runs of any rules.
        chance: loss of guessing; infinite where it is not known.
    """
    with_edges = [_beside_edge(h) for h in histories if np.isfinite(h.curves.get("sharpness", np.nan)).any()]
    for rule in dict.fromkeys(h.optimizer for h in with_edges):
        runs = [h for h in with_edges if h.optimizer == rule]
        known = any("over_edge" in h.curves for h in runs)
        metrics = ("sharpness", "over_edge") if known else ("sharpness",)
        made = _curves(rule, runs, varied(runs), chance, "sharpness", metrics)
        if known:
            panel = made.figure.axes[1]
            low, high = panel.get_ylim()
            panel.set_ylim(min(low, 0.8), max(high, 1.25))
            panel.axhline(1.0, color=style.MUTED, linewidth=0.9, linestyle=":", zorder=1)
        yield made._replace(caption=f"{made.caption} {_SHARPNESS}{_EDGE if known else ''}")


def _beside_edge(history: History) -> History:
    multiple = over_edge(history)
    curves = dict(history.curves) if multiple is None else {**history.curves, "over_edge": multiple}
    return dataclasses.replace(history, curves=curves)


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


def _curves(
    rule: str, histories: Sequence[History], axes: Sequence[str], chance: float, what: str, metrics: Sequence[str]
) -> Picture:
    ranked = configurations(histories)
    best, rest = ranked[:MOST_CURVES], ranked[MOST_CURVES:]
    grey = f" Thin and grey: the other {len(rest)}." if rest else ""
    return picture.groups_picture(
        0,
        dict(zip(_names([runs[0] for runs in best], axes, ranked), best, strict=True)),
        f"{labels.sentence(labels.optimizer(rule))}, the best configuration first in the legend.{grey}",
        chance=chance,
        shows=f"{_slug(rule)}_{'curves' if what == 'loss' else what}",
        title=f"{labels.optimizer(rule)}: {what} over the epochs",
        metrics=metrics,
        legend=", ".join(map(labels.short, axes)),
        rest=rest,
    )


def _over(source: Source, rule: str, axis: str) -> Picture:
    others = " At each value the best configuration of the other axes." if len(varied(source.histories)) > 1 else ""
    lead = f"Lowest loss of {labels.optimizer(rule)} by {labels.hyperparameter(axis)}.{others}"
    chosen = source.of(_best_by(source.histories, [axis]))
    return picture.minimum_picture(0, chosen, lead, shows=f"{_slug(rule)}_by_{_slug(axis)}", by=axis)


def _map(source: Source, rule: str, x: str, y: str) -> Picture:
    others = " In each cell the best configuration of the other axes." if len(varied(source.histories)) > 2 else ""
    over = f"{labels.hyperparameter(y)} and {labels.hyperparameter(x)}"
    lead = f"Lowest loss of {labels.optimizer(rule)} by {over}.{others}"
    shows = f"{_slug(rule)}_by_{_slug(y)}_and_{_slug(x)}"
    return picture.table_picture(
        0, source.of(_best_by(source.histories, [x, y])), lead, shows=shows, x=x, y=y, best="all"
    )


def _compared(rules: Mapping[str, Sequence[History]], chance: float, what: str, metrics: Sequence[str]) -> Picture:
    groups = {}
    for runs in best_first([configurations(of_rule)[0] for of_rule in rules.values()])[:MOST_CURVES]:
        rule = runs[0].optimizer
        (name,) = _names([runs[0]], varied(rules[rule]), configurations(rules[rule]))
        groups[f"{labels.optimizer(rule)}\n{name}"] = runs
    title = "The best configuration of each optimizer"
    lead = f"{title}, by its lowest validation loss."
    shows = f"{'' if what == 'loss' else f'{what}_'}best_of_each_optimizer"
    return picture.groups_picture(
        0, groups, lead, chance=chance, shows=shows, title=title, legend="optimizer", metrics=metrics
    )


def _names(histories: Sequence[History], axes: Sequence[str], among: Sequence[Sequence[History]]) -> list[str]:
    """The values of the axes of each run, with as many digits as tell those of all configurations apart."""
    texts = {}
    for name in axes:
        there = selection.values([runs[0] for runs in among], name)
        texts[name] = dict(zip(there, labels.numbers(there), strict=True))
    return [
        ", ".join(texts[name][float(selection.value_of(h, name))] for name in axes if name in h.hyperparameters)
        or labels.optimizer(h.optimizer)
        for h in histories
    ]


def _slug(name: str) -> str:
    """A name as a part of a file's; one that loses something by it, or that differs by case alone, gets a digest."""
    plain = re.sub(r"[^a-z0-9.]+", "_", name.lower()).strip("_")[:_LONGEST_SLUG]
    return plain if plain == name else f"{plain}_{hashlib.sha256(name.encode()).hexdigest()[:8]}".lstrip("_")


def _set_unit(figure: Figure, unit: str) -> None:
    for panel in figure.axes:
        label = panel.get_ylabel().replace(labels.LOSS_UNIT, unit).replace("loss (nats)", f"loss ({unit})")
        panel.set_ylabel(label)
