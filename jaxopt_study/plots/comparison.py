"""Numbers of configurations side by side: minimum losses against a hyperparameter, a bar for each optimizer's best."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxopt_study.analysis.best import best_places
from jaxopt_study.analysis.minima import seed_minima
from jaxopt_study.history import History
from jaxopt_study.plots import estimates, labels, selection, style

_LOOKS = {"train_loss": style.Look("#0072b2", (0, (5, 1.6)), "s"), "val_loss": style.Look("#000000", "-", "o")}


def minimum_by(histories: Sequence[History], *, by: str, title: str = "", chance: float = np.inf) -> Figure:
    """Minimum losses against a hyperparameter: means over the seeds, bars from the lowest to the highest of them.

    The best of each line is ringed. Crosses at the upper edge mark values at which runs diverged; those runs are
    not in the means. A dotted line is at ``chance``, the loss of guessing; losses far above it are cut off.

    Raises:
        NotDrawable: if no run is left, or runs would be averaged that differ in more than their seed.
    """
    groups = selection.grouped(selection.matching(histories, {}), (by,))
    places = np.array([float(key[0]) for key in groups])
    with style.applied():
        figure, (axes,) = style.panels(1, title, width=5.2, height=3.2, right=2.6)
        members = list(groups.values())
        ends = np.concatenate([_series(axes, places, members, curve, chance) for curve in labels.LOSSES])
        if ends.size:
            style.cut_note(axes, ends, style.scale(axes, ends, style.SHOWN_LOSS * chance))
        style.guessing_line(axes, chance)
        lost = [place for place, runs in zip(places, groups.values(), strict=True) if selection.diverged(runs)]
        estimates.crosses(axes, lost, "runs diverged here")
        estimates.positions(axes, places, labels.hyperparameter(by))
        if len(places) <= 10:
            axes.set_xticks(places, labels.numbers(places.tolist()))
            axes.minorticks_off()
        axes.set_ylabel(f"minimum loss\n({labels.LOSS_UNIT})")
        style.legend(figure, axes, "", width=2.55)
    return figure


def _series(
    axes: Axes, places: np.ndarray, groups: Sequence[Sequence[History]], curve: str, chance: float
) -> np.ndarray:
    """Draws the line of a loss and returns the finite ends of its bars."""
    cells = [seed_minima(runs, curve, chance) for runs in groups]
    estimates.marks(axes, places, cells, label=labels.minimum(curve), **_LOOKS[curve]._asdict())
    best = best_places(cells)
    if best:
        lowest = cells[best[0]].value
        texts = labels.numbers(places.tolist())
        where = labels.listing(texts[i] for i in best)
        axes.plot(
            places[best], np.full(len(best), lowest), "o", markersize=12, markerfacecolor="none",
            markeredgecolor=style.BEST, markeredgewidth=1.8, label=f"its best: {labels.loss(lowest)} at {where}",
        )  # fmt: skip
    return np.array([end for cell in cells for end in (cell.low, cell.high) if np.isfinite(end)])


class Bar(NamedTuple):
    """An optimizer's entry."""

    name: str
    """Of the optimizer in the registry, or any other text."""
    detail: str
    """Under the name, e.g. its hyperparameters."""
    seeds: Sequence[float]
    """A value a seed; NaN for a seed that has none."""

    @property
    def finite(self) -> list[float]:
        """The values of the seeds that have one."""
        return [value for value in self.seeds if np.isfinite(value)]

    def text(self, whole: bool) -> str:
        """Its mean, and how many seeds are not in it."""
        if not self.finite:
            return "none"
        mean = float(np.mean(self.finite))
        missing = len(self.seeds) - len(self.finite)
        never = f" ({missing} of {len(self.seeds)} never)" if missing else ""
        return (f"{mean:.0f}" if whole else labels.loss(mean)) + never


def bars(entries: Sequence[Bar], *, unit: str, whole: bool = False, title: str = "") -> Figure:
    """Bars from 0 to the mean over the seeds, a dot a seed; the lowest of those with a value for every seed is starred.

    ``whole`` numbers, such as epochs, are written without decimals; ``unit`` is the label of the axis.
    """
    # A seed without a value is worse than any, so its optimizer cannot be the lowest.
    competing = [np.mean(entry.seeds) for entry in entries if np.isfinite(entry.seeds).all()]
    with style.applied():
        figure, (axes,) = style.panels(1, title, width=4.9, height=0.46 * max(len(entries), 2), left=2.15, right=1.6)
        for row, entry in enumerate(entries):
            _bar(axes, row, entry, whole, bool(competing) and np.mean(entry.seeds) == min(competing))
        names = ["\n".join(filter(None, (labels.optimizer(entry.name), entry.detail))) for entry in entries]
        axes.set_label(style.ROWS)
        axes.set_yticks(range(len(entries)), names, fontsize=8.5)
        axes.set_ylim(len(entries) - 0.5, -0.5)
        axes.set_xlim(0, 1.02 * max([value for entry in entries for value in entry.finite], default=1.0))
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=whole, steps=[1, 2, 2.5, 5, 10]))
        axes.set_xlabel(unit)
    return figure


def told(entries: Sequence[Bar], whole: bool) -> str:
    """The bars in words."""
    return "; ".join(f"{labels.optimizer(entry.name)} ({entry.detail}) {entry.text(whole)}" for entry in entries)


def _bar(axes: Axes, row: int, entry: Bar, whole: bool, is_best: bool) -> None:
    if entry.finite:
        edge = style.BEST if is_best else style.MUTED
        mean = float(np.mean(entry.finite))
        axes.barh(row, mean, height=0.62, color="#c9d9e8", edgecolor=edge, linewidth=1.8 if is_best else 0.8)
    if len(entry.finite) > 1:
        axes.plot(entry.finite, [row] * len(entry.finite), "o", color=style.INK, markersize=3.2, alpha=0.8)
    text = entry.text(whole) + (style.STAR if is_best else "")
    weight = "bold" if is_best else "normal"
    axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), va="center", fontweight=weight)
