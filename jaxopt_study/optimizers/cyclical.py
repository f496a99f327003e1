"""The triangular cyclical learning rate, which any rule accepts as its learning rate."""

import jax
import jax.numpy as jnp

from jaxopt_study.optimizers.scalars import Scalar, Schedule, as_float32


def triangular(base_learning_rate: Scalar, max_learning_rate: Scalar, step_size: Scalar) -> Schedule:
    r"""Returns a rate that climbs from base to maximum in ``step_size`` steps, falls back in as many, and so on.

    .. math::
        phase &= (count \bmod 2 \cdot step\_size) / step\_size \\
        rate &= base\_learning\_rate + (max\_learning\_rate - base\_learning\_rate) \cdot (1 - |phase - 1|)

    The first step has the base rate, the one after ``step_size`` steps the maximum. The remainder is taken before the
    division, which keeps the corners exact for 2^24 steps.

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
    rise = as_float32("max_learning_rate", max_learning_rate) - base
    half_cycle = as_float32("step_size", step_size)

    def schedule(count: jax.Array) -> jax.Array:
        phase = jnp.mod(jnp.asarray(count, jnp.float32), 2.0 * half_cycle) / half_cycle
        return base + rise * (1.0 - jnp.abs(phase - 1.0))

    return schedule
