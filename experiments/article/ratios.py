"""Convergence ratios over a grid, as a table in three colours: the article's figure 25."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxopt_study import plots
from jaxopt_study.analysis.speed import FASTER, NEITHER, SAME, SLOWER, TOO_SHORT, Ratio
from jaxopt_study.plots import labels, selection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = Mapping[tuple[float, float], Mapping[int, Ratio]]
"""Ratios by (row, column), then by seed, as ``analysis.convergence_table`` gives them."""
_SIGNS = {FASTER: "\N{BLACK DOWN-POINTING TRIANGLE}", SLOWER: "\N{BLACK UP-POINTING TRIANGLE}", SAME: "="}


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


def convergence_ratios(tables: Mapping[str, Table], *, x: str, y: str, title: str = "") -> Figure:
    """Ratios over two hyperparameters, a panel a curve: green with a triangle down where the rule is faster.

    Args:
        tables: by the name of the curve.
        x: hyperparameter of the columns; ``y``: of the rows.
        title: of the figure.

    Raises:
        NotDrawable: if all tables are empty.
    """
    keys = {key for table in tables.values() for key in table}
    if not keys:
        raise selection.NotDrawable("no two runs of the rules compared have the same hyperparameters and seed")
    down, across = (sorted({key[i] for key in keys}) for i in (0, 1))
    names = labels.hyperparameter(x), labels.hyperparameter(y)
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

    handles = [
        Patch(
            facecolor=_colours()[name],
            edgecolor=plots.style.MUTED,
            linewidth=0.6,
            label=f"{name} {_SIGNS.get(name, '')}",
        )
        for name in (FASTER, SAME, SLOWER, NEITHER)
    ]
    anchor = (1 - 1.7 / figure.get_figwidth(), axes.get_position().y1)
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=anchor, handlelength=1.4)
