"""Momentum in its two formulations: with the rate inside the velocity, and as an exponential average."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.optimizers.family import MOMENTUM, Family, by_numbers
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.scalars import LearningRate, PyTree, Scalar, as_float32, by_leaf
from jaxopt_study.optimizers.sgd import descend


class MomentumState(NamedTuple):
    """Steps taken so far, int32 [], and the velocity, shaped like the weights."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count: Optax's tools find the steps by this name
    v: PyTree


def accelerate(v: jax.Array, g: jax.Array, learning_rate: jax.Array, momentum: jax.Array) -> jax.Array:
    """Returns the next velocity of one leaf, the rate inside it."""
    return (momentum * v - learning_rate * g).astype(v.dtype)


def average(v: jax.Array, g: jax.Array, momentum: jax.Array) -> jax.Array:
    """Returns the next velocity of one leaf as an average of gradients."""
    return (momentum * v + (1.0 - momentum) * g).astype(v.dtype)


def momentum(learning_rate: LearningRate, momentum: Scalar = 0.9) -> optax.GradientTransformation:
    r"""Descends with a velocity that remembers earlier steps.

    .. math::
        v &\leftarrow momentum \cdot v - learning\_rate \cdot g \\
        w &\leftarrow w + v

    The first step is ``-learning_rate * g``, that of SGD. Under a constant gradient ``v`` grows to
    ``-learning_rate * g / (1 - momentum)``.

    Keras does the same. Optax (``sgd(.., momentum)``) and PyTorch leave the rate out of the velocity,
    ``v <- momentum * v + g`` and ``w <- w - learning_rate * v``: equal while the rate is constant. When it
    changes, they rescale the whole velocity at once; here each gradient keeps the rate at which it came in.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.
        momentum: share of the velocity that is kept, in [0, 1), may be traced.

    References:
        Polyak, Some methods of speeding up the convergence of iteration methods, 1964,
        https://doi.org/10.1016/0041-5553(64)90137-5
    """
    momentum = as_float32("momentum", momentum)

    def step(rate: jax.Array, g: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
        v = accelerate(v, g, rate, momentum)
        return v, v

    return by_leaf(learning_rate, MomentumState, (jnp.zeros_like,), step)


def momentum_ema(learning_rate: LearningRate, momentum: Scalar = 0.9) -> optax.GradientTransformation:
    r"""Descends along an exponential moving average of the gradients.

    .. math::
        v &\leftarrow momentum \cdot v + (1 - momentum) \cdot g \\
        w &\leftarrow w - learning\_rate \cdot v

    The first step is ``-learning_rate * (1 - momentum) * g``: the average starts at zero and is not corrected for it.
    Under a constant gradient ``v`` tends to ``g`` and never exceeds it. At a constant rate the updates are those of
    :func:`momentum` at ``learning_rate * (1 - momentum)``.

    Keras has no such option. In Optax it is ``chain(ema(momentum, debias=False), scale_by_learning_rate(..))``, in
    PyTorch ``SGD(.., momentum=m, dampening=m)``, but for its first velocity, which is the gradient itself.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.
        momentum: weight of the past in the average, in [0, 1), may be traced.

    References:
        Sutskever et al., On the importance of initialization and momentum in deep learning, 2013,
        https://proceedings.mlr.press/v28/sutskever13.html, gives the form that this one rescales.
    """
    momentum = as_float32("momentum", momentum)

    def step(rate: jax.Array, g: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
        v = average(v, g, momentum)
        return descend(v, rate), v

    return by_leaf(learning_rate, MomentumState, (jnp.zeros_like,), step)


FAMILIES = (
    Family("momentum", by_numbers(momentum), (rate(0.01), MOMENTUM), "SGD with momentum"),
    Family("momentum_ema", by_numbers(momentum_ema), (rate(0.01), MOMENTUM), "SGD with averaged momentum"),
)
