"""Batch norm over all axes but the first, of activations [C, .., B], with a derivative of its own.

The reference is ``nn.BatchNorm`` but for its variance, a mean of squares minus the square of the mean, in which a
deviation is lost that is small beside the mean: here it is that of the deviations, in a second pass.
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
    """Returns mean and biased variance of each channel of [C, .., B], both [C].

    A variance beyond float32 is NaN, since an infinite one would make zeros of all activations.
    """
    axes = tuple(range(1, x.ndim))
    about = x.mean(axes)
    deviations = x - per_channel(about, x)
    rest = deviations.mean(axes)  # what rounding left of the mean
    variance = jnp.square(deviations).mean(axes) - jnp.square(rest)
    return about + rest, jnp.where(jnp.isfinite(variance), jnp.maximum(variance, 0.0), jnp.nan)


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
    return (x - per_channel(mean, x)) * per_channel(slope, x) + per_channel(bias, x)


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
    deviations = x - per_channel(mean, x)
    d_bias = dy.sum(axes)
    d_scale = (dy * deviations).sum(axes) * inverse
    slope = scale * inverse
    k = slope * inverse * d_scale / count
    dx = dy * per_channel(slope, x) - deviations * per_channel(k, x) - per_channel(slope * d_bias / count, x)
    return dx, d_scale, d_bias


batch_norm.defvjp(_forward, _backward)
