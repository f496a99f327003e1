"""Which learning rates train at all: what a few steps at each rate do to the loss, rule by rule."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from jaxopt_study.history import History

FALLEN = 0.05
"""Share of the way from the loss at the smallest rate to the lowest that counts as a fall."""
LEAST_RATES = 5


class RangeTest(NamedTuple):
    """The loss over the learning rate of one rule, and what to take from it. Rates are NaN where there is none.

    Attributes:
        optimizer: name in the registry.
        numbers: its other hyperparameters.
        rates: rising, ``[R]``.
        losses: after the last epoch, by rate and seed, infinite where the run diverged, ``[R, S]``.
        falls_from: the smallest rate at which the loss has begun to fall.
        suggested: the rate at which the loss falls most steeply over the logarithm of the rate.
        lowest: the rate with the lowest loss.
        diverges_from: the smallest rate above it with a loss above that of the smallest rate, or a seed that diverged.
    """

    optimizer: str
    numbers: tuple[tuple[str, float], ...]
    rates: np.ndarray
    losses: np.ndarray
    falls_from: float
    suggested: float
    lowest: float
    diverges_from: float


def range_tests(histories: Iterable[History], curve: str = "train_loss") -> list[RangeTest]:
    """A test for each rule, with its other numbers, that has ``LEAST_RATES`` rates with the same seeds.

    Args:
        histories: runs at constant learning rates.
        curve: the loss to look at.
    """
    groups: dict[tuple[str, tuple[tuple[str, float], ...]], dict[float, dict[int, float]]] = {}
    for run in histories:
        if "learning_rate" in run.hyperparameters:
            rest = tuple((name, value) for name, value in run.hyperparameters.items() if name != "learning_rate")
            at_rate = groups.setdefault((run.optimizer, rest), {}).setdefault(run.hyperparameters["learning_rate"], {})
            at_rate[run.seed] = _last(run, curve)
    return [_test(*key, group) for key, group in groups.items() if len(group) >= LEAST_RATES]


def _last(run: History, curve: str) -> float:
    last = float(run.curves[curve][-1]) if len(run.curves[curve]) else math.nan
    return last if math.isfinite(last) and run.diverged_epoch is None else math.inf


def _test(optimizer: str, numbers: tuple[tuple[str, float], ...], group: dict[float, dict[int, float]]) -> RangeTest:
    seeds = sorted(set.intersection(*(set(runs) for runs in group.values())))
    rates = np.array(sorted(group))
    losses = np.array([[group[rate][seed] for seed in seeds] for rate in rates]).reshape(len(rates), len(seeds))
    found = _landmarks(rates, losses.mean(1)) if seeds else (math.nan,) * 4
    return RangeTest(optimizer, numbers, rates, losses, *found)


def _landmarks(rates: np.ndarray, loss: np.ndarray) -> tuple[float, float, float, float]:
    first, best = loss[0], int(np.argmin(loss))
    above = np.flatnonzero(~(loss[best + 1 :] <= first)) + best + 1
    diverges = float(rates[above[0]]) if above.size else math.nan
    if best == 0 or not math.isfinite(first):
        return math.nan, math.nan, float(rates[best]) if math.isfinite(loss[best]) else math.nan, diverges
    fallen = np.flatnonzero(loss[: best + 1] < first - FALLEN * (first - loss[best]))
    # The slope at each rate is that between its neighbours; the lowest rate itself is where it has ended.
    slopes = np.gradient(loss[: best + 1], np.log(rates[: best + 1]))[:best]
    return float(rates[fallen[0]]), float(rates[int(np.argmin(slopes))]), float(rates[best]), diverges
