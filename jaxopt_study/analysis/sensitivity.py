"""Whether the learning rate or the rule matters more."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxopt_study.errors import InputError


class Shares(NamedTuple):
    """How the variance of the loss divides; the two add up to 1, or are NaN where there is no variance."""

    learning_rate: float
    optimizer: float


def variance_shares(losses: Mapping[str, Mapping[float, float]], *, decades: float = 1.0) -> Shares:
    """Whether a wrong learning rate or another optimizer changes the loss more.

    The learning rate's variance is that of the loss over the rates within ``decades`` of each optimizer's best one, the
    mean over the optimizers; the optimizer's is that between the optimizers, each at its best rate. A plain two-way
    analysis of one table does not answer the question: at a common rate it compares optimizers at rates that suit
    only some, and with the rates of all grids in it the answer hangs on how far the grids reach.

    Args:
        losses: by optimizer and learning rate, all finite.
        decades: how far a rate may be off, in powers of ten.

    Raises:
        InputError: fewer than two optimizers, or one with fewer than two rates in its window.
    """
    if len(losses) < 2:
        raise InputError("losses", list(losses), "at least two optimizers are needed")
    within, best = [], []
    for optimizer, by_rate in losses.items():
        centre = min(by_rate, key=lambda rate: by_rate[rate])
        near = [loss for rate, loss in by_rate.items() if abs(math.log10(rate / centre)) <= decades + 0.01]
        if len(near) < 2:
            raise InputError(optimizer, sorted(by_rate), f"at least two rates within {decades} decades are needed")
        within.append(float(np.var(near, ddof=1)))
        best.append(by_rate[centre])
    rate, rule = float(np.mean(within)), float(np.var(best, ddof=1))
    total = rate + rule
    return Shares(rate / total, rule / total) if total > 0 else Shares(math.nan, math.nan)
