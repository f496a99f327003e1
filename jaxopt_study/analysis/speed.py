"""How fast a curve comes down: the epoch in which it reaches a loss, the area under it."""

import math

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_study.analysis.minima import minimum
from jaxopt_study.errors import InputError
from jaxopt_study.history import History


def losses(history: History, curve: str = "val_loss") -> np.ndarray:
    """A loss curve ``[E]``, not finite in the epoch in which the run diverged even if only the other loss was."""
    values = np.array(history.curves[curve], np.float64)
    if history.status == "diverged":
        values[(history.diverged_epoch or len(values)) - 1 :] = math.nan
    return values


def epochs_to(curve: ArrayLike, target: float) -> int | None:
    """The first epoch, counted from 1, at which a curve ``[E]`` is at or below ``target``; None if there is none."""
    with np.errstate(invalid="ignore"):
        reached = np.asarray(curve, np.float64) <= target
    return int(np.argmax(reached)) + 1 if reached.any() else None


def crossing(curve: ArrayLike, target: float) -> float | None:
    """The epoch in which a noisy curve ``[E]`` gets to ``target``, between epochs by a line; None if it never does.

    The middle between where it first comes down to the target and where it last does on the way to its minimum. The
    first alone is the earlier, the noisier the curve, and the last the later by as much.
    """
    values = np.asarray(curve, np.float64)
    first, least = epochs_to(values, target), minimum(values).epoch
    if first is None or least is None:
        return None
    above = np.flatnonzero(~(values[:least] <= target))
    last = int(above[-1]) + 2 if len(above) else 1
    return (_crossed(values, first, target) + _crossed(values, last, target)) / 2


def _crossed(values: np.ndarray, epoch: int, target: float) -> float:
    """Where the line from the epoch before, above the target, to this one, which is not, comes down to it."""
    if epoch == 1 or epoch > len(values) or not np.isfinite(values[epoch - 2]):
        return float(epoch)
    before, after = values[epoch - 2], values[epoch - 1]
    return float(epoch - 1 + (before - target) / (before - after))


def area_under_curve(curve: ArrayLike, epochs: int, *, ceiling: float = math.inf) -> float:
    """Area under the first epochs of a loss curve ``[E]``, by trapezia, in loss times epochs.

    Args:
        curve: losses; those above ``ceiling`` or not finite count as ``ceiling``, and so do the epochs that a curve
            lacks because its run diverged.
        epochs: how many, at least 2; curves are comparable only over the same number.
        ceiling: the loss of guessing.

    Raises:
        InputError: fewer than 2 epochs, or a curve too short though it ends with a finite loss.
    """
    values = np.asarray(curve, np.float64)
    diverged = len(values) > 0 and not np.isfinite(values[-1])
    if epochs < 2 or (len(values) < epochs and not diverged):
        raise InputError("epochs", epochs, f"allowed is 2 to {len(values)}, the length of the curve")
    filled = np.full(epochs, ceiling)
    values = values[:epochs]
    filled[: len(values)] = np.where(np.isfinite(values), np.minimum(values, ceiling), ceiling)
    return float(((filled[1:] + filled[:-1]) / 2).sum())
