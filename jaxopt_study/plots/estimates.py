"""Points with their intervals over the seeds, over positive numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import ArrayLike

from jaxopt_study.analysis.intervals import Estimate
from jaxopt_study.analysis.minima import Minima
from jaxopt_study.plots import labels, style

LEGEND = 2.6
"""Inches on the right of these figures, for their legends."""
_DECADES_FROM = 60.0
"""Ratio of the ends of an axis from which only powers of ten are written: the panels are narrow."""


def marks(axes: Axes, places: ArrayLike, means: Sequence[Estimate | Minima], **look: Any) -> None:
    """Means with their intervals or ranges; no bar where there is one seed."""
    low, high = (np.array([getattr(one, end) for one in means]) for end in ("low", "high"))
    axes.plot(np.asarray(places), [one.value for one in means], **look)
    bars = high > low
    axes.vlines(np.asarray(places)[bars], low[bars], high[bars], color=look.get("color"), linewidth=1.0)


def crosses(axes: Axes, places: Sequence[float], label: str = "a seed diverged") -> None:
    """Crosses at the upper edge where runs diverged."""
    if places:
        axes.plot(
            places, np.full(len(places), 0.975), "x", color=style.INK, markersize=6, markeredgewidth=1.5,
            transform=axes.get_xaxis_transform(), label=label, clip_on=False,
        )  # fmt: skip


def positions(axes: Axes, places: ArrayLike, name: str) -> None:
    """The x axis of positive numbers, logarithmic where their ratio asks for it."""
    low, high = float(np.min(places)), float(np.max(places))
    if low > 0 and high > style.LOG_FROM * low:
        style.log_axis(axes, "x", low, high)
        if high > _DECADES_FROM * low:
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0,), numticks=8))
        room = (high / low) ** 0.03
        axes.set_xlim(low / room, high * room)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(name)


def losses(axes: Axes, estimates: Sequence[Estimate], chance: float) -> None:
    """The y axis of lowest losses, from the smallest to that of guessing."""
    ends = np.array([end for one in estimates for end in (one.value, one.low, one.high)])
    ends = np.clip(ends[np.isfinite(ends)], max(1e-3 * chance, 0.5 * np.nanmin([one.value for one in estimates])), None)
    style.scale(axes, ends, 1.05 * chance)
    axes.axhline(chance, color=style.MUTED, linewidth=0.8, linestyle=":", zorder=1)


def interval(one: Estimate, digits: str = ".2f") -> str:
    """``0.93 (0.90 to 0.96)``; without a number where there is none."""
    if not np.isfinite(one.value):
        return "no number"
    if not np.isfinite(one.low):
        return f"{one.value:{digits}} ({'one seed' if one.seeds == 1 else 'equal seeds'}, no interval)"
    return f"{one.value:{digits}} ({one.low:{digits}} to {one.high:{digits}})"


def seeds(estimates: Sequence[Estimate]) -> str:
    """How points and bars are to be read."""
    count = max((one.seeds for one in estimates), default=0)
    if count < 2:
        return "One seed, so there are no intervals."
    return f"Points are means over {labels.counted(count, 'seed')}, bars their 95% intervals."
