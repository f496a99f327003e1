"""Momentum and Nesterov's momentum on a bowl-shaped loss: the article's figure 22, computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxopt_study import plots
from jaxopt_study.plots import labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVATURES = (1.0, 12.0)
"""Second derivatives of the bowl along x and along y."""
START = (-4.0, 1.6)


class Path(NamedTuple):
    """A way into the bowl."""

    points: np.ndarray
    """``[T + 1, 2]``, the start first."""
    losses: np.ndarray
    """``[T + 1]``."""


def descend(learning_rate: float, momentum: float, steps: int, *, nesterov: bool) -> Path:
    """Follows ``v <- momentum * v - learning_rate * g; w <- w + v`` on the bowl ``(x^2 + 12 y^2) / 2``.

    Args:
        learning_rate: above 0.
        momentum: in [0, 1).
        steps: how many.
        nesterov: whether ``g`` is taken at the look-ahead point ``w + momentum * v`` and not at ``w``.
    """
    curvatures = np.array(CURVATURES)
    points, velocity = [np.array(START)], np.zeros(2)
    for _ in range(steps):
        at = points[-1] + momentum * velocity if nesterov else points[-1]
        velocity = momentum * velocity - learning_rate * curvatures * at
        points.append(points[-1] + velocity)
    stacked = np.stack(points)
    return Path(stacked, 0.5 * np.sum(curvatures[None, :] * stacked**2, axis=1))


def bowl(*, learning_rate: float = 0.03, momentum: float = 0.9, steps: int = 60, title: str = "") -> Figure:
    """Both ways into the bowl over its contours, and their losses step by step.

    Args:
        learning_rate: above 0.
        momentum: in [0, 1).
        steps: how many.
        title: of the figure.
    """
    with plots.style.applied():
        figure, (plane, losses) = plots.style.panels(2, title)
        _contours(plane)
        for name in ("momentum", "nesterov"):
            way, look = (
                descend(learning_rate, momentum, steps, nesterov=name == "nesterov"),
                plots.style.named_look(name),
            )
            thin = {**look._asdict(), "linewidth": 1.2, "markersize": 3.5}
            plane.plot(*way.points.T, **thin)
            losses.plot(way.losses, label=labels.optimizer(name), markevery=5, **look._asdict())
        plane.plot(*START, "o", markersize=8, markerfacecolor="white", markeredgecolor=plots.style.INK, zorder=6)
        plane.annotate("start", START, xytext=(0, 9), textcoords="offset points", ha="center")
        plane.plot(0, 0, "*", markersize=11, color=plots.style.BEST, zorder=6)
        losses.set_xlabel("step")
        losses.set_ylabel("loss")
        plots.style.log_axis(losses, "y", 1e-6, 30)
        plots.style.legend(figure, losses, "")
    return figure


def _contours(axes: Axes) -> None:
    x, y = np.linspace(-5, 5, 121), np.linspace(-2.6, 2.6, 81)
    heights = 0.5 * (CURVATURES[0] * x[None, :] ** 2 + CURVATURES[1] * y[:, None] ** 2)
    axes.contour(x, y, heights, levels=[0.3, 1, 2.5, 5, 8, 12, 18, 26], colors=plots.style.GRID, linewidths=0.8)
    axes.grid(False)
    axes.set_xlabel("weight x")
    axes.set_ylabel("weight y")
