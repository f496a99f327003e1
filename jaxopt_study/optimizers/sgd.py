"""Stochastic gradient descent."""

from typing import NamedTuple

import jax
import optax

from jaxopt_study.optimizers.family import Family, by_numbers
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.scalars import LearningRate, PyTree, first_count, rate_at


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

    def init(params: PyTree) -> SgdState:
        del params
        return SgdState(first_count())

    def update(gradients: PyTree, state: SgdState, params: PyTree = None) -> tuple[PyTree, SgdState]:
        del params
        rate = rate_at(learning_rate, state.count)
        updates = jax.tree.map(lambda g: descend(g, rate), gradients)
        return updates, SgdState(optax.safe_increment(state.count))

    return optax.GradientTransformation(init, update)


FAMILIES = (Family("sgd", by_numbers(sgd), (rate(0.01),), "SGD"),)
