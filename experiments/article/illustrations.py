"""Figures that are computed and need no run: velocities under a constant gradient, paths into a bowl."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from jaxopt_study.plots import labels, style


def velocity(momentum: float, steps: int, *, ema: bool) -> np.ndarray:
    """Velocity under a constant gradient, in multiples of rate x gradient (``ema``: of the gradient).

    ``v <- momentum * v + 1`` or, with ``ema``, ``v <- momentum * v + (1 - momentum)``, from 0.

    Returns:
        ``[T]``, after step 1, 2, ...
    """
    grown = 1 - np.asarray(momentum, np.float64) ** np.arange(1, steps + 1)
    return grown if ema else grown / (1 - momentum)


def constant_gradient(momenta: Sequence[float], *, ema: bool, steps: int = 300, title: str = "") -> Figure:
    """Velocity over the steps while the gradient stays the same, one line a momentum, with its limit dotted.

    Args:
        momenta: in [0, 1).
        ema: the exponential-average form, whose velocity tends to the gradient and never exceeds it; else the
            form with the rate inside the velocity, which grows to rate x gradient / (1 - momentum).
        steps: number of steps shown.
        title: of the figure.
    """
    chosen = sorted(set(momenta))
    with style.applied():
        figure, (axes,) = style.panels(1, title, width=5.2, height=3.2, right=2.35)
        for look, momentum in zip(style.ordered_looks(len(chosen)), chosen, strict=True):
            shown = velocity(momentum, steps, ema=ema)
            limit = 1.0 if ema else 1 / (1 - momentum)
            label = labels.number(momentum) if ema else f"{labels.number(momentum)} (limit {labels.number(limit)})"
            marks = [s - 1 for s in (1, 2, 4, 8, 16, 32, 64, 128, 256) if s <= steps]
            axes.plot(np.arange(1, steps + 1), shown, label=label, markevery=marks, **look._asdict())
            axes.axhline(limit, color=look.color, linewidth=0.8, linestyle=":")
        style.log_axis(axes, "x", 1, steps)
        axes.set_xlim(0.93, 1.07 * steps)
        axes.set_xlabel("step (logarithmic)")
        axes.set_ylabel("velocity\n(multiples of the gradient)" if ema else "velocity\n(multiples of rate x gradient)")
        if ema:
            axes.set_ylim(0, 1.08)
        else:
            style.log_axis(axes, "y", 1, max(2.0, 1 / (1 - chosen[-1])))
        style.legend(figure, axes, "momentum", width=2.3)
    return figure
