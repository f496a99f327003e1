"""Whether a curve follows a cycle, and the cycle itself."""

import math

import numpy as np
import pytest

from experiments import cyclical_learning_rate

NAN = math.nan


def test_a_wave_of_the_cycle_is_told_from_others_and_from_a_trend():
    e = np.arange(1, 97)
    trend = 0.3 + 0.4 * np.exp(-e / 10)
    wave, other = (0.02 * np.cos(2 * np.pi * e / period) for period in (8, 3))
    assert cyclical_learning_rate.fit_cycle(trend + wave, 8).share > 0.95
    assert cyclical_learning_rate.fit_cycle(trend + other, 8).share < 0.05
    assert cyclical_learning_rate.fit_cycle(trend + wave + other, 8).share == pytest.approx(0.5, abs=0.1)


def test_the_amplitude_of_a_wave_is_found_beneath_a_trend_and_another_wave():
    e = np.arange(1, 97)
    curve = 0.3 + 0.4 * np.exp(-e / 10) + 0.05 * np.cos(2 * np.pi * e / 8 + 1) + 0.08 * np.cos(2 * np.pi * e / 3)
    assert cyclical_learning_rate.fit_cycle(curve, 8).amplitude == pytest.approx(0.05, rel=0.03)


@pytest.mark.parametrize("curve", [np.ones(96), np.arange(31.0), np.append(np.arange(20.0), [NAN] * 20)])
def test_cycle_share_is_unknown_for_flat_and_short_curves(curve):
    assert math.isnan(cyclical_learning_rate.fit_cycle(curve, 8).share)


def test_the_triangle_has_its_corners_and_is_straight_between():
    epochs = np.array([0, 2, 4, 6, 8, 12])
    np.testing.assert_allclose(cyclical_learning_rate.triangle(epochs, 0.1, 0.4, 4), [0.1, 0.25, 0.4, 0.25, 0.1, 0.4])
    assert cyclical_learning_rate.cycle(0.1, 0.4, 4).axes[0].get_ylim()[1] > 0.4
