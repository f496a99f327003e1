"""How low a run's loss got, when, and how that compares with guessing and with the best of the study."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_study.analysis.runs import Cell, Runs
from jaxopt_study.history import History

PATIENCE = 50
"""Epochs without improvement after which the article stops a run."""


class Minimum(NamedTuple):
    """Smallest finite value of a curve; NaN and None where no epoch has one.

    Attributes:
        value: the smallest value.
        epoch: the first epoch that has it, counted from 1.
    """

    value: float
    epoch: int | None


def minimum(curve: ArrayLike) -> Minimum:
    """The smallest finite value of a curve ``[E]`` and its epoch; the first of equals."""
    values = np.asarray(curve, np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return Minimum(math.nan, None)
    at = int(np.argmin(np.where(finite, values, math.inf)))
    return Minimum(float(values[at]), at + 1)


def losses(history: History, curve: str = "val_loss") -> np.ndarray:
    """A loss curve ``[E]``, not finite in the epoch in which the run diverged even if only the other loss was."""
    values = np.array(history.curves[curve], np.float64)
    if history.status == "diverged":
        values[(history.diverged_epoch or len(values)) - 1 :] = math.nan
    return values


def lowest(runs: Runs, history: History, curve: str = "val_loss") -> float:
    """Smallest loss of a run, at most that of guessing, which is also what a run without a finite loss gets."""
    value = minimum(losses(history, curve)).value
    return runs.chance if math.isnan(value) else min(value, runs.chance)


def mean_lowest(runs: Runs, cell: Cell, curve: str = "val_loss") -> float:
    """Mean of :func:`lowest` over the seeds of a configuration."""
    return float(np.mean([lowest(runs, history, curve) for history in cell.by_seed.values()]))


def best_cell(runs: Runs, cells: Sequence[Cell], curve: str = "val_loss") -> Cell:
    """The configuration with the smallest :func:`mean_lowest`; the first of equals."""
    return min(cells, key=lambda cell: mean_lowest(runs, cell, curve))


def settled(history: History) -> bool:
    """Whether more epochs would hardly have lowered a run's smallest validation loss.

    So it is for a run that early stopping ended or that diverged. A run that used up its epochs must have gone without
    improvement for the last half of them, or for the article's patience where that is less.
    """
    if history.status != "finished":
        return True
    epoch = minimum(history.curves["val_loss"]).epoch
    return epoch is None or history.epochs - epoch >= min(PATIENCE, history.epochs / 2)


@functools.lru_cache(maxsize=8)
def halfway(runs: Runs, curve: str = "val_loss") -> float:
    """The loss half-way from guessing to the best configuration of the study: below it a run counts as converged.

    Returns:
        NaN where no configuration gets a tenth below guessing, so that nothing can be said to have converged.
    """
    cells = [cell for optimizer in runs.optimizers for cell in runs.cells(optimizer)]
    best = min((mean_lowest(runs, cell, curve) for cell in cells), default=math.nan)
    return (runs.chance + best) / 2 if best <= 0.9 * runs.chance else math.nan


def progress(runs: Runs, history: History, curve: str = "val_loss") -> float:
    """Share of the way from guessing (0) to the best of the study (1) that a run covers; 0 if it diverged.

    A run has converged where this is at least one half. NaN where :func:`halfway` is.
    """
    if history.status == "diverged":
        return 0.0
    return (runs.chance - lowest(runs, history, curve)) / (2 * (runs.chance - halfway(runs, curve)))
