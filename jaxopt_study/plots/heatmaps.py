"""Tables in colour: minimum losses over two hyperparameters, with their numbers in each cell."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from jaxopt_study.analysis.best import best_places
from jaxopt_study.analysis.minima import Minima, seed_minima
from jaxopt_study.history import History
from jaxopt_study.plots import labels, selection, style

SMALL = 0.75
"""Where cells are drawn smaller than this share of their full size, the line with the range is left out."""


def table(histories: Sequence[History], *, x: str, y: str, curve: str, chance: float = np.inf) -> list[list[Minima]]:
    """Cells ``[y][x]`` over all values of the two hyperparameters, ascending."""
    groups = selection.grouped(histories, (y, x))
    columns = selection.values(histories, x)
    return [
        [seed_minima(groups.get((row, column), ()), curve, chance) for column in columns]
        for row in selection.values(histories, y)
    ]


def heat_map(
    histories: Sequence[History], *, x: str, y: str, best: str = "row", title: str = "", chance: float = np.inf
) -> Figure:
    """Minimum losses over two hyperparameters, a panel a loss, all on one scale of colours.

    A cell gives the mean over the seeds and, below it, their range. The best of each row is framed and starred.
    Diverged cells are hatched and name the epoch, those with a run that is worse than guessing are dotted; cells that
    were not run stay empty and say so.

    Args:
        histories: runs of one rule.
        x: hyperparameter of the columns; ``y``: of the rows.
        best: ``"row"`` or ``"all"``: among which cells the best is marked.
        title: of the figure.
        chance: the loss of guessing; all values above it have the last colour.

    Raises:
        NotDrawable: if there are no runs or they differ in more than ``x``, ``y`` and their seed.
    """
    selection.matching(histories, {})
    tables = {curve: table(histories, x=x, y=y, curve=curve, chance=chance) for curve in labels.LOSSES}
    shown = np.array([cell.value for cells in tables.values() for row in cells for cell in row])
    norm = _norm(shown[np.isfinite(shown)], chance)
    colours = ScalarMappable(norm, colormaps[style.HEAT].with_extremes(bad=style.MISSING))
    across, down = selection.values(histories, x), selection.values(histories, y)
    with style.applied():
        width, height = min(max(0.78 * len(across), 1.5), 9.0), min(max(0.52 * len(down), 0.9), 9.0)
        scale = min(1.0, width / (0.78 * len(across)), height / (0.52 * len(down)))
        figure, axes = style.panels(len(tables), title, width=width, height=height, right=1.3)
        for panel, (curve, cells) in zip(axes, tables.items(), strict=True):
            chosen = _best(cells, best)
            for r, row in enumerate(cells):
                for c, cell in enumerate(row):
                    _cell(panel, (r, c), cell, colours, (r, c) in chosen, scale)
            names = labels.hyperparameter(x), labels.hyperparameter(y)
            style.table_axes(panel, across, down, *names, labels.minimum(curve))
        if np.isfinite(shown).any():
            _colour_bar(figure, axes[-1], colours, beyond=bool((shown > float(norm.vmax or 0.0)).any()))
    return figure


def _norm(values: np.ndarray, ceiling: float) -> Normalize:
    low = float(values.min(initial=np.inf)) if values.size else 0.0
    high = min(float(values.max(initial=-np.inf)), max(ceiling, low)) if values.size else 1.0
    if 0 < style.LOG_FROM * low < high:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + max(abs(low), 1.0) * 1e-3)


def _best(cells: list[list[Minima]], among: str) -> set[tuple[int, int]]:
    if among == "row":
        return {(r, c) for r, row in enumerate(cells) for c in best_places(row)}
    return {divmod(i, len(cells[0])) for i in best_places([cell for row in cells for cell in row])}


def _cell(axes: Axes, at: tuple[int, int], cell: Minima, colours: ScalarMappable, is_best: bool, scale: float) -> None:
    r, c = at
    colour = tuple(map(float, colours.to_rgba(np.array(cell.value))))
    hatch = "////" if cell.diverged else "..." if cell.worse else None
    axes.add_patch(Rectangle((c, r), 1, 1, facecolor=colour, edgecolor="white", hatch=hatch))
    if is_best:
        axes.add_patch(Rectangle((c + 0.04, r + 0.05), 0.92, 0.9, fill=False, edgecolor=style.BEST, linewidth=2.2))
    head, foot = cell_text(cell, is_best)
    foot = foot if scale > SMALL or not head else ""
    bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 0.5
    look: dict[str, Any] = {"ha": "center", "va": "center", "color": style.INK if bright else "white"}
    if hatch:
        look["bbox"] = {"facecolor": colour, "edgecolor": "none", "pad": 0.6}
    weight = "bold" if is_best else "normal"
    axes.text(c + 0.5, r + (0.4 if foot else 0.5), head, fontsize=8.5 * scale, fontweight=weight, **look)
    if foot:
        axes.text(c + 0.5, r + 0.75, foot, fontsize=6.2 * scale, label=style.SMALL, **look)


def cell_text(cell: Minima, is_best: bool = False) -> tuple[str, str]:
    """The large and the small line of a cell."""
    when = labels.spread(e for e in cell.diverged if e) if any(cell.diverged) else ""
    if not cell.runs:
        return "", "not run"
    if not np.isfinite(cell.value):
        return ("diverged", f"epoch {when}" if when else "") if cell.diverged else ("", "no value")
    head = labels.loss(cell.value) + (style.STAR if is_best else "")
    if cell.diverged:
        return head, f"{len(cell.diverged)} of {cell.runs} diverged"
    return head, f"{labels.loss(cell.low)}\N{EN DASH}{labels.loss(cell.high)}" if cell.high > cell.low else ""


def _colour_bar(figure: Figure, axes: Axes, colours: ScalarMappable, *, beyond: bool) -> None:
    box, width = axes.get_position(), figure.get_figwidth()
    bar_axes = figure.add_axes((box.x1 + 0.14 / width, box.y0, 0.14 / width, box.height), label=style.COLOURS)
    ticks = LogLocator(subs=(1.0, 2.0, 5.0)) if isinstance(colours.norm, LogNorm) else None
    bar = figure.colorbar(colours, cax=bar_axes, ticks=ticks)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: labels.number(value)))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.ax.yaxis.set_minor_locator(NullLocator())
    # In two lines: a grid of few rows is not as high as one is long.
    top = labels.number(colours.get_clim()[1] or 0.0)
    bar.set_label("loss (nats)" + (f",\n{top} or more at the top" if beyond else ""))
    bar.outline.set_visible(False)
