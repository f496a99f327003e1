"""How fast losses fall: epochs to a target, area under a curve, and the article's convergence ratio."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_study.analysis.best import halfway
from jaxopt_study.analysis.minima import losses
from jaxopt_study.analysis.runs import Runs
from jaxopt_study.errors import InputError

AFTER = 50
"""Epochs after which the article reads the loss to be reached."""

FASTER, SLOWER, SAME = "faster", "slower", "same"
NEITHER, TOO_SHORT = "neither converged", "too few epochs"


class Ratio(NamedTuple):
    """Epochs that a rule needs for what another reaches in a number of epochs, divided by that number.

    Attributes:
        ratio: below 1 is faster; infinite where the loss is never reached, NaN in the last two categories.
        category: ``faster``, ``slower``, ``same``, ``neither converged`` or ``too few epochs``.
    """

    ratio: float
    category: str


def epochs_to(curve: ArrayLike, target: float) -> int | None:
    """The first epoch, counted from 1, at which a curve ``[E]`` is at or below ``target``; None if there is none."""
    with np.errstate(invalid="ignore"):
        reached = np.asarray(curve, np.float64) <= target
    return int(np.argmax(reached)) + 1 if reached.any() else None


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


def convergence_ratio(
    reference: ArrayLike, other: ArrayLike, *, after: int = AFTER, converged_below: float = math.inf
) -> Ratio:
    """Epochs ``other`` needs for the loss that ``reference`` has after ``after`` epochs, divided by ``after``.

    Args:
        reference: losses ``[E]``. If it is not finite by then, any finite loss counts as reaching it.
        other: losses ``[E]``, of its own length.
        after: epochs of the reference.
        converged_below: a curve that ends finite and gets to this loss at any epoch has converged.
    """
    curves = [np.asarray(curve, np.float64) for curve in (reference, other)]
    if not any(_converged(curve, converged_below) for curve in curves):
        return Ratio(math.nan, NEITHER)
    if any(len(curve) < after and np.isfinite(curve[-1:]).all() for curve in curves):
        return Ratio(math.nan, TOO_SHORT)
    loss = curves[0][after - 1] if len(curves[0]) >= after else math.nan
    epoch = epochs_to(curves[1], loss if math.isfinite(loss) else np.finfo(np.float64).max)
    ratio = math.inf if epoch is None else epoch / after
    return Ratio(ratio, FASTER if ratio < 1 else SLOWER if ratio > 1 else SAME)


def _converged(curve: np.ndarray, below: float) -> bool:
    return len(curve) > 0 and bool(np.isfinite(curve[-1])) and epochs_to(curve, below) is not None


def convergence_table(
    runs: Runs, curve: str = "train_loss", *, after: int = AFTER, reference: str = "momentum", other: str = "nesterov"
) -> dict[tuple[float, float], dict[int, Ratio]]:
    """The convergence ratio of every learning rate and momentum above 0 that both rules have, by seed."""
    below = halfway(runs, curve)
    table: dict[tuple[float, float], dict[int, Ratio]] = {}
    for cell in runs.cells(reference):
        numbers = cell.hyperparameters
        twins = runs.cells(other, **numbers) if numbers["momentum"] > 0 else []
        for twin in twins:
            table[numbers["learning_rate"], numbers["momentum"]] = {
                seed: convergence_ratio(
                    losses(history, curve), losses(twin.by_seed[seed], curve), after=after, converged_below=below
                )
                for seed, history in cell.by_seed.items()
                if seed in twin.by_seed
            }
    return table
