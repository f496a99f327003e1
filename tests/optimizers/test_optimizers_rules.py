"""What each rule is known for: identities between rules, limits, first steps, and where epsilon sits."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_study.optimizers import (
    adagrad,
    adam,
    momentum,
    momentum_ema,
    nesterov,
    rmsprop,
    sgd,
    triangular,
)
from jaxopt_study.optimizers.adam import one_minus_power

WITH_MOMENTUM = pytest.mark.parametrize("rule", [momentum, momentum_ema, nesterov])


def bent_valley(w: jax.Array) -> jax.Array:
    """Rosenbrock's function of [2]: nowhere near quadratic, so gradients at different points really differ."""
    return (1.0 - w[0]) ** 2 + 10.0 * (w[1] - w[0] ** 2) ** 2


START = jnp.array([-1.2, 1.0])


def descend(rule: optax.GradientTransformation, steps: int = 50) -> np.ndarray:
    """Returns the weights on the way down the valley, [steps + 1, 2]."""
    w, state, way = START, rule.init(START), [START]
    for _ in range(steps):
        updates, state = rule.update(jax.grad(bent_valley)(w), state, w)
        w = optax.apply_updates(w, updates)
        way.append(w)
    return np.array(way)


def feed(rule: optax.GradientTransformation, gradients: list[float]) -> np.ndarray:
    """Returns the updates of a single weight whose gradients are given."""
    state, updates = rule.init(jnp.float32(0)), []
    for g in gradients:
        u, state = rule.update(jnp.float32(g), state)
        updates.append(float(u))
    return np.array(updates)


@WITH_MOMENTUM
def test_momentum_zero_is_sgd_to_the_bit(rule):
    np.testing.assert_array_equal(descend(rule(0.003, 0.0)), descend(sgd(0.003)))


def test_averaged_momentum_is_momentum_at_a_rate_scaled_by_one_minus_momentum():
    beta = np.float32(0.9)
    scaled = descend(momentum(0.01 * float(1 - beta), beta))
    np.testing.assert_allclose(descend(momentum_ema(0.01, beta)), scaled, rtol=1e-5)
    assert np.max(np.abs(scaled - descend(momentum(0.01, beta), 50))) > 0.1


@pytest.mark.parametrize("learning_rate", [0.002, triangular(0.0005, 0.003, 7)])
def test_nesterov_takes_the_gradient_at_the_look_ahead_point(learning_rate):
    beta = jnp.float32(0.9)
    w, v, ahead = START, jnp.zeros(2), [START]
    for t in range(50):
        rate = jnp.float32(learning_rate(jnp.int32(t)) if callable(learning_rate) else learning_rate)
        v = beta * v - rate * jax.grad(bent_valley)(w + beta * v)
        w = w + v
        ahead.append(w + beta * v)
    np.testing.assert_allclose(descend(nesterov(learning_rate, beta)), np.array(ahead), rtol=2e-5, atol=1e-6)
    assert np.max(np.abs(np.array(ahead) - descend(momentum(learning_rate, beta)))) > 0.05


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.99])
def test_under_a_constant_gradient_the_velocity_grows_to_rate_over_one_minus_momentum(beta):
    speed = -feed(momentum(0.01, beta), [3.0] * 1500)
    limit = 0.01 * 3.0 / (1 - beta)
    assert speed[0] == pytest.approx(0.01 * 3.0)
    # Rounding lets it stand still or waver by a last digit once it is there.
    assert np.all(np.diff(speed) > -1e-6 * limit)
    assert speed[-1] == pytest.approx(limit, rel=1e-5)


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.99])
def test_under_a_constant_gradient_the_averaged_velocity_tends_to_it_and_never_exceeds_it(beta):
    rule, v = momentum_ema(0.01, beta), []
    state = rule.init(jnp.float32(0))
    for _ in range(1500):
        _, state = rule.update(jnp.float32(3.0), state)
        v.append(float(state.v))
    assert v[0] == pytest.approx(3.0 * (1 - beta), rel=1e-5)
    assert max(v) <= 3.0 * (1 + 1e-6)
    assert v[-1] == pytest.approx(3.0, rel=1e-5)


@WITH_MOMENTUM
def test_a_velocity_coasts_when_the_gradient_ends(rule):
    last, *coasting = feed(rule(0.01, 0.5), [1.0, 1.0, 0.0, 0.0, 0.0])[1:]
    if rule is nesterov:  # its update also looks ahead: the first one after the end loses the gradient's share
        last, *coasting = coasting
    np.testing.assert_allclose(coasting, [last * 0.5 ** (i + 1) for i in range(len(coasting))], rtol=1e-6)


@pytest.mark.parametrize(("rule", "kept"), [(momentum, -0.05), (nesterov, -0.025), (momentum_ema, 0.0)])
def test_a_rate_that_drops_to_zero_stops_only_the_rule_whose_velocity_does_not_hold_it(rule, kept):
    first_step_only = rule(lambda count: jnp.where(count < 1, 0.1, 0.0), 0.5)
    np.testing.assert_allclose(feed(first_step_only, [1.0, 1.0])[1], kept, rtol=1e-6)


def test_first_steps_are_those_that_the_docstrings_give():
    for g in (-20.0, 2.0, 0.04):
        sign = np.sign(g)
        for rule, expected in (
            (sgd(0.01), -0.01 * g),
            (momentum(0.01, 0.9), -0.01 * g),
            (momentum_ema(0.01, 0.9), -0.01 * 0.1 * g),
            (nesterov(0.01, 0.9), -0.01 * 1.9 * g),
            (rmsprop(0.01, 0.9), -0.01 * sign / np.sqrt(0.1)),
            (adam(0.01), -0.01 * sign),
            (adagrad(0.01), -0.01 * g / np.sqrt(0.1 + g * g)),
        ):
            assert feed(rule, [g])[0] == pytest.approx(expected, rel=1e-4)


def test_rmsprop_without_memory_is_descent_by_the_sign():
    gradients = [3.0, -0.2, 1e-3, -50.0, 1e-6]
    np.testing.assert_allclose(feed(rmsprop(0.01, 0.0, 1e-12), gradients), -0.01 * np.sign(gradients), rtol=2e-6)


def test_rmsprop_under_a_constant_gradient_settles_at_the_learning_rate():
    steps = -feed(rmsprop(0.01, 0.9), [5.0] * 200)
    assert steps[0] == pytest.approx(0.01 / np.sqrt(0.1), rel=1e-5)
    assert steps[-1] == pytest.approx(0.01, rel=1e-5)


def test_adam_under_a_constant_gradient_always_moves_by_the_learning_rate():
    np.testing.assert_allclose(feed(adam(0.01), [-2.0] * 200), 0.01, rtol=1e-5)


def test_adam_without_memory_is_descent_by_the_sign():
    gradients = [3.0, -0.2, 1e-3, -50.0]
    np.testing.assert_allclose(feed(adam(0.01, 0.0, 0.0, 1e-12), gradients), -0.01 * np.sign(gradients), rtol=2e-6)


def test_adagrad_under_a_constant_gradient_slows_as_one_over_the_root_of_the_steps():
    steps = -feed(adagrad(0.01, 0.0), [4.0] * 100)
    np.testing.assert_allclose(steps, 0.01 / np.sqrt(np.arange(1, 101)), rtol=1e-5)


@pytest.mark.parametrize(
    ("rule", "size"),
    [(rmsprop(0.01, 0.0, 1e-7), 1e-7), (adagrad(0.01, 0.0, 1e-7), 1e-7), (adam(0.01, eps=1e-7), 1e-7 / np.sqrt(1e-3))],
    ids=["rmsprop", "adagrad", "adam"],
)
def test_epsilon_sits_outside_the_root_where_it_halves_the_step_of_a_gradient_of_its_size(rule, size):
    assert feed(rule, [size])[0] == pytest.approx(-0.005, rel=1e-4)


@pytest.mark.parametrize("b", [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999])
def test_one_minus_power_is_exact_to_rounding(b):
    t = np.array([1, 2, 3, 10, 100, 10_000, 582_000])
    with np.errstate(divide="ignore"):
        expected = -np.expm1(t * np.log(np.float64(np.float32(b))))
    np.testing.assert_allclose(one_minus_power(jnp.float32(b), jnp.asarray(t, jnp.int32)), expected, rtol=5e-7)


def test_counting_stops_at_the_largest_integer_rather_than_wrap_to_a_negative():
    rule = adam(0.01)
    state = rule.init(jnp.float32(0))._replace(count=jnp.int32(2**31 - 1))
    assert int(rule.update(jnp.float32(1), state)[1].count) == 2**31 - 1
