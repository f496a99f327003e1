"""Momentum and Nesterov's momentum on a bowl-shaped loss: the article's figure 22, computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxopt_study import plots
from jaxopt_study.plots import labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVATURES = (1.0, 12.0)
"""Second derivatives of the bowl along x and along y."""
START = (-4.0, 1.6)


RATE, MOMENTUM, STEPS = 0.03, 0.9, 60
TITLE = f"Momentum and Nesterov momentum on a bowl-shaped loss (rate {RATE}, momentum {MOMENTUM})"


def height(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The loss: ``(x^2 + 12 y^2) / 2``."""
    return np.asarray(0.5 * (CURVATURES[0] * x**2 + CURVATURES[1] * y**2))


def descend(learning_rate: float, momentum: float, steps: int, *, nesterov: bool) -> np.ndarray:
    """Follows ``v <- momentum * v - learning_rate * g; w <- w + v`` down the bowl: points ``[T + 1, 2]``.

    With ``nesterov`` the gradient is taken at the look-ahead point ``w + momentum * v`` and not at ``w``.
    """
    points, velocity = [np.array(START)], np.zeros(2)
    for _ in range(steps):
        at = points[-1] + momentum * velocity if nesterov else points[-1]
        velocity = momentum * velocity - learning_rate * np.array(CURVATURES) * at
        points.append(points[-1] + velocity)
    return np.stack(points)


def bowl() -> Figure:
    """Both paths into the bowl over its contours, and their losses step by step."""
    with plots.style.applied():
        figure, (plane, losses) = plots.style.panels(2, TITLE)
        _contours(plane)
        for name in ("momentum", "nesterov"):
            x, y = descend(RATE, MOMENTUM, STEPS, nesterov=name == "nesterov").T
            look = plots.style.named_look(name)._asdict()
            plane.plot(x, y, **look | {"linewidth": 1.2, "markersize": 3.5})
            losses.plot(height(x, y), label=labels.optimizer(name), markevery=5, **look)
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
    axes.contour(
        x,
        y,
        height(*np.meshgrid(x, y)),
        levels=[0.3, 1, 2.5, 5, 8, 12, 18, 26],
        colors=plots.style.GRID,
        linewidths=0.8,
    )
    axes.grid(False)
    axes.set_xlabel("weight x")
    axes.set_ylabel("weight y")
