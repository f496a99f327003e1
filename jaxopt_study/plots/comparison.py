"""One number of each optimizer's best configuration, side by side."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxopt_study.plots import labels, style


class Bar(NamedTuple):
    """An optimizer's entry."""

    name: str
    """Of the optimizer in the registry, or any other text."""
    detail: str
    """Under the name, e.g. its hyperparameters."""
    seeds: Sequence[float]
    """A value a seed; NaN for a seed that has none."""


def bars(entries: Sequence[Bar], *, unit: str, whole: bool = False, title: str = "") -> Figure:
    """Bars from 0 to the mean over the seeds, a dot a seed; the lowest of those with a value for every seed is starred.

    Args:
        entries: from top to bottom.
        unit: label of the axis.
        whole: whether the values are whole numbers, such as epochs.
        title: of the figure.
    """
    means = [_mean(entry.seeds) for entry in entries]
    # A seed without a value is worse than any, so its optimizer cannot be the lowest.
    competing = [m if np.isfinite(entry.seeds).all() else np.inf for m, entry in zip(means, entries, strict=True)]
    with style.applied():
        figure, (axes,) = style.panels(1, title, width=4.9, height=0.46 * max(len(entries), 2), left=2.15, right=1.6)
        for row, (entry, mean) in enumerate(zip(entries, means, strict=True)):
            _bar(axes, row, entry, mean, whole, np.isfinite(competing[row]) and competing[row] == min(competing))
        axes.set_yticks(range(len(entries)), [_name(entry) for entry in entries], fontsize=8.5)
        axes.set_ylim(len(entries) - 0.5, -0.5)
        axes.set_xlim(0, 1.02 * max([v for e in entries for v in e.seeds if np.isfinite(v)], default=1.0))
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=whole, steps=[1, 2, 2.5, 5, 10]))
        axes.set_xlabel(unit)
    return figure


def told(entries: Sequence[Bar], whole: bool) -> str:
    """The bars in words."""
    return "; ".join(f"{labels.optimizer(e.name)} ({e.detail}) {_said(e, _mean(e.seeds), whole)}" for e in entries)


def _mean(seeds: Sequence[float]) -> float:
    finite = [v for v in seeds if np.isfinite(v)]
    return float(np.mean(finite)) if finite else float("nan")


def _name(entry: Bar) -> str:
    return "\n".join(filter(None, (labels.optimizer(entry.name), entry.detail)))


def _bar(axes: Axes, row: int, entry: Bar, mean: float, whole: bool, is_best: bool) -> None:
    finite = [v for v in entry.seeds if np.isfinite(v)]
    said = _said(entry, mean, whole) + (" \N{BLACK STAR}" if is_best else "")
    if finite:
        edge = style.BEST if is_best else style.MUTED
        axes.barh(row, mean, height=0.62, color="#c9d9e8", edgecolor=edge, linewidth=1.8 if is_best else 0.8)
    if len(finite) > 1:
        axes.plot(finite, [row] * len(finite), "o", color=style.INK, markersize=3.2, alpha=0.8)
    axes.text(
        1.02, row, said, transform=axes.get_yaxis_transform(), va="center", fontweight="bold" if is_best else "normal"
    )


def _said(entry: Bar, mean: float, whole: bool) -> str:
    missing = sum(not np.isfinite(v) for v in entry.seeds)
    if not np.isfinite(mean):
        return "none"
    text = f"{mean:.0f}" if whole else labels.loss(mean)
    return f"{text} ({missing} of {len(entry.seeds)} never)" if missing else text
