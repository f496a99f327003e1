"""The convergence ratio of two rules over a grid, as a table: the article's figure 25."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from jaxopt_study.history import History
from jaxopt_study.plots import labels, selection, style

CONVERGED = 0.95 * math.log(2)
"""A run has converged that got below this loss: a twentieth less than guessing between two classes."""
_COLOURS = {"faster": style.GOOD, "as fast": "#ffffff", "slower": style.BAD, "neither converged": style.NEITHER}
_SIGNS = {"faster": "\N{BLACK DOWN-POINTING TRIANGLE}", "slower": "\N{BLACK UP-POINTING TRIANGLE}", "as fast": "="}


class Ratio(NamedTuple):
    """How long one rule takes for what the other reaches in ``epochs``."""

    value: float
    """Median over the seeds; infinite where the loss is not reached, NaN where there is no pair of runs."""
    verdict: str
    """``faster``, ``slower``, ``as fast``, ``neither converged`` or ``not run``."""
    longest: float
    """Epochs trained, over ``epochs``: where the value is infinite it is at least this."""


def ratio(ours: Sequence[History], theirs: Sequence[History], curve: str, epochs: int) -> Ratio:
    """Epochs that ``ours`` needs to the loss ``theirs`` has after ``epochs``, over ``epochs``, seed by seed."""
    pairs = [(a, b) for a in ours for b in theirs if a.seed == b.seed]
    if not pairs:
        return Ratio(math.nan, "not run", math.nan)
    if all(_least(h, curve) > CONVERGED for pair in pairs for h in pair):
        return Ratio(math.nan, "neither converged", math.nan)
    found = float(np.median([_needed(a, _after(b, curve, epochs), curve) for a, b in pairs])) / epochs
    verdict = "faster" if found < 1 else "slower" if found > 1 else "as fast"
    return Ratio(found, verdict, max(a.epochs for a, _ in pairs) / epochs)


def _values(history: History, curve: str) -> np.ndarray:
    values = np.asarray(history.curves[curve], np.float64)
    return np.where(np.isfinite(values), values, np.inf)


def _least(history: History, curve: str) -> float:
    return float(_values(history, curve).min(initial=np.inf))


def _after(history: History, curve: str, epochs: int) -> float:
    values = _values(history, curve)[:epochs]
    return float(values[-1]) if values.size else math.inf


def _needed(history: History, target: float, curve: str) -> float:
    reached = np.flatnonzero(_values(history, curve) <= target)
    return float(reached[0] + 1) if reached.size else math.inf


def convergence_ratios(
    ours: Sequence[History],
    theirs: Sequence[History],
    *,
    x: str,
    y: str,
    epochs: int,
    curves: Sequence[str] = ("train_loss", "val_loss"),
    title: str = "",
) -> Figure:
    """The ratio over two hyperparameters, a panel a curve: green and a triangle down where ``ours`` is faster.

    Args:
        ours: runs of the rule that is judged.
        theirs: runs of the rule that it is judged against, with the same hyperparameters.
        x: hyperparameter of the columns; ``y``: of the rows.
        epochs: after which the losses of ``theirs`` are taken.
        curves: names of losses.
        title: of the figure.

    Raises:
        NotDrawable: if there are no runs of either, or runs of a cell differ in more than their seed.
    """
    here, there = selection.grouped(ours, (y, x)), selection.grouped(theirs, (y, x))
    if not set(here) & set(there):
        raise selection.NotDrawable("no two runs of the rules compared have the same hyperparameters and seed")
    across, down = (sorted({float(key[i]) for key in set(here) | set(there)}) for i in (1, 0))
    with style.applied():
        width, height = max(0.85 * len(across), 1.7), max(0.52 * len(down), 1.0)
        figure, axes = style.panels(len(curves), title, width=width, height=height, left=0.95, right=1.75)
        for panel, curve in zip(axes, curves, strict=True):
            for r, row in enumerate(down):
                for c, column in enumerate(across):
                    key = (row, column)
                    _cell(panel, (r, c), ratio(here.get(key, ()), there.get(key, ()), curve, epochs))
            style.table_axes(
                panel, across, down, labels.hyperparameter(x), labels.hyperparameter(y), labels.measure(curve)
            )
        _legend(figure, axes[-1])
    return figure


def counted(ours: Sequence[History], theirs: Sequence[History], *, x: str, y: str, epochs: int) -> str:
    """How many cells are faster, slower and so on, for the training and for the validation loss, in words."""
    here, there = selection.grouped(ours, (y, x)), selection.grouped(theirs, (y, x))
    told = []
    for curve in ("train_loss", "val_loss"):
        verdicts = Counter(ratio(runs, there.get(key, ()), curve, epochs).verdict for key, runs in here.items())
        told.append(f"{labels.measure(curve)}: " + ", ".join(f"{count} {word}" for word, count in verdicts.items()))
    return ". ".join(map(labels.sentence, told)) + "."


def _cell(axes: Axes, at: tuple[int, int], one: Ratio) -> None:
    r, c = at
    colour = _COLOURS.get(one.verdict, style.MISSING)
    axes.add_patch(Rectangle((c, r), 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5))
    head, foot = ratio_text(one)
    axes.text(c + 0.5, r + (0.4 if head else 0.5), head, ha="center", va="center")
    axes.text(c + 0.5, r + (0.75 if head else 0.5), foot, ha="center", va="center", fontsize=6.5, linespacing=1.1)


def ratio_text(one: Ratio) -> tuple[str, str]:
    """The large and the small line of a cell."""
    if one.verdict not in _SIGNS:
        return "", one.verdict.replace(" ", "\n")
    number = f"> {one.longest:.2g}" if math.isinf(one.value) else f"{one.value:.2f}"
    return f"{number} {_SIGNS[one.verdict]}", one.verdict


def _legend(figure: Figure, axes: Axes) -> None:
    names = {f"{word} {_SIGNS.get(word, '')}".strip(): colour for word, colour in _COLOURS.items()}
    handles = [
        Patch(facecolor=colour, edgecolor=style.MUTED, linewidth=0.6, label=name) for name, colour in names.items()
    ]
    box = axes.get_position()
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1 - 1.7 / figure.get_figwidth(), box.y1), handlelength=1.4
    )
