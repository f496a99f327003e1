"""Adam: moving averages of the gradient and of its square, corrected for starting at zero."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.optimizers.family import EPS, Family, by_numbers, decay
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.momentum import average
from jaxopt_study.optimizers.rmsprop import divide_by_root
from jaxopt_study.optimizers.scalars import LearningRate, PyTree, Scalar, as_float32, by_leaf, rate_at


class AdamState(NamedTuple):
    """Steps taken so far, int32 [], and the two moments of the gradients, each shaped like the weights."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count: Optax's tools find the steps by this name
    mu: PyTree
    nu: PyTree


def one_minus_power(b: jax.Array, t: jax.Array) -> jax.Array:
    """Returns ``1 - b^t``, the weight that an average started at zero has gathered after ``t`` steps.

    The power itself rounds near 1, so that ``1 - b**t`` is wrong by up to 7e-6 of its size at ``b`` = 0.999 and 1e-4 at
    0.9999; this form stays within 4e-7 (float32, CPU).
    """
    return -jnp.expm1(t.astype(jnp.float32) * jnp.log(b))


def adam(
    learning_rate: LearningRate, b1: Scalar = 0.9, b2: Scalar = 0.999, eps: Scalar = 1e-7
) -> optax.GradientTransformation:
    r"""Divides a moving average of the gradient by the root of one of its square.

    .. math::
        t &\leftarrow t + 1 \\
        mu &\leftarrow b1 \cdot mu + (1 - b1) \cdot g \\
        nu &\leftarrow b2 \cdot nu + (1 - b2) \cdot g^2 \\
        w &\leftarrow w - learning\_rate \cdot \frac{\sqrt{1 - b2^t}}{1 - b1^t} \cdot mu / (\sqrt{nu} + eps)

    The first step is ``learning_rate`` against the sign of the gradient, whatever its size; only where that nears 3e-6
    does ``eps`` shorten it, to half at 3.2e-6.

    ``eps`` is added to the root of the uncorrected ``nu`` as in Keras ("epsilon hat" in section 2 of the paper). Optax
    and PyTorch add it, 1e-8 by default, to the root of the corrected one, which is the same as dividing ours by
    ``sqrt(1 - b2^t)``: at the first step our 1e-7 is worth 3.2e-6 of theirs, later 1e-7.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.
        b1: weight of the past in the average of the gradient, in [0, 1), may be traced.
        b2: weight of the past in the average of its square, in [0, 1), may be traced.
        eps: added to the root to avoid a division by zero, may be traced.

    References:
        Kingma and Ba, Adam: a method for stochastic optimization, 2014, https://arxiv.org/abs/1412.6980
    """
    b1, b2, eps = as_float32("b1", b1), as_float32("b2", b2), as_float32("eps", eps)

    def corrected_rate(count: jax.Array) -> jax.Array:
        t = optax.safe_increment(count)
        return rate_at(learning_rate, count) * jnp.sqrt(one_minus_power(b2, t)) / one_minus_power(b1, t)

    def step(rate: jax.Array, g: jax.Array, mu: jax.Array, nu: jax.Array) -> tuple[jax.Array, ...]:
        mu, nu = average(mu, g, b1), average(nu, jnp.square(g), b2)
        return divide_by_root(nu, mu, rate, eps), mu, nu

    return by_leaf(corrected_rate, AdamState, (jnp.zeros_like, jnp.zeros_like), step)


FAMILIES = (Family("adam", by_numbers(adam), (rate(0.001), decay("b1", 0.9), decay("b2", 0.999), EPS), "Adam"),)
