"""Nesterov's accelerated gradient."""

from typing import NamedTuple

import jax
import optax

from jaxopt_study.optimizers.family import MOMENTUM, Family, by_numbers
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.momentum import accelerate
from jaxopt_study.optimizers.scalars import (
    LearningRate,
    PyTree,
    Scalar,
    as_float32,
    first_count,
    rate_at,
)


class NesterovState(NamedTuple):
    """Steps taken so far, int32 [], and the velocity, shaped like the weights."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count: Optax's tools find the steps by this name
    v: PyTree


def look_ahead(v: jax.Array, g: jax.Array, learning_rate: jax.Array, momentum: jax.Array) -> jax.Array:
    """Returns the update of one leaf from its new velocity ``v``: where that will carry it next, less the gradient."""
    return (momentum * v - learning_rate * g).astype(v.dtype)


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

    def init(params: PyTree) -> NesterovState:
        return NesterovState(first_count(), optax.tree.zeros_like(params))

    def update(gradients: PyTree, state: NesterovState, params: PyTree = None) -> tuple[PyTree, NesterovState]:
        del params
        rate = rate_at(learning_rate, state.count)
        v = jax.tree.map(lambda v, g: accelerate(v, g, rate, momentum), state.v, gradients)
        updates = jax.tree.map(lambda v, g: look_ahead(v, g, rate, momentum), v, gradients)
        return updates, NesterovState(optax.safe_increment(state.count), v)

    return optax.GradientTransformation(init, update)


FAMILIES = (Family("nesterov", by_numbers(nesterov), (rate(0.01), MOMENTUM), "Nesterov momentum"),)
