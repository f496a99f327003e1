"""Nesterov's accelerated gradient."""

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.optimizers.family import MOMENTUM, Family, by_numbers
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.momentum import MomentumState, accelerate
from jaxopt_study.optimizers.scalars import LearningRate, Scalar, as_float32, by_leaf


def nesterov(learning_rate: LearningRate, momentum: Scalar = 0.9) -> optax.GradientTransformation:
    r"""Descends with a velocity whose gradient is taken where the velocity is about to lead.

    .. math::
        v &\leftarrow momentum \cdot v - learning\_rate \cdot g \\
        w &\leftarrow w + momentum \cdot v - learning\_rate \cdot g

    This is the literal rule, ``v <- momentum * v - learning_rate * g(u + momentum * v)`` and ``u <- u + v``, written
    for ``w = u + momentum * v``, the point at which the gradient is taken. So the weights trained and evaluated here
    are the look-ahead ones, and one gradient a step is enough; both have the same velocities, at any schedule of the
    rate.

    The first step is ``-learning_rate * (1 + momentum) * g``.

    Keras does the same. Optax (``sgd(.., nesterov=True)``) and PyTorch keep the rate out of the velocity: equal while
    the rate is constant.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.
        momentum: share of the velocity that is kept, in [0, 1), may be traced.

    References:
        Nesterov, A method of solving a convex programming problem with convergence rate O(1/k^2), 1983.
        Sutskever et al., On the importance of initialization and momentum in deep learning, 2013,
        https://proceedings.mlr.press/v28/sutskever13.html
    """
    momentum = as_float32("momentum", momentum)

    def step(rate: jax.Array, g: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
        v = accelerate(v, g, rate, momentum)
        return accelerate(v, g, rate, momentum), v  # the second: where the new velocity will carry the weights next

    return by_leaf(learning_rate, MomentumState, (jnp.zeros_like,), step)


FAMILIES = (Family("nesterov", by_numbers(nesterov), (rate(0.01), MOMENTUM), "Nesterov momentum"),)
