"""Adan: Adam with Nesterov momentum by the difference of two gradients."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.optimizers.adam import one_minus_power
from jaxopt_study.optimizers.decoupled import decoupled
from jaxopt_study.optimizers.family import Family, by_numbers, decay, eps, not_negative
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.momentum import average
from jaxopt_study.optimizers.scalars import LearningRate, PyTree, Scalar, as_float32


class AdanState(NamedTuple):
    """Steps taken so far, int32 []; averages of the gradient, of its differences and of the square of what they
    predict, and the last gradient, each shaped like the weights."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count: Optax's tools find the steps by this name
    mu: PyTree
    v: PyTree
    nu: PyTree
    last: PyTree


def adan(
    learning_rate: LearningRate,
    b1: Scalar = 0.98,
    b2: Scalar = 0.92,
    b3: Scalar = 0.99,
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 0.0,
) -> optax.GradientTransformation:
    r"""Averages the gradient and its difference to the last one, and divides by the root of the square of both.

    .. math::
        d &= g - last \quad (0 \text{ in the first step}) \\
        mu &\leftarrow b1 \cdot mu + (1 - b1) \cdot g \\
        v &\leftarrow b2 \cdot v + (1 - b2) \cdot d \\
        nu &\leftarrow b3 \cdot nu + (1 - b3) \cdot (g + b2 \cdot d)^2 \\
        w &\leftarrow w - learning\_rate \cdot \left(\frac{mu / (1 - b1^t) + b2 \cdot v / (1 - b2^t)}
            {\sqrt{nu / (1 - b3^t)} + eps} + weight\_decay \cdot w\right)

    The first step is ``learning_rate`` against the sign of the gradient. A ``b`` is the weight of the past, as in the
    authors' code; the paper writes ``1 - b``. Optax 0.2.8 has ``1 - b2``, 0.08, where the paper and its authors' code
    have 0.92 for the weight of the difference, so that ``optax.adan`` is another rule. The authors divide by
    ``1 + learning_rate * weight_decay``, or shrink the weights first, as here.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.
        b1: weight of the past in the average of the gradient, in [0, 1), may be traced.
        b2: weight of the past in the average of the differences, in [0, 1), may be traced.
        b3: weight of the past in the average of the square, in [0, 1), may be traced.
        eps: added to the root of the corrected moment, may be traced.
        weight_decay: share of the rate by which weights shrink in a step, may be traced.

    References:
        Xie et al., Adan: adaptive Nesterov momentum algorithm for faster optimizing deep models, 2022,
        https://arxiv.org/abs/2208.06677
    """
    b1, b2, b3, eps = (as_float32(n, x) for n, x in (("b1", b1), ("b2", b2), ("b3", b3), ("eps", eps)))

    def direction(t: jax.Array, g: jax.Array, *slots: jax.Array) -> tuple[jax.Array, ...]:
        mu, v, nu, last = slots
        difference = jnp.where(t == 1, jnp.zeros_like(g), g - last)
        mu, v = average(mu, g, b1), average(v, difference, b2)
        nu = average(nu, jnp.square(g + b2 * difference), b3)
        ahead = mu / one_minus_power(b1, t) + b2 * v / one_minus_power(b2, t)
        return ahead / (jnp.sqrt(nu / one_minus_power(b3, t)) + eps), mu, v, nu, g

    return decoupled(learning_rate, weight_decay, AdanState, (optax.tree.zeros_like,) * 4, direction)


NUMBERS = (
    rate(0.001), decay("b1", 0.98), decay("b2", 0.92), decay("b3", 0.99), eps(1e-8), not_negative("weight_decay", 0.0),
)  # fmt: skip
FAMILIES = (Family("adan", by_numbers(adan), NUMBERS, "Adan"),)
