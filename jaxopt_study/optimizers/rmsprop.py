"""RMSprop: each weight's gradient over the root of its recent mean square."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.optimizers.family import EPS, Family, by_numbers
from jaxopt_study.optimizers.family import decay as share
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.momentum import average
from jaxopt_study.optimizers.scalars import LearningRate, PyTree, Scalar, as_float32, by_leaf


class RmspropState(NamedTuple):
    """Steps taken so far, int32 [], and the mean square of the gradients, shaped like the weights."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count: Optax's tools find the steps by this name
    nu: PyTree


def divide_by_root(nu: jax.Array, g: jax.Array, learning_rate: jax.Array, eps: jax.Array) -> jax.Array:
    """Returns the update of one leaf: the gradient over the root of ``nu``, ``eps`` outside the root."""
    return (-(learning_rate * g / (jnp.sqrt(nu) + eps))).astype(nu.dtype)


def rmsprop(learning_rate: LearningRate, decay: Scalar = 0.9, eps: Scalar = 1e-7) -> optax.GradientTransformation:
    r"""Divides each gradient by the root of a moving average of its square.

    .. math::
        nu &\leftarrow decay \cdot nu + (1 - decay) \cdot g^2 \\
        w &\leftarrow w - learning\_rate \cdot g / (\sqrt{nu} + eps)

    ``nu`` starts at zero and is not corrected for it, so the first step is large: ``learning_rate / sqrt(1 - decay)``
    against the sign of the gradient, 3.2 learning rates at ``decay`` = 0.9. At ``decay`` = 0 every step is
    ``learning_rate`` against the sign.

    ``eps`` is outside the root as in the article and in the Keras of its time (2.x); Keras 3 has moved it inside.
    Optax has it inside unless ``eps_in_sqrt=False``, 1e-8 by default. PyTorch has it outside, 1e-8, and ``alpha`` (our
    ``decay``) 0.99.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.
        decay: weight of the past in the mean square (rho in the article), in [0, 1), may be traced.
        eps: added to the root to avoid a division by zero, may be traced.

    References:
        Hinton, Srivastava and Swersky, Neural networks for machine learning, lecture 6a, 2012,
        https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf
    """
    decay, eps = as_float32("decay", decay), as_float32("eps", eps)

    def step(rate: jax.Array, g: jax.Array, nu: jax.Array) -> tuple[jax.Array, ...]:
        nu = average(nu, jnp.square(g), decay)
        return divide_by_root(nu, g, rate, eps), nu

    return by_leaf(learning_rate, RmspropState, (jnp.zeros_like,), step)


FAMILIES = (Family("rmsprop", by_numbers(rmsprop), (rate(0.001), share("decay", 0.9), EPS), "RMSprop"),)
