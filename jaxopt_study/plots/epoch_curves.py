"""Curves over the epochs, one line a configuration, with a band over its seeds."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxopt_study.history import History
from jaxopt_study.plots import labels, selection, style

CLIP = 10.0
"""A curve is cut off above this multiple of the 95th percentile, so that one spike does not flatten the rest."""
SHARES = ("oscillation", "val_accuracy")
"""Measures between 0 and 1, always on a linear axis."""
LOG_FROM = 6.0
"""The y axis is logarithmic where the largest value is more than this multiple of the smallest."""


class Band(NamedTuple):
    """A curve over the seeds: arrays ``[E]``, NaN where no seed has a finite value."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    complete: np.ndarray
    """bool: whether every seed has a finite value."""


def band(histories: Sequence[History], metric: str) -> Band:
    """Mean, minimum and maximum over the seeds that are still training and finite, epoch by epoch; ``[0]`` for no run."""
    rows = [np.asarray(h.curves.get(metric, ()), np.float64) for h in histories]
    stack = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for i, row in enumerate(rows):
        stack[i, : len(row)] = row
    if not stack.size:
        return Band(*[np.zeros(stack.shape[1])] * 3, np.zeros(stack.shape[1], bool))
    finite = np.ma.masked_invalid(stack)
    low, high = finite.min(axis=0), finite.max(axis=0)
    return Band(*(np.ma.filled(x, np.nan) for x in (finite.mean(axis=0), low, high)), np.isfinite(stack).all(axis=0))


def curves(
    histories: Sequence[History],
    metrics: Sequence[str] = ("train_loss", "val_loss"),
    *,
    by: str | Sequence[str],
    where: Mapping[str, float | str] | None = None,
    title: str = "",
) -> Figure:
    """Curves of runs, one line a value of ``by``: the mean over the seeds, with a band from minimum to maximum.

    Where a seed has stopped the line goes on thinner, as the mean of the rest. Runs that diverged are left out of the
    mean and drawn by themselves as thin lines; a cross at the upper edge marks the epoch.

    Args:
        histories: the runs; those that ``where`` does not let through are passed over.
        metrics: names of curves, a panel each.
        by: a hyperparameter, several of them, or ``"optimizer"``.
        where: hyperparameters (or ``"optimizer"``) by their values.
        title: of the figure.

    Raises:
        NotDrawable: if no run is left, or runs would be averaged that differ in more than their seed.
    """
    names = (by,) if isinstance(by, str) else tuple(by)
    groups = selection.grouped(selection.matching(histories, where or {}), names)
    heading = "optimizer" if names == ("optimizer",) else ", ".join(map(labels.hyperparameter, names))
    shades = style.ordered_looks(len(groups))
    looks = [style.named_look(str(key[0]), i) if isinstance(key[0], str) else shades[i] for i, key in enumerate(groups)]
    named = {", ".join(_name(part) for part in key): members for key, members in groups.items()}
    return lines(named, metrics, legend=heading, title=title, looks=looks)


def _name(part: float | str) -> str:
    return labels.optimizer(part) if isinstance(part, str) else labels.number(part)


def lines(
    groups: Mapping[str, Sequence[History]],
    metrics: Sequence[str] = ("train_loss", "val_loss"),
    *,
    legend: str = "",
    title: str = "",
    looks: Sequence[style.Look] | None = None,
) -> Figure:
    """As ``curves``, of groups that were made and named by the caller, each the seeds of one configuration."""
    chosen = looks or [style.named_look("", i) for i in range(len(groups))]
    with style.applied():
        figure, axes = style.panels(len(metrics), title)
        for panel, metric in zip(axes, metrics, strict=True):
            _panel(panel, groups, metric, chosen)
        style.legend(figure, axes[-1], legend)
    return figure


def _panel(axes: Axes, groups: Mapping[str, Sequence[History]], metric: str, looks: Sequence[style.Look]) -> None:
    drawn = []
    for i, (name, members) in enumerate(groups.items()):
        lost = [h for h in members if h.status == "diverged"]
        one = band([h for h in members if h.status != "diverged"], metric)
        _line(axes, one, looks[i], _label(name, members), (i, len(groups)))
        alone = [_lost(axes, h, metric, looks[i], 0.985 - 0.035 * (i % 6)) for h in lost]
        drawn += [one.low, one.high, *alone]
    style.epochs_axis(axes, max((h.epochs for members in groups.values() for h in members), default=1) or 1)
    axes.set_ylabel(labels.axis(metric))
    _limits(axes, np.concatenate(drawn), may_be_log=metric not in SHARES)


def _label(name: str, members: Sequence[History]) -> str:
    lost = len(selection.diverged(members))
    if not lost:
        return name
    return f"{name} (diverged)" if lost == len(members) else f"{name} ({lost} of {len(members)} diverged)"


def _line(axes: Axes, one: Band, look: style.Look, label: str, place: tuple[int, int]) -> None:
    epochs = np.arange(1, len(one.mean) + 1)
    every = max(1, len(epochs) // 8)
    whole = np.where(one.complete, one.mean, np.nan)
    marks = (place[0] * every // place[1], every)
    axes.plot(epochs, whole, markevery=marks, label=label, **look._asdict())
    if not one.complete.all():
        # One epoch of overlap, or the thin part would begin after a gap.
        rest = ~one.complete | np.append(~one.complete[1:], False)
        thin = np.where(rest, one.mean, np.nan)
        axes.plot(epochs, thin, linewidth=0.8, **look._replace(marker="")._asdict())
    if np.any(one.high > one.low):
        axes.fill_between(epochs, one.low, one.high, color=look.color, alpha=0.16, linewidth=0)


def _lost(axes: Axes, history: History, metric: str, look: style.Look, height: float) -> np.ndarray:
    """Draws a run that diverged by itself, and a cross at ``height``; returns what was drawn."""
    values = np.asarray(history.curves.get(metric, ()), np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    axes.plot(np.arange(1, len(values) + 1), values, linewidth=0.8, **look._replace(marker="")._asdict())
    if history.diverged_epoch:
        axes.plot(
            [history.diverged_epoch], [height], "x", color=look.color, markersize=6, markeredgewidth=1.8,
            transform=axes.get_xaxis_transform(), clip_on=False, zorder=5,
        )  # fmt: skip
    return values


def _limits(axes: Axes, drawn: np.ndarray, *, may_be_log: bool) -> None:
    values = drawn[np.isfinite(drawn)]
    if not values.size:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center", va="center", color=style.MUTED)
        return
    typical, top = float(np.quantile(values, 0.95)), float(values.max())
    cut = top > CLIP * typical > 0
    high = 2 * typical if cut else top
    positive = values[(values > 0) & (values <= high)]
    low = float(values.min())
    if may_be_log and positive.size and high > LOG_FROM * float(positive.min()):
        low = max(float(positive.min()), 1e-12 * high)
        style.log_axis(axes, "y", low, high)
        axes.set_ylim(low / (high / low) ** 0.04, high * (high / low) ** 0.06)
    else:
        room = (high - low) or abs(high) or 1.0
        axes.set_ylim(low - 0.05 * room, high + 0.08 * room)
    if cut:
        text = f"cut off above; largest value {labels.number(top)}"
        axes.text(1, 1.01, text, transform=axes.transAxes, ha="right", fontsize=7.5, color=style.MUTED)
