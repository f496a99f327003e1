"""Stochastic gradient descent."""

from typing import NamedTuple

import jax
import optax

from jaxopt_study.optimizers.family import Family, by_numbers
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.scalars import LearningRate, by_leaf


class SgdState(NamedTuple):
    """Steps taken so far, int32 []; only a schedule looks at it."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count: Optax's tools find the steps by this name


def descend(g: jax.Array, learning_rate: jax.Array) -> jax.Array:
    """Returns the update of one leaf, in the dtype of its gradient ``g``."""
    return (-(learning_rate * g)).astype(g.dtype)


def sgd(learning_rate: LearningRate) -> optax.GradientTransformation:
    r"""Descends along the gradient.

    .. math:: w \leftarrow w - learning\_rate \cdot g

    The first step is ``-learning_rate * g``, like every other. Keras, Optax and PyTorch agree.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.

    References:
        Robbins and Monro, A stochastic approximation method, 1951, https://doi.org/10.1214/aoms/1177729586
    """
    return by_leaf(learning_rate, SgdState, (), lambda rate, g: (descend(g, rate),))


FAMILIES = (Family("sgd", by_numbers(sgd), (rate(0.01),), "SGD"),)
