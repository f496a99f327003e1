"""Batch norm over all axes but the first, of activations [C, .., B], with a derivative of its own.

The reference is ``nn.BatchNorm``: biased variance as mean of squares minus square of the mean.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

_Residuals = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


def per_channel(vector: jax.Array, like: jax.Array) -> jax.Array:
    """Gives a vector [C] the rank of [C, .., B], for arithmetic with it."""
    return vector.reshape(vector.shape + (1,) * (like.ndim - 1))


def moments(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns mean and biased variance of each channel of [C, .., B], both [C]."""
    axes = tuple(range(1, x.ndim))
    mean = x.mean(axes)
    return mean, jnp.maximum((x * x).mean(axes) - mean * mean, 0.0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def batch_norm(
    x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalizes by the statistics of the batch.

    Args:
        x: activations [C, .., B].
        scale: gamma, [C].
        bias: beta, [C].
        epsilon: added to the variance.

    Returns:
        The normalized activations, and mean and variance of the batch, [C] each, which serve the running statistics
        alone: no gradient flows through them.
    """
    return _forward(x, scale, bias, epsilon)[0]


def inference_norm(
    x: jax.Array, scale: jax.Array, bias: jax.Array, mean: jax.Array, var: jax.Array, epsilon: float
) -> jax.Array:
    """Normalizes [C, .., B] by running statistics [C]."""
    slope = scale * lax.rsqrt(var + epsilon)
    return x * per_channel(slope, x) + per_channel(bias - mean * slope, x)


def _forward(
    x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], _Residuals]:
    mean, var = moments(x)
    y = inference_norm(x, scale, bias, mean, var, epsilon)
    return (y, mean, var), (x, mean, lax.rsqrt(var + epsilon), scale)


def _backward(
    epsilon: float, residuals: _Residuals, gradients: tuple[jax.Array, jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    del epsilon
    x, mean, inverse, scale = residuals
    dy = gradients[0]
    axes = tuple(range(1, x.ndim))
    count = x.size // x.shape[0]
    d_bias = dy.sum(axes)
    d_scale = ((dy * x).sum(axes) - mean * d_bias) * inverse
    slope = scale * inverse
    k = slope * inverse * d_scale / count
    offset = mean * k - slope * d_bias / count
    dx = dy * per_channel(slope, x) - x * per_channel(k, x) + per_channel(offset, x)
    return dx, d_scale, d_bias


batch_norm.defvjp(_forward, _backward)
