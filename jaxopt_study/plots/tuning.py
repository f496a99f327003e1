"""The figure of what tuning buys: expected loss over the number of configurations tried, a line an optimizer."""

import itertools
import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from jaxopt_study.analysis.runs import by_rule
from jaxopt_study.analysis.tuning import TuningCurve, tuning_curves, winners
from jaxopt_study.plots import captions, labels, style
from jaxopt_study.plots.picture import Picture, Source
from jaxopt_study.plots.selection import NotDrawable

STRIP = 0.045
"""Height of the strip of winners above the panel, as a share of it."""
_BANDS = 8
"""Of more lines those alone have a band that are the lowest somewhere: all together hide each other."""
_LOG_FROM = 12
"""Configurations from which their number is on a logarithmic axis: most is gained by the first few."""


def picture(source: Source) -> Picture:
    """The figure of all rules.

    Raises:
        NotDrawable: there are fewer than two rules, none has two configurations, or they share no seed.
    """
    rules = by_rule([run for run in source.histories if run.status != "failed"])
    if len(rules) < 2 or max(map(len, rules.values())) < 2:
        raise NotDrawable("it compares optimizers over the configurations tried, and there are not two of either")
    curves = tuning_curves(rules, source.chance)
    if not curves:
        raise NotDrawable("no seed is one of all configurations")
    title = "What tuning buys: the best of a number of configurations"
    which = "Test loss" if any("test_loss" in run.curves for run in source.histories) else "Validation loss"
    lead = (
        f"{which} to be expected of the best of so many configurations, drawn without replacement from those of each "
        "optimizer (their number in brackets); the strip above has the color and the mark of the lowest."
    )
    seeds = captions.over_seeds(
        source.histories,
        f"One half of the seeds chooses, the other is told of; bands{_whose(curves)} are 95% intervals over the seeds.",
        "One seed: it chooses and is told of, and there is no band.",
    )
    caption = f"{lead} {seeds} {told(curves)}."
    alt = f"Line chart. {told(curves)}. {ends(curves)}."
    return Picture("tuning_curves", lines(curves, title=title, chance=source.chance), caption, alt)


def lines(curves: Sequence[TuningCurve], *, title: str = "", chance: float = np.inf) -> Figure:
    """A line an optimizer with a band of its 95% intervals; a mark where its grid ends, dotted beyond.

    The strip above has the color and the mark of the optimizer that is the lowest after as many configurations.
    ``chance`` is the loss of guessing.
    """
    looks = style.looks(sorted(curve.optimizer for curve in curves))
    most = len(curves[0].expected)
    with style.applied():
        figure, (axes,) = style.panels(1, title, width=5.4, height=max(3.4, 0.18 * len(curves)), right=2.7)
        banded = _banded(curves)
        drawn = [_line(axes, curve, looks[curve.optimizer], curve.optimizer in banded) for curve in curves]
        means = np.concatenate([[one.value for one in curve.expected] for curve in curves])
        # Bands of few seeds are wide: the means have the room.
        low, high = 0.85 * float(means.min()), 1.2 * float(means.max())
        style.scale(axes, np.clip(np.concatenate([means, *drawn]), low, high))
        style.guessing_line(axes, chance)
        _tries_axis(axes, most)
        axes.set_ylabel(f"expected loss of the best\n({labels.LOSS_UNIT})")
        _strip(axes, winners(curves), looks)
        style.legend(figure, axes, "optimizer (configurations)", width=2.6)
    return figure


def _banded(curves: Sequence[TuningCurve]) -> set[str]:
    return {curve.optimizer for curve in curves} if len(curves) <= _BANDS else set(winners(curves))


def _whose(curves: Sequence[TuningCurve]) -> str:
    return " of those that are the lowest somewhere" if len(curves) > _BANDS else ""


def _line(axes: Axes, curve: TuningCurve, look: style.Look, is_banded: bool) -> np.ndarray:
    """Draws a line and returns the finite ends of its band, if it has one."""
    mean, low, high = (np.array([getattr(one, end) for one in curve.expected]) for end in ("value", "low", "high"))
    tried, own = np.arange(1, len(mean) + 1), curve.configurations
    label = textwrap.fill(f"{labels.optimizer(curve.optimizer)} ({own})", 28)
    axes.plot(tried[:own], mean[:own], **look._asdict(), markevery=[own - 1], markersize=5, label=label)
    axes.plot(tried[own - 1 :], mean[own - 1 :], color=look.color, linestyle=":", linewidth=0.8)
    if not is_banded:
        return np.zeros(0)
    axes.fill_between(tried[:own], low[:own], high[:own], color=look.color, alpha=0.14, linewidth=0)
    ends = np.concatenate([low, high]) if own > 1 else np.zeros(0)  # of one there is a point, and no band
    finite: np.ndarray = ends[np.isfinite(ends)]
    return finite


def _tries_axis(axes: Axes, most: int) -> None:
    axes.set_xlabel("configurations tried")
    if most >= _LOG_FROM:
        style.log_axis(axes, "x", 1, most)
        axes.set_xlim(0.93, most * 1.08)
    else:
        axes.set_xlim(0.8, most + 0.2)
        axes.xaxis.set_major_locator(FixedLocator(range(1, most + 1)))


def _strip(axes: Axes, first: Sequence[str], looks: dict[str, style.Look]) -> None:
    low, high = axes.get_xlim()
    start = 1
    for optimizer, same in itertools.groupby(first):
        end = start + len(list(same))
        left, right = (low if start == 1 else start - 0.5), (high if end > len(first) else end - 0.5)
        look = looks[optimizer]
        axes.axvspan(left, right, 1.01, 1.01 + STRIP, color=look.color, clip_on=False, linewidth=0)
        middle = math.sqrt(left * right) if axes.get_xscale() == "log" else (left + right) / 2
        axes.plot(
            middle, 1.01 + STRIP / 2, marker=look.marker, color="white", markersize=3.2,
            transform=axes.get_xaxis_transform(), clip_on=False,
        )  # fmt: skip
        start = end


def told(curves: Sequence[TuningCurve]) -> str:
    """Which optimizer is the lowest for how many configurations, in words."""
    parts, start = [], 1
    for optimizer, same in itertools.groupby(winners(curves)):
        end = start + len(list(same)) - 1
        parts.append(f"{labels.optimizer(optimizer)} with {start if end == start else f'{start} to {end}'}")
        start = end + 1
    return f"Lowest are {labels.listing(parts)} tried" if len(parts) > 1 else f"Lowest is {parts[0]} tried"


def ends(curves: Sequence[TuningCurve]) -> str:
    """Where each line begins and ends, in words."""
    parts = [
        f"{labels.optimizer(curve.optimizer)} from {labels.loss(curve.expected[0].value)} with 1 to "
        f"{labels.loss(curve.expected[-1].value)} with {curve.configurations}"
        for curve in curves
    ]
    return labels.sentence("; ".join(parts))
