"""How much a hyperparameter matters: how wide its good range is, and whether the rate or the rule matters more."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_study.errors import InputError


class Range(NamedTuple):
    """The values of a hyperparameter around the best one that stay within a factor of the best loss.

    Attributes:
        decades: its width, in powers of ten.
        low: its lower end.
        high: its upper end.
        best: the value with the smallest loss; the first of equals.
        open_low: whether it goes down to the smallest value tried, so that it may be wider.
        open_high: whether it goes up to the largest value tried.
    """

    decades: float
    low: float
    high: float
    best: float
    open_low: bool
    open_high: bool


class Shares(NamedTuple):
    """How the variance of the loss divides; the two add up to 1, or are NaN where there is no variance."""

    learning_rate: float
    optimizer: float


def sensitivity(values: ArrayLike, losses: ArrayLike, *, factor: float = 1.1) -> Range:
    """How wide the range of a hyperparameter is that stays within ``factor`` of the best loss.

    Between the last value inside and the first outside, the loss is taken to be linear in the logarithm of the value;
    where the one outside diverged, the range ends at the last value inside.

    Args:
        values: ``[N]``, positive and different; for a decay, pass one minus it.
        losses: ``[N]``, positive; not finite where a run diverged.
        factor: at least 1.

    Raises:
        InputError: values that are not positive, a factor below 1, or no finite loss.
    """
    order = np.argsort(np.asarray(values, np.float64))
    value, loss = np.asarray(values, np.float64)[order], np.asarray(losses, np.float64)[order]
    if not (value > 0).all():
        raise InputError("values", values, "allowed are numbers above 0")
    if not factor >= 1:
        raise InputError("factor", factor, "allowed is a number of at least 1")
    if not np.isfinite(loss).any():
        raise InputError("losses", losses, "at least one must be finite")
    loss = np.where(np.isfinite(loss), loss, math.inf)
    best = int(np.argmin(loss))
    limit = factor * float(loss[best])
    low, open_low = _end(np.log10(value[best::-1]), loss[best::-1], limit)
    high, open_high = _end(np.log10(value[best:]), loss[best:], limit)
    return Range(high - low, 10.0**low, 10.0**high, float(value[best]), open_low, open_high)


def _end(exponent: np.ndarray, loss: np.ndarray, limit: float) -> tuple[float, bool]:
    """Where the loss, followed away from its best, first exceeds the limit, and whether it never does."""
    outside = loss > limit
    if not outside.any():
        return float(exponent[-1]), True
    first = int(np.argmax(outside))
    inside = first - 1
    if not math.isfinite(loss[first]):
        return float(exponent[inside]), False
    part = (limit - loss[inside]) / (loss[first] - loss[inside])
    return float(exponent[inside] + part * (exponent[first] - exponent[inside])), False


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
