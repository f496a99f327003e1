"""Adagrad: each weight's gradient over the root of the sum of all its squares."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.optimizers.family import EPS, Family, Hyperparameter, by_numbers
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.rmsprop import divide_by_root
from jaxopt_study.optimizers.scalars import LearningRate, PyTree, Scalar, as_float32, by_leaf


class AdagradState(NamedTuple):
    """Steps taken so far, int32 [], and the sum of squared gradients, shaped like the weights."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count: Optax's tools find the steps by this name
    sum_of_squares: PyTree


def adagrad(
    learning_rate: LearningRate, initial_accumulator_value: Scalar = 0.1, eps: Scalar = 1e-7
) -> optax.GradientTransformation:
    r"""Divides each gradient by the root of the sum of all its squares so far, which only grows.

    .. math::
        sum\_of\_squares &\leftarrow sum\_of\_squares + g^2 \\
        w &\leftarrow w - learning\_rate \cdot g / (\sqrt{sum\_of\_squares} + eps)

    The sum starts at ``initial_accumulator_value``, so the first step is
    ``-learning_rate * g / (sqrt(initial_accumulator_value + g^2) + eps)``: that of SGD at 3.2 times the rate where the
    gradient is far below 0.3, ``learning_rate`` against its sign where it is far above.

    ``eps`` is outside the root as in the article and in the Keras of its time (2.x); Keras 3 and Optax have it inside,
    with the same 0.1 and 1e-7. PyTorch has it outside, 1e-10, and starts at 0.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.
        initial_accumulator_value: where the sum starts, at least 0, may be traced.
        eps: added to the root to avoid a division by zero, may be traced.

    References:
        Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and stochastic optimization, 2011,
        https://jmlr.org/papers/v12/duchi11a.html
    """
    initial = as_float32("initial_accumulator_value", initial_accumulator_value)
    eps = as_float32("eps", eps)

    def step(rate: jax.Array, g: jax.Array, total: jax.Array) -> tuple[jax.Array, ...]:
        total = (total + jnp.square(g)).astype(total.dtype)
        return divide_by_root(total, g, rate, eps), total

    return by_leaf(learning_rate, AdagradState, (lambda w: jnp.full_like(w, initial),), step)


_ACCUMULATOR = Hyperparameter("initial_accumulator_value", 0.1, 0.0, math.inf)
FAMILIES = (Family("adagrad", by_numbers(adagrad), (rate(0.001), _ACCUMULATOR, EPS), "Adagrad"),)
