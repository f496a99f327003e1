"""The triangular cyclical learning rate, which any rule accepts as its learning rate."""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.optimizers.family import Family, Hyperparameter
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.scalars import Scalar, Schedule, as_float32
from jaxopt_study.optimizers.sgd import sgd


def triangular(base_learning_rate: Scalar, max_learning_rate: Scalar, step_size: Scalar) -> Schedule:
    r"""Returns a rate that climbs from base to maximum in ``step_size`` steps, falls back in as many, and so on.

    .. math::
        position &= count \bmod 2 \cdot step\_size \\
        rate &= base\_learning\_rate + slope \cdot (step\_size - |position - step\_size|) \\
        slope &= (max\_learning\_rate - base\_learning\_rate) / step\_size

    The first step has the base rate, the one after ``step_size`` steps the maximum. The remainder is taken first, which
    is exact for 2^24 steps; dividing ``count`` would lose digits as training goes on.

    The article's own implementation is a Keras callback after Smith's paper, PyTorch's is ``CyclicLR``; both are this.
    Optax has none, its piecewise schedules need every corner in advance.

    Args:
        base_learning_rate: lowest rate, may be traced.
        max_learning_rate: highest rate, may be traced.
        step_size: half a cycle, in optimizer steps (not epochs), above 0 and not necessarily whole, may be traced.

    References:
        Smith, Cyclical learning rates for training neural networks, 2015, https://arxiv.org/abs/1506.01186
    """
    base = as_float32("base_learning_rate", base_learning_rate)
    half_cycle = as_float32("step_size", step_size)
    # Divided here and not in the schedule: XLA turns the division of a variable by a constant into a product, which
    # does not round like the division by a traced number.
    slope = (as_float32("max_learning_rate", max_learning_rate) - base) / half_cycle

    def schedule(count: jax.Array) -> jax.Array:
        position = jnp.mod(jnp.asarray(count, jnp.float32), 2.0 * half_cycle)
        return base + slope * (half_cycle - jnp.abs(position - half_cycle))

    return schedule


def _cycling_sgd(numbers: Mapping[str, Scalar], steps_per_epoch: int) -> optax.GradientTransformation:
    step_size = as_float32("step_size", numbers["step_size"]) * steps_per_epoch
    return sgd(triangular(numbers["base_learning_rate"], numbers["max_learning_rate"], step_size))


FAMILIES = (
    Family(
        "cyclical",
        _cycling_sgd,
        (
            rate(0.1, "base_learning_rate"),
            rate(0.4, "max_learning_rate"),
            Hyperparameter("step_size", 4.0, 0.0, math.inf, low_open=True, unit="epochs"),
        ),
        "Cyclical learning rate",
        ordered=(("base_learning_rate", "max_learning_rate"),),
    ),
)
