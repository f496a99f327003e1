"""Numbers of configurations side by side: minimum losses against a hyperparameter, a bar for each optimizer's best."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxopt_study.analysis import Minima, best_places, seed_minima
from jaxopt_study.history import History
from jaxopt_study.plots import heatmaps, labels, selection, style

_SERIES = {
    "min_train_loss": style.Look("#0072b2", (0, (5, 1.6)), "s"),
    "min_val_loss": style.Look("#000000", "-", "o"),
}


def minimum_by(
    histories: Sequence[History],
    *,
    by: str,
    values: Sequence[str] = ("min_train_loss", "min_val_loss"),
    title: str = "",
    ceiling: float = np.inf,
) -> Figure:
    """Minimum losses against a hyperparameter: means over the seeds, bars from the lowest to the highest of them.

    The best of each line is ringed. Crosses at the upper edge mark values at which runs diverged; those runs are
    not in the means.

    Args:
        histories: the runs.
        by: the hyperparameter.
        values: a line each, as in ``heat_map``.
        title: of the figure.
        ceiling: losses above it are cut off.

    Raises:
        NotDrawable: if no run is left, or runs would be averaged that differ in more than their seed.
    """
    groups = selection.grouped(selection.matching(histories, {}), (by,))
    places = np.array([float(key[0]) for key in groups])
    with style.applied():
        figure, (axes,) = style.panels(1, title, width=5.2, height=3.2, right=2.6)
        cells = {name: [seed_minima(runs, heatmaps.curve_of(name)) for runs in groups.values()] for name in values}
        for i, (name, of_value) in enumerate(cells.items()):
            _series(axes, places, of_value, name, _SERIES.get(name, style.named_look("", i)))
        ends = np.array(
            [end for of_value in cells.values() for c in of_value for end in (c.low, c.high) if np.isfinite(end)]
        )
        if ends.size:
            style.cut_note(axes, ends, style.scale(axes, ends, ceiling))
        _diverged(axes, places, list(groups.values()))
        _scales(axes, places, by)
        style.legend(figure, axes, "", width=2.55)
    return figure


def _series(axes: Axes, places: np.ndarray, cells: Sequence[Minima], name: str, look: style.Look) -> None:
    mean, low, high = (np.array([getattr(c, part) for c in cells]) for part in ("value", "low", "high"))
    axes.plot(places, mean, label=labels.measure(name), **look._asdict())
    if np.any(high > low):
        axes.vlines(places, low, high, color=look.color, linewidth=1.1)
    best = best_places(cells)
    if best:
        where = labels.listing(labels.number(places[i]) for i in best)
        axes.plot(
            places[best], mean[best], "o", markersize=12, markerfacecolor="none", markeredgecolor=style.BEST,
            markeredgewidth=1.8, label=f"its best: {labels.loss(mean[best[0]])} at {where}",
        )  # fmt: skip


def _diverged(axes: Axes, places: np.ndarray, groups: Sequence[Sequence[History]]) -> None:
    lost = [bool(selection.diverged(runs)) for runs in groups]
    if any(lost):
        axes.plot(
            places[lost], np.full(sum(lost), 0.97), "x", color=style.INK, markersize=7, markeredgewidth=1.8,
            transform=axes.get_xaxis_transform(), label="runs diverged here",
        )  # fmt: skip


def _scales(axes: Axes, places: np.ndarray, by: str) -> None:
    if places[0] > 0 and places[-1] > style.LOG_FROM * places[0]:
        style.log_axis(axes, "x", places[0], places[-1])
        axes.set_xlim(places[0] / 1.3, places[-1] * 1.3)
    if len(places) <= 10:
        axes.set_xticks(places, [labels.number(v) for v in places])
        axes.minorticks_off()
    axes.set_xlabel(labels.hyperparameter(by))
    axes.set_ylabel(f"minimum loss\n({labels.LOSS_UNIT})")


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
