"""Whether a curve goes up and down with a cycle of known length."""

import math

import numpy as np
from numpy.typing import ArrayLike

CYCLES = 4
"""Fewest cycles that a curve must have: one is skipped, one is lost to the trend, two are looked at."""


def cycle_share(curve: ArrayLike, period: float) -> float:
    """Share of a curve's variance around its trend that a wave of the given period explains, from 0 to 1.

    The trend is the moving average over one period, and the first period, where losses fall steeply, is left out.
    A wave fitted to M values of noise explains about 2 / M of it.

    Args:
        curve: ``[E]``, up to its first value that is not finite.
        period: in epochs, at least 3.

    Returns:
        NaN for a curve shorter than :data:`CYCLES` periods or without variance around its trend.
    """
    values = np.asarray(curve, np.float64)
    bad = ~np.isfinite(values)
    values = values[: int(np.argmax(bad))] if bad.any() else values
    half = round(period / 2)
    if period < 3 or len(values) < CYCLES * period:
        return math.nan
    window = np.ones(2 * half + 1)
    window[[0, -1]] = 0.5
    epoch = np.arange(len(values))[half:-half]
    around = values[half:-half] - np.convolve(values, window / window.sum(), "valid")
    epoch, around = epoch[round(period) :], around[round(period) :]
    phase = 2 * math.pi * epoch / period
    waves = np.stack([np.cos(phase), np.sin(phase), np.ones_like(phase)], axis=1)
    fitted = waves @ np.linalg.lstsq(waves, around, rcond=None)[0]
    total = float(np.var(around))
    scale = float(np.abs(values).max())
    return min(1.0, float(np.var(fitted)) / total) if total > (1e-9 * scale) ** 2 else math.nan
