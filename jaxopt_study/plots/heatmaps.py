"""Tables in colour: a value over two hyperparameters, with its number in each cell."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from jaxopt_study.analysis import Minima, best_places, seed_minima
from jaxopt_study.history import History
from jaxopt_study.plots import labels, selection, style

SMALL = 0.75
"""Where cells are drawn smaller than this share of their full size, the line with the range is left out."""


def table(histories: Sequence[History], *, x: str, y: str, value: str) -> list[list[Minima]]:
    """Cells ``[y][x]`` over all values of the two hyperparameters, ascending."""
    groups = selection.grouped(histories, (y, x))
    columns = selection.values(histories, x)
    return [
        [seed_minima(groups.get((row, column), ()), curve_of(value)) for column in columns]
        for row in selection.values(histories, y)
    ]


def curve_of(value: str) -> str:
    """``val_loss`` of ``min_val_loss``."""
    return value.removeprefix("min_")


def heat_map(
    histories: Sequence[History],
    *,
    x: str,
    y: str,
    value: str | Sequence[str] = ("min_train_loss", "min_val_loss"),
    best: str = "row",
    title: str = "",
    ceiling: float = np.inf,
) -> Figure:
    """A value over two hyperparameters, a panel a value, all on one scale of colours.

    A cell gives the mean over the seeds and, below it, their range. The best of each row is framed and starred.
    Diverged cells are hatched and name the epoch; cells that were not run stay empty and say so.

    Args:
        histories: runs of one rule.
        x: hyperparameter of the columns; ``y``: of the rows.
        value: ``min_train_loss``, ``min_val_loss``, or another curve's name with ``min_`` before it; one or several.
        best: ``"row"``, ``"column"``, ``"all"`` or ``"none"``: among which cells the best is marked.
        title: of the figure.
        ceiling: all values above it have the last colour; the loss of guessing is a good choice.

    Raises:
        NotDrawable: if there are no runs or they differ in more than ``x``, ``y`` and their seed.
    """
    names = (value,) if isinstance(value, str) else tuple(value)
    selection.matching(histories, {})
    tables = [table(histories, x=x, y=y, value=name) for name in names]
    shown = np.array([c.value for one in tables for row in one for c in row])
    norm = _norm(shown[np.isfinite(shown)], ceiling)
    across, down = selection.values(histories, x), selection.values(histories, y)
    with style.applied():
        width, height = min(max(0.78 * len(across), 1.5), 9.0), min(max(0.52 * len(down), 0.9), 9.0)
        scale = min(1.0, width / (0.78 * len(across)), height / (0.52 * len(down)))
        figure, axes = style.panels(len(names), title, width=width, height=height, right=1.3)
        for panel, name, cells in zip(axes, names, tables, strict=True):
            _draw(panel, cells, norm, best, scale)
            style.table_axes(
                panel, across, down, labels.hyperparameter(x), labels.hyperparameter(y), labels.measure(name)
            )
        if np.isfinite(shown).any():
            _colour_bar(figure, axes[-1], norm, beyond=bool((shown > float(norm.vmax or 0.0)).any()))
    return figure


def _norm(values: np.ndarray, ceiling: float) -> Normalize:
    low = float(values.min(initial=np.inf)) if values.size else 0.0
    high = min(float(values.max(initial=-np.inf)), max(ceiling, low)) if values.size else 1.0
    if 0 < style.LOG_FROM * low < high:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + max(abs(low), 1.0) * 1e-3)


def _draw(axes: Axes, cells: list[list[Minima]], norm: Normalize, best: str, scale: float) -> None:
    chosen = _best(cells, best)
    for r, row in enumerate(cells):
        for c, one in enumerate(row):
            _cell(axes, (r, c), one, norm, (r, c) in chosen, scale)


def _best(cells: list[list[Minima]], among: str) -> set[tuple[int, int]]:
    if among == "row":
        return {(r, c) for r, row in enumerate(cells) for c in best_places(row)}
    if among == "column":
        return {(r, c) for c, column in enumerate(zip(*cells, strict=True)) for r in best_places(column)}
    if among == "all":
        return {divmod(i, len(cells[0])) for i in best_places([one for row in cells for one in row])}
    return set()


def _cell(axes: Axes, at: tuple[int, int], one: Minima, norm: Normalize, is_best: bool, scale: float) -> None:
    r, c = at
    colour = colormaps[style.HEAT](float(norm(one.value))) if np.isfinite(one.value) else style.MISSING
    axes.add_patch(Rectangle((c, r), 1, 1, facecolor=colour, edgecolor="white", hatch="////" if one.diverged else None))
    if is_best:
        axes.add_patch(Rectangle((c + 0.04, r + 0.05), 0.92, 0.9, fill=False, edgecolor=style.BEST, linewidth=2.2))
    head, foot = cell_text(one, is_best)
    foot = foot if scale > SMALL or not head else ""
    ink = _ink(colour)
    back = {"facecolor": colour, "edgecolor": "none", "pad": 0.6} if one.diverged else None
    axes.text(
        c + 0.5, r + (0.4 if foot else 0.5), head, ha="center", va="center", color=ink, bbox=back,
        fontsize=8.5 * scale, fontweight="bold" if is_best else "normal",
    )  # fmt: skip
    if foot:
        axes.text(c + 0.5, r + 0.75, foot, ha="center", va="center", color=ink, bbox=back, fontsize=6.2 * scale)


def cell_text(one: Minima, is_best: bool = False) -> tuple[str, str]:
    """The large and the small line of a cell."""
    when = labels.spread(e for e in one.diverged if e) if any(one.diverged) else ""
    if not one.runs:
        return "", "not run"
    if not np.isfinite(one.value):
        return ("diverged", f"epoch {when}" if when else "") if one.diverged else ("", "no value")
    head = labels.loss(one.value) + (" \N{BLACK STAR}" if is_best else "")
    if one.diverged:
        return head, f"{len(one.diverged)} of {one.runs} diverged"
    return head, f"{labels.loss(one.low)}\N{EN DASH}{labels.loss(one.high)}" if one.high > one.low else ""


def _ink(colour: str | tuple[float, float, float, float]) -> str:
    if isinstance(colour, str):
        return style.INK
    return style.INK if 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 0.5 else "white"


def _colour_bar(figure: Figure, axes: Axes, norm: Normalize, *, beyond: bool) -> None:
    box, width = axes.get_position(), figure.get_figwidth()
    bar_axes = figure.add_axes((box.x1 + 0.14 / width, box.y0, 0.14 / width, box.height))
    ticks = LogLocator(subs=(1.0, 2.0, 5.0)) if isinstance(norm, LogNorm) else None
    bar = figure.colorbar(ScalarMappable(norm, style.HEAT), cax=bar_axes, ticks=ticks)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: labels.number(value)))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.ax.yaxis.set_minor_locator(NullLocator())
    # In two lines: a grid of few rows is not as high as one is long.
    bar.set_label("loss (nats)" + (f",\n{labels.number(float(norm.vmax or 0.0))} or more at the top" if beyond else ""))
    bar.outline.set_visible(False)
