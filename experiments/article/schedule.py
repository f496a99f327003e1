"""The triangular cycle of the learning rate, computed: the article's section 8."""

import numpy as np
from matplotlib.figure import Figure

from jaxopt_study.plots import labels, style


def triangle(epochs: np.ndarray, base: float, top: float, step_size: float) -> np.ndarray:
    """The rate after ``epochs`` (fractions allowed): from ``base`` up to ``top`` in ``step_size`` and down again."""
    phase = np.asarray(epochs, np.float64) / step_size
    return base + (top - base) * (1 - np.abs(phase % 2 - 1))


def cycle(base: float, top: float, step_size: float, *, cycles: int = 3, title: str = "") -> Figure:
    """The learning rate over the first cycles.

    Args:
        base: the lowest rate; ``top``: the highest.
        step_size: half a cycle, epochs.
        cycles: how many are shown.
        title: of the figure.
    """
    corners = np.arange(2 * cycles + 1) * step_size
    with style.applied():
        figure, (axes,) = style.panels(1, title, width=5.2, height=2.6, right=0.3)
        axes.plot(corners, triangle(corners, base, top, step_size), color="#0072b2", marker="o")
        axes.set_xticks(corners, [labels.number(c) for c in corners])
        axes.set_yticks([base, top], [labels.number(base), labels.number(top)])
        axes.set_ylim(0, 1.12 * top)
        axes.set_xlabel("epochs trained")
        axes.set_ylabel("learning rate")
    return figure
