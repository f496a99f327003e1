"""The minimum loss against one hyperparameter."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    where: Mapping[str, float | str] | None = None,
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
        where: hyperparameters (or ``"optimizer"``) by their values; other runs are passed over.
        title: of the figure.
        ceiling: losses above it are cut off.

    Raises:
        NotDrawable: if no run is left, or runs would be averaged that differ in more than their seed.
    """
    groups = selection.grouped(selection.matching(histories, where or {}), (by,))
    places = np.array([float(key[0]) for key in groups])
    with style.applied():
        figure, (axes,) = style.panels(1, title, width=5.2, height=3.2, right=2.6)
        cells = {name: [seed_minima(runs, heatmaps.curve_of(name)) for runs in groups.values()] for name in values}
        for i, (name, own) in enumerate(cells.items()):
            _series(axes, places, own, name, _SERIES.get(name, style.named_look("", i)))
        ends = np.array([end for own in cells.values() for c in own for end in (c.low, c.high) if np.isfinite(end)])
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
        told = labels.listing(labels.number(places[i]) for i in best)
        axes.plot(
            places[best], mean[best], "o", markersize=12, markerfacecolor="none", markeredgecolor=style.BEST,
            markeredgewidth=1.8, label=f"its best: {labels.loss(mean[best[0]])} at {told}",
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
