"""How far Nesterov momentum is ahead of plain momentum, and a table of it over a grid in colours: figure 25.

The article takes the epochs that Nesterov needs for the loss that plain momentum has after 50, over 50. That ratio
comes out below 1 for one rule twice: a curve that has flattened first touches one noisy value of another curve early.
Here both rules are measured in one way: the gain is the logarithm of plain momentum's loss over Nesterov's, and turns
its sign where they change places.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.article.parts import early
from jaxopt_study import plots
from jaxopt_study.analysis.best import halfway
from jaxopt_study.analysis.intervals import Estimate, paired_differences, seed_estimate
from jaxopt_study.analysis.minima import minimum
from jaxopt_study.analysis.moderated import Prior, prior_of
from jaxopt_study.analysis.runs import Cell, Runs
from jaxopt_study.analysis.speed import losses
from jaxopt_study.history import History, remembered
from jaxopt_study.plots import labels, selection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AFTER = 50
"""Epochs after which the article compares the losses."""

FASTER, SLOWER, SAME, ONE_SEED = "faster", "slower", "not told apart", "one seed"
NEITHER = "neither converged"
_SIGNS = {
    FASTER: "\N{BLACK DOWN-POINTING TRIANGLE}",
    SLOWER: "\N{BLACK UP-POINTING TRIANGLE}",
    SAME: "=",
    ONE_SEED: "?",
}


class Gain(NamedTuple):
    """A configuration that both rules have.

    Attributes:
        rate: the learning rate.
        momentum: above 0; at 0 both are plain SGD.
        gains: by seed, the logarithm of plain momentum's loss over Nesterov's; above 0 where Nesterov is ahead.
        oscillation: by seed, of plain momentum: share of the weights whose update changes its sign from step to step.
        converged: whether one of the rules got, in the mean over its seeds, halfway from guessing to the study's best.
    """

    rate: float
    momentum: float
    gains: Mapping[int, float]
    oscillation: Mapping[int, float]
    converged: bool

    @property
    def estimate(self) -> Estimate:
        """The mean gain over the seeds."""
        return self.moderated(None)

    def moderated(self, prior: Prior | None) -> Estimate:
        """The mean gain over the seeds, with what other configurations say of how far seeds lie apart."""
        return seed_estimate(self.gains, prior=prior)


def compared_after(runs: Runs) -> int:
    """The epoch at which losses are compared: the article's 50, or the last one that any run of both rules has."""
    cells = [cell for rule in ("momentum", "nesterov") for cell in runs.cells(rule)]
    longest = max((history.epochs for cell in cells for history in cell.histories), default=0)
    return min(AFTER, longest)


@functools.lru_cache(maxsize=8)
def gains(runs: Runs, curve: str = "train_loss", *, averaged: bool = False) -> tuple[Gain, ...]:
    """The gain of every rate and momentum above 0 that both rules have, by ascending rate and momentum.

    Of a run that ended before :func:`compared_after` the last loss counts; a loss that is not finite, or above that of
    guessing, counts as that of guessing. With ``averaged`` the mean of the logarithms over all epochs up to that one is
    taken: how far ahead a rule is on the way, which varies less from seed to seed.
    """
    epoch = compared_after(runs)

    def log_loss(history: History) -> float:
        return _log_loss(history, curve, epoch, runs.chance, averaged)

    return tuple(
        Gain(
            plain.hyperparameters["learning_rate"],
            plain.hyperparameters["momentum"],
            paired_differences(plain.measured(log_loss), nesterov.measured(log_loss)),
            plain.measured(functools.partial(early, curve="oscillation", epochs=epoch)),
            any(_converged(runs, cell, curve) for cell in (plain, nesterov)),
        )
        for plain in runs.family("momentum")
        for nesterov in runs.family("nesterov", **plain.hyperparameters)
        if plain.hyperparameters.keys() == nesterov.hyperparameters.keys() == {"learning_rate", "momentum"}
    )


@remembered
def _log_loss(history: History, curve: str, epoch: int, chance: float, averaged: bool) -> float:
    values = losses(history, curve)[:epoch]
    if len(values) < epoch:
        values = np.pad(values, (0, epoch - len(values)), mode="edge")
    values = np.where(np.isfinite(values), np.clip(values, np.finfo(np.float32).tiny, chance), chance)
    return float(np.log(values if averaged else values[-1]).mean())


def _converged(runs: Runs, cell: Cell, curve: str) -> bool:
    reached = [_reached(history, curve) for history in cell.histories]
    return bool(np.nan_to_num(reached, nan=runs.chance).mean() <= halfway(runs, curve))


@remembered
def _reached(history: History, curve: str) -> float:
    return minimum(losses(history, curve)).value


# The figure.


class Shown(NamedTuple):
    """A cell of the table.

    Attributes:
        ratio: Nesterov's loss over plain momentum's, the geometric mean over epochs and seeds.
        category: ``faster`` or ``slower`` where the 95% interval of the gain says so, else why not.
    """

    ratio: float
    category: str


def shown(compared: Sequence[Gain]) -> dict[tuple[float, float], Shown]:
    """What the figure says of each configuration, by rate and momentum."""
    learning = [gain for gain in compared if gain.converged and gain.gains]
    seeds = sorted(set.intersection(*(set(gain.gains) for gain in learning))) if learning else []
    prior = prior_of([gain.gains for gain in learning], seeds)
    return {(gain.rate, gain.momentum): _shown(gain, prior) for gain in compared if gain.gains}


def _shown(gain: Gain, prior: Prior | None) -> Shown:
    if not gain.converged:
        return Shown(math.nan, NEITHER)
    mean = gain.moderated(prior)
    category = FASTER if mean.low > 0 else SLOWER if mean.high < 0 else ONE_SEED if mean.seeds == 1 else SAME
    return Shown(math.exp(-mean.value), category)


Table = Mapping[tuple[float, float], Shown]


def gain_table(tables: Mapping[str, Table], *, title: str = "") -> Figure:
    """Loss ratios over momentum and rate, a panel a curve: green with a triangle down where Nesterov is faster.

    Raises:
        NotDrawable: if all tables, which are by the name of the curve, are empty.
    """
    keys = {key for table in tables.values() for key in table}
    if not keys:
        raise selection.NotDrawable("no two runs of the rules compared have the same hyperparameters and seed")
    down, across = (sorted({key[i] for key in keys}) for i in (0, 1))
    names = labels.hyperparameter("momentum"), labels.hyperparameter("learning_rate")
    with plots.style.applied():
        width, height = max(0.85 * len(across), 1.7), max(0.52 * len(down), 1.1)
        figure, axes = plots.style.panels(len(tables), title, width=width, height=height, right=1.75)
        for panel, (curve, table) in zip(axes, tables.items(), strict=True):
            plots.style.table_axes(panel, across, down, *names, labels.measure(curve))
            for r, row in enumerate(down):
                for c, column in enumerate(across):
                    _cell(panel, (r, c), table.get((row, column), Shown(math.nan, "not run")))
        _legend(figure, axes[-1])
    return figure


def _colours() -> Mapping[str, str]:
    style = plots.style
    return {FASTER: style.GOOD, SAME: "#ffffff", ONE_SEED: "#ffffff", SLOWER: style.BAD, NEITHER: style.NEITHER}


def _cell(axes: Axes, at: tuple[int, int], one: Shown) -> None:
    from matplotlib.patches import Rectangle  # takes its time to import

    r, c = at
    colour = _colours().get(one.category, plots.style.MISSING)
    axes.add_patch(Rectangle((c, r), 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5))
    head, foot = cell_text(one)
    axes.text(c + 0.5, r + 0.4, head, ha="center", va="center")
    second = axes.text(c + 0.5, r + (0.75 if head else 0.5), foot, ha="center", va="center", fontsize=6.5)
    second.set(linespacing=1.1, label=plots.style.SMALL)


def cell_text(one: Shown) -> tuple[str, str]:
    """The large and the small line of a cell."""
    if one.category not in _SIGNS:
        return "", one.category.replace(" ", "\n", 1)
    return f"{one.ratio:.2f} {_SIGNS[one.category]}", one.category


def told(tables: Mapping[str, Table]) -> str:
    """How many cells are faster, slower and so on, curve by curve, in words."""
    parts = []
    for curve, table in tables.items():
        counts = Counter(one.category for one in table.values())
        parts.append(f"{labels.measure(curve)}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    return ". ".join(map(labels.sentence, parts)) + "."


def _legend(figure: Figure, axes: Axes) -> None:
    from matplotlib.patches import Patch  # takes its time to import

    patch = functools.partial(Patch, edgecolor=plots.style.MUTED, linewidth=0.6)
    names = (FASTER, SAME, SLOWER, NEITHER)
    handles = [patch(facecolor=_colours()[name], label=f"{name} {_SIGNS.get(name, '')}") for name in names]
    anchor = (1 - 1.7 / figure.get_figwidth(), axes.get_position().y1)
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=anchor, handlelength=1.4)
