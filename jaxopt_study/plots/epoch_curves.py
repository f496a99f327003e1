"""Curves over the epochs, one line a configuration, with a band over its seeds."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxopt_study.analysis.guessing import WORSE, count_worse
from jaxopt_study.history import History
from jaxopt_study.plots import labels, selection, style

CLIP = 10.0
"""A curve is cut off above this multiple of the 95th percentile, so that one spike does not flatten the rest."""
LONG = 300
"""Epochs from which lines are thinner, as the noise of single epochs would make them a smear."""
SHARES = ("oscillation", "val_accuracy")
"""Measures between 0 and 1, always on a linear axis."""


class Band(NamedTuple):
    """A curve over the seeds: arrays ``[E]``, NaN where no seed has a finite value."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    complete: np.ndarray
    """bool: whether every seed has a finite value."""


def band(histories: Sequence[History], metric: str) -> Band:
    """Mean, minimum and maximum over the seeds that are still training and finite, epoch by epoch.

    Arrays are ``[0]`` where there is no run.
    """
    rows = [np.asarray(h.curves.get(metric, ()), np.float64) for h in histories]
    stack = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for i, row in enumerate(rows):
        stack[i, : len(row)] = row
    if not stack.size:
        empty = np.zeros(stack.shape[1])
        return Band(empty, empty, empty, empty.astype(bool))
    finite = np.ma.masked_invalid(stack)
    mean, low, high = (np.ma.filled(x, np.nan) for x in (finite.mean(axis=0), finite.min(axis=0), finite.max(axis=0)))
    return Band(mean, low, high, np.isfinite(stack).all(axis=0))


def lines(
    groups: Mapping[str, Sequence[History]],
    metrics: Sequence[str] = labels.LOSSES,
    *,
    legend: str = "",
    title: str = "",
    looks: Sequence[style.Look] | None = None,
    events: Sequence[float] = (),
    chance: float = np.inf,
    rest: Sequence[Sequence[History]] = (),
) -> Figure:
    """A line a configuration: the mean over its seeds, with a band from minimum to maximum.

    Where a seed has stopped the line goes on thinner, as the mean of the rest. Runs that diverged are left out of the
    mean and drawn by themselves as thin lines; a cross at the upper edge marks the epoch.

    Args:
        groups: the runs of each configuration by the text of the legend.
        metrics: names of curves, a panel each; panels of losses share one scale.
        legend: its heading.
        title: of the figure.
        looks: one a group.
        events: epochs that a dotted vertical line marks.
        chance: the loss of guessing, where a dotted line is; losses far above it are cut off.
        rest: further configurations, whose means are drawn thin and grey and have no place in the legend.
    """
    chosen = looks or list(style.looks(groups).values())
    with style.applied():
        figure, axes = style.panels(len(metrics), title)
        drawn = {
            metric: _panel(panel, groups, metric, chosen, chance) for panel, metric in zip(axes, metrics, strict=True)
        }
        losses = [metric for metric in metrics if metric.endswith("_loss")]
        for panel, (metric, values) in zip(axes, drawn.items(), strict=True):
            is_loss = metric in losses
            shared = np.concatenate([drawn[loss] for loss in losses]) if is_loss else values
            ceiling = style.SHOWN_LOSS * chance if is_loss else np.inf
            _limits(panel, values, shared, ceiling, may_be_log=metric not in SHARES)
            if is_loss:
                style.guessing_line(panel, chance)
            for runs in rest:
                mean = band([h for h in runs if h.status != "diverged"], metric).mean
                epochs = _measured(mean)
                panel.plot(epochs, mean[epochs - 1], color="#b8b8b8", linewidth=0.6, zorder=0.5)
            for event in events:
                panel.axvline(event, color=style.MUTED, linewidth=0.7, linestyle=":", zorder=0)
        style.legend(figure, axes[-1], legend)
    return figure


def _panel(
    axes: Axes, groups: Mapping[str, Sequence[History]], metric: str, looks: Sequence[style.Look], chance: float
) -> np.ndarray:
    """Draws a panel and returns all values that are in it."""
    drawn = []
    for i, (name, members) in enumerate(groups.items()):
        lost = [h for h in members if h.status == "diverged"]
        one = band([h for h in members if h.status != "diverged"], metric)
        _line(axes, one, looks[i], _label(name, members, chance), (i, len(groups)))
        alone = [_lost(axes, h, metric, looks[i], 0.985 - 0.035 * (i % 6)) for h in lost]
        drawn += [one.low, one.high, *alone]
    style.epochs_axis(axes, max((h.epochs for members in groups.values() for h in members), default=1) or 1)
    axes.set_ylabel(labels.axis(metric))
    return np.concatenate(drawn)


def _label(name: str, members: Sequence[History], chance: float) -> str:
    name = "\n".join(textwrap.fill(line, 22) for line in name.split("\n"))
    counts = {" (": len(selection.diverged(members)), "\n(": count_worse(members, chance)}
    words = zip(counts.items(), ("diverged", WORSE), strict=True)
    told = [
        f"{before}{word})" if count == len(members) else f"{before}{count} of {len(members)} {word})"
        for (before, count), word in words
        if count
    ]
    return name + "".join(text.replace("worse than", "worse\nthan") if " of " in text else text for text in told)


def _line(axes: Axes, one: Band, look: style.Look, label: str, place: tuple[int, int]) -> None:
    epochs = _measured(one.mean)
    one = Band(*(curve[epochs - 1] for curve in one))
    every = max(1, len(epochs) // 8)
    whole = np.where(one.complete, one.mean, np.nan)
    marks = (place[0] * every // place[1], every)
    width = 1.6 if len(epochs) <= LONG else 1.0
    axes.plot(epochs, whole, markevery=marks, label=label, linewidth=width, **look._asdict())
    if not one.complete.all():
        # One epoch of overlap, or the thin part would begin after a gap.
        rest = ~one.complete | np.append(~one.complete[1:], False)
        thin = np.where(rest, one.mean, np.nan)
        axes.plot(epochs, thin, linewidth=0.6, **look._replace(marker="")._asdict())
    if np.any(one.high > one.low):
        axes.fill_between(epochs, one.low, one.high, color=look.color, alpha=0.16, linewidth=0)


def _measured(curve: np.ndarray) -> np.ndarray:
    """The epochs with a value: a line goes on over those without, in which nothing was measured."""
    return np.flatnonzero(np.isfinite(curve)) + 1


def _lost(axes: Axes, history: History, metric: str, look: style.Look, height: float) -> np.ndarray:
    """Draws a run that diverged by itself, and a cross at ``height``; returns what was drawn."""
    values = np.asarray(history.curves.get(metric, ()), np.float64)
    epochs = _measured(values)
    kept: np.ndarray = values[epochs - 1]
    axes.plot(epochs, kept, linewidth=0.6, **look._replace(marker="")._asdict())
    if history.diverged_epoch:
        axes.plot(
            [history.diverged_epoch], [height], "x", color=look.color, markersize=6, markeredgewidth=1.8,
            transform=axes.get_xaxis_transform(), clip_on=False, zorder=5,
        )  # fmt: skip
    return kept


def _limits(axes: Axes, of_panel: np.ndarray, shared: np.ndarray, ceiling: float, *, may_be_log: bool) -> None:
    """Room for the values of all panels on one scale; what is cut off is said where it is the panel's own."""
    values = shared[np.isfinite(shared)]
    if not np.isfinite(of_panel).any():
        axes.text(0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center", va="center", color=style.MUTED)
    if not values.size:
        axes.set_yticks([])
        return
    typical = float(np.quantile(values, 0.95))
    spiked = float(values.max()) > CLIP * typical > 0
    high = style.scale(axes, values, min(ceiling, 2 * typical if spiked else np.inf), may_be_log=may_be_log)
    style.cut_note(axes, of_panel, high)
