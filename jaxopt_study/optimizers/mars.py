"""MARS: rules whose gradient is corrected by how it has changed, to vary less from batch to batch."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.optimizers.adamw import adamw
from jaxopt_study.optimizers.family import Family, by_numbers, decay, eps, not_negative
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.lion import lion
from jaxopt_study.optimizers.scalars import LearningRate, PyTree, Scalar, as_float32


class MarsState(NamedTuple):
    """Steps taken so far, int32 [], and the last gradient, shaped like the weights."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count: Optax's tools find the steps by this name
    last: PyTree


def variance_reduced(b1: Scalar = 0.95, gamma: Scalar = 0.025) -> optax.GradientTransformation:
    r"""Corrects the gradient by its change since the last step, before a rule takes it.

    .. math::
        c &= g + gamma \cdot \frac{b1}{1 - b1} \cdot (g - last) \quad (g \text{ in the first step}) \\
        c &\leftarrow c / \max(1, \lVert c \rVert_2)

    The norm is over an array. ``last`` is the gradient of the last step, of its own batch, which the paper calls
    MARS-approx and its authors' code does by default; the exact one is of this batch at the last weights, and costs a
    second gradient. That code begins with ``last`` = 0, the paper with no correction, as here.

    Args:
        b1: weight of the past in the rule that follows, in [0, 1), may be traced.
        gamma: how much of the correction is made, may be traced.

    References:
        Yuan et al., MARS: unleashing the power of variance reduction for training large models, 2024,
        https://arxiv.org/abs/2411.10438
    """
    b1, gamma = as_float32("b1", b1), as_float32("gamma", gamma)

    def update(grads: PyTree, before: MarsState, params: PyTree = None) -> tuple[PyTree, MarsState]:
        del params

        def corrected(g: jax.Array, last: jax.Array) -> jax.Array:
            change = jnp.where(before.count > 0, g - last, 0.0)
            c = g + gamma * b1 / (1.0 - b1) * change
            return (c / jnp.maximum(1.0, jnp.linalg.norm(c.ravel()))).astype(g.dtype)

        return jax.tree.map(corrected, grads, before.last), MarsState(optax.safe_increment(before.count), grads)

    def init(params: PyTree) -> MarsState:
        return MarsState(jnp.zeros([], jnp.int32), optax.tree.zeros_like(params))

    return optax.GradientTransformation(init, update)


def mars_adamw(
    learning_rate: LearningRate,
    b1: Scalar = 0.95,
    b2: Scalar = 0.99,
    gamma: Scalar = 0.025,
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 0.0,
) -> optax.GradientTransformation:
    """:func:`~jaxopt_study.optimizers.adamw` of the gradient that :func:`variance_reduced` gives.

    Its authors leave vectors to plain AdamW; here all weights are treated alike.
    """
    return optax.chain(variance_reduced(b1, gamma), adamw(learning_rate, b1, b2, eps, weight_decay))


def mars_lion(
    learning_rate: LearningRate, b1: Scalar = 0.95, gamma: Scalar = 0.025, weight_decay: Scalar = 0.0
) -> optax.GradientTransformation:
    """:func:`~jaxopt_study.optimizers.lion` of the gradient that :func:`variance_reduced` gives, with one decay as in
    the paper: the sign is that of the average that is kept."""
    return optax.chain(variance_reduced(b1, gamma), lion(learning_rate, b1, b1, weight_decay))


_ADAMW = (
    rate(0.003), decay("b1", 0.95), decay("b2", 0.99), not_negative("gamma", 0.025), eps(1e-8),
    not_negative("weight_decay", 0.0),
)  # fmt: skip
_LION = (rate(3e-4), decay("b1", 0.95), not_negative("gamma", 0.025), not_negative("weight_decay", 0.0))
FAMILIES = (
    Family("mars_adamw", by_numbers(mars_adamw), _ADAMW, "MARS-AdamW"),
    Family("mars_lion", by_numbers(mars_lion), _LION, "MARS-Lion"),
)
