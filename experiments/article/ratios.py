"""The article's convergence ratio, and a table of it over a grid in three colours: figure 25."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_study import plots
from jaxopt_study.analysis.best import halfway
from jaxopt_study.analysis.minima import epochs_to, losses
from jaxopt_study.analysis.runs import Runs
from jaxopt_study.plots import labels, selection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AFTER = 50
"""Epochs after which the article reads the loss to be reached."""

FASTER, SLOWER, SAME = "faster", "slower", "same"
NEITHER, TOO_SHORT = "neither converged", "too few epochs"


class Ratio(NamedTuple):
    """Epochs that a rule needs for what another reaches in a number of epochs, divided by that number.

    Attributes:
        ratio: below 1 is faster; infinite where the loss is never reached, NaN in the last two categories.
        category: ``faster``, ``slower``, ``same``, ``neither converged`` or ``too few epochs``.
    """

    ratio: float
    category: str


Table = Mapping[tuple[float, float], Mapping[int, Ratio]]
"""Ratios by (row, column), then by seed, as ``convergence_table`` gives them."""
_SIGNS = {FASTER: "\N{BLACK DOWN-POINTING TRIANGLE}", SLOWER: "\N{BLACK UP-POINTING TRIANGLE}", SAME: "="}


def convergence_ratio(
    reference: ArrayLike, other: ArrayLike, *, after: int = AFTER, converged_below: float = math.inf
) -> Ratio:
    """Epochs ``other`` needs for the loss that ``reference`` has after ``after`` epochs, divided by ``after``.

    Args:
        reference: losses ``[E]``. If it is not finite by then, any finite loss counts as reaching it.
        other: losses ``[E]``, of its own length.
        after: epochs of the reference.
        converged_below: a curve that ends finite and gets to this loss at any epoch has converged.
    """
    curves = [np.asarray(curve, np.float64) for curve in (reference, other)]
    if not any(_converged(curve, converged_below) for curve in curves):
        return Ratio(math.nan, NEITHER)
    if any(len(curve) < after and np.isfinite(curve[-1:]).all() for curve in curves):
        return Ratio(math.nan, TOO_SHORT)
    loss = curves[0][after - 1] if len(curves[0]) >= after else math.nan
    epoch = epochs_to(curves[1], loss if math.isfinite(loss) else np.finfo(np.float64).max)
    ratio = math.inf if epoch is None else epoch / after
    return Ratio(ratio, FASTER if ratio < 1 else SLOWER if ratio > 1 else SAME)


def _converged(curve: np.ndarray, below: float) -> bool:
    return len(curve) > 0 and bool(np.isfinite(curve[-1])) and epochs_to(curve, below) is not None


def convergence_table(
    runs: Runs, curve: str = "train_loss", *, after: int = AFTER
) -> dict[tuple[float, float], dict[int, Ratio]]:
    """Nesterov's convergence ratio at every rate and momentum above 0 that plain momentum has too, by seed."""
    below = halfway(runs, curve)
    table: dict[tuple[float, float], dict[int, Ratio]] = {}
    for cell in runs.family("momentum"):
        for twin in runs.family("nesterov", **cell.hyperparameters):
            table[cell.hyperparameters["learning_rate"], cell.hyperparameters["momentum"]] = {
                seed: convergence_ratio(
                    losses(history, curve), losses(twin.by_seed[seed], curve), after=after, converged_below=below
                )
                for seed, history in cell.by_seed.items()
                if seed in twin.by_seed
            }
    return table


class Summary(NamedTuple):
    """A cell over its seeds."""

    ratio: float
    """Median; infinite where the loss is not reached, NaN where there is no ratio."""
    category: str
    agree: int
    """Seeds of this category."""
    seeds: int


def summary(by_seed: Mapping[int, Ratio]) -> Summary:
    """The median of the ratios and what it means; where at least half the seeds have none, why."""
    having = [one.ratio for one in by_seed.values() if not math.isnan(one.ratio)]
    counts = Counter(one.category for one in by_seed.values())
    if not by_seed:
        return Summary(math.nan, "not run", 0, 0)
    if 2 * len(having) <= len(by_seed):
        category = max((NEITHER, TOO_SHORT), key=lambda name: counts[name])
        return Summary(math.nan, category, counts[category], len(by_seed))
    median = float(np.quantile(having, 0.5, method="higher"))
    category = FASTER if median < 1 else SLOWER if median > 1 else SAME
    return Summary(median, category, counts[category], len(by_seed))


def convergence_ratios(tables: Mapping[str, Table], *, title: str = "") -> Figure:
    """Ratios over momentum and rate, a panel a curve: green with a triangle down where Nesterov is faster.

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
                    _cell(panel, (r, c), summary(table.get((row, column), {})))
        _legend(figure, axes[-1])
    return figure


def _colours() -> Mapping[str, str]:
    style = plots.style
    return {FASTER: style.GOOD, SAME: "#ffffff", SLOWER: style.BAD, NEITHER: style.NEITHER, TOO_SHORT: style.MISSING}


def _cell(axes: Axes, at: tuple[int, int], one: Summary) -> None:
    from matplotlib.patches import Rectangle  # takes its time to import

    r, c = at
    colour = _colours().get(one.category, plots.style.MISSING)
    axes.add_patch(Rectangle((c, r), 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5))
    head, foot = cell_text(one)
    axes.text(c + 0.5, r + 0.4, head, ha="center", va="center")
    axes.text(c + 0.5, r + (0.75 if head else 0.5), foot, ha="center", va="center", fontsize=6.5, linespacing=1.1)


def cell_text(one: Summary) -> tuple[str, str]:
    """The large and the small line of a cell."""
    few = f"{one.agree} of {one.seeds} seeds" if one.agree < one.seeds else ""
    if one.category not in _SIGNS:
        return "", "\n".join(filter(None, (one.category.replace(" ", "\n", 1), few)))
    number = "never" if math.isinf(one.ratio) else f"{one.ratio:.2f}"
    return f"{number} {_SIGNS[one.category]}", few or one.category


def told(tables: Mapping[str, Table]) -> str:
    """How many cells are faster, slower and so on, curve by curve, in words."""
    parts = []
    for curve, table in tables.items():
        counts = Counter(summary(by_seed).category for by_seed in table.values())
        parts.append(f"{labels.measure(curve)}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    return ". ".join(map(labels.sentence, parts)) + "."


def _legend(figure: Figure, axes: Axes) -> None:
    from matplotlib.patches import Patch  # takes its time to import

    patch = functools.partial(Patch, edgecolor=plots.style.MUTED, linewidth=0.6)
    names = (FASTER, SAME, SLOWER, NEITHER)
    handles = [patch(facecolor=_colours()[name], label=f"{name} {_SIGNS.get(name, '')}") for name in names]
    anchor = (1 - 1.7 / figure.get_figwidth(), axes.get_position().y1)
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=anchor, handlelength=1.4)
