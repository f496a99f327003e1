import math

import numpy as np
import pytest

from experiments.article.illustrations import constant_gradient, velocity
from experiments.article.schedule import cycle, triangle
from experiments.article.trajectories import CURVATURES, START, bowl, descend
from jaxopt_study.plots.comparison import Bar, bars


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("ema", [False, True])
def test_the_velocity_is_that_of_the_recurrence(momentum, ema):
    value, expected = 0.0, []
    for _ in range(50):
        value = momentum * value + ((1 - momentum) if ema else 1.0)
        expected.append(value)
    np.testing.assert_allclose(velocity(momentum, 50, ema=ema), expected, rtol=1e-12)


def test_the_velocity_tends_to_its_limit_and_the_average_never_exceeds_the_gradient():
    assert velocity(0.9, 1000, ema=False)[-1] == pytest.approx(10)
    assert (velocity(0.99, 2000, ema=True) <= 1).all()


@pytest.mark.parametrize("ema", [False, True])
def test_a_line_for_each_momentum(ema):
    axes = constant_gradient([0.9, 0.0], ema=ema).axes[0]
    assert [line.get_label().split()[0] for line in axes.lines if not line.get_label().startswith("_")] == ["0", "0.9"]


def test_nesterov_at_momentum_zero_is_plain_descent():
    both = [descend(0.03, 0.0, 20, nesterov=nesterov).points for nesterov in (False, True)]
    np.testing.assert_array_equal(*both)


def test_the_first_steps_into_the_bowl_are_those_worked_out_by_hand():
    points = descend(0.1, 0.5, 2, nesterov=True).points
    x0 = START[0]
    v1 = -0.1 * CURVATURES[0] * x0
    x1 = x0 + v1
    v2 = 0.5 * v1 - 0.1 * CURVATURES[0] * (x1 + 0.5 * v1)
    np.testing.assert_allclose(points[:, 0], [x0, x1, x1 + v2], rtol=1e-12)


def test_both_paths_into_the_bowl_are_drawn():
    plane, losses = bowl().axes
    assert len(losses.lines) == 2
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in (plane, losses))


def test_the_triangle_has_its_corners_and_is_straight_between():
    epochs = np.array([0, 2, 4, 6, 8, 12])
    np.testing.assert_allclose(triangle(epochs, 0.1, 0.4, 4), [0.1, 0.25, 0.4, 0.25, 0.1, 0.4])
    assert cycle(0.1, 0.4, 4).axes[0].get_ylim()[1] > 0.4


def test_the_lowest_bar_is_starred_and_seeds_without_a_value_are_counted():
    entries = [Bar("sgd", "lr 0.1", [3.0, 5.0]), Bar("adam", "", [2.0, math.nan]), Bar("adagrad", "", [math.nan])]
    entries.append(Bar("rmsprop", "", [4.0, math.nan]))  # its mean is the lowest one's, and yet it does not compete
    said = [text.get_text() for text in bars(entries, unit="epochs", whole=True).axes[0].texts]
    assert said == ["4 \N{BLACK STAR}", "2 (1 of 2 never)", "none", "4 (1 of 2 never)"]


def test_bars_start_at_zero():
    axes = bars([Bar("sgd", "", [0.2]), Bar("adam", "", [0.21])], unit="loss").axes[0]
    assert axes.get_xlim()[0] == 0
