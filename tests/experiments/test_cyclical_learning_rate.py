"""Whether a curve follows a cycle."""

import math

import numpy as np
import pytest

from experiments.article import cycles

NAN = math.nan


def test_a_wave_of_the_cycle_is_told_from_others_and_from_a_trend():
    e = np.arange(1, 97)
    trend = 0.3 + 0.4 * np.exp(-e / 10)
    wave, other = (0.02 * np.cos(2 * np.pi * e / period) for period in (8, 3))
    assert cycles.cycle_share(trend + wave, 8) > 0.95
    assert cycles.cycle_share(trend + other, 8) < 0.05
    assert cycles.cycle_share(trend + wave + other, 8) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("curve", [np.ones(96), np.arange(31.0), np.append(np.arange(20.0), [NAN] * 20)])
def test_cycle_share_is_unknown_for_flat_and_short_curves(curve):
    assert math.isnan(cycles.cycle_share(curve, 8))
