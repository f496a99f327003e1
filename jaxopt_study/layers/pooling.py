"""Max-pooling for any Flax network, with a gradient that does not search: a drop-in for ``nn.max_pool``; and ReLU.

The gradient of XLA's pooling is a search of every window (select and scatter), for which CPUs have a generic loop.
Windows that neither overlap nor reach over the border are a reshape away from a maximum over two axes.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

Window = tuple[int, int]


def max_pool(
    x: jax.Array,
    window_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: str | Sequence[tuple[int, int]] = "VALID",
) -> jax.Array:
    """Pools as ``flax.linen.max_pool``, of which it takes the arguments.

    Images [N, H, W, C] with windows as large as their strides and without padding go the fast way; all others are left
    to Flax. Where values of a window are equal, the first takes the gradient, as in XLA.
    """
    plain = (1,) * len(window_shape) if strides is None else tuple(strides)
    fast = x.ndim == 4 and len(window_shape) == 2 and tuple(window_shape) == plain and padding == "VALID"
    if not fast or min(x.shape[1] // window_shape[0], x.shape[2] // window_shape[1]) == 0:
        pooled: jax.Array = nn.max_pool(x, tuple(window_shape), strides=strides, padding=padding)
        return pooled
    return _pool(x, (window_shape[0], window_shape[1]))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _pool(x: jax.Array, window: Window) -> jax.Array:
    return _forward(x, window)[0]


def _forward(x: jax.Array, window: Window) -> tuple[jax.Array, jax.Array]:
    return functools.reduce(jnp.maximum, _candidates(x, window)), x


def _backward(window: Window, x: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    n, rows, columns, channels = gradient.shape
    routed = route(_candidates(x, window), gradient, jnp.zeros_like(gradient))
    parts = jnp.stack(routed).reshape(*window, n, rows, columns, channels)
    whole = parts.transpose(2, 3, 0, 4, 1, 5).reshape(n, rows * window[0], columns * window[1], channels)
    rest = [(0, full - size) for full, size in zip(x.shape, whole.shape, strict=True)]
    return (jnp.pad(whole, rest),)


_pool.defvjp(_forward, _backward)


def route(candidates: Sequence[jax.Array], gradient: jax.Array, rest: jax.Array) -> list[jax.Array]:
    """Sends the gradient to the largest candidate, the first of equals, and ``rest`` to the others; all of one shape.

    It compares in the order and way of XLA's select and scatter, so that it chooses as that where some are NaN.
    """
    best, chosen = candidates[0], jnp.zeros(gradient.shape, jnp.int32)
    for i, candidate in enumerate(candidates[1:], 1):
        stays = best >= candidate
        best, chosen = jnp.where(stays, best, candidate), jnp.where(stays, chosen, i)
    return [jnp.where(chosen == i, gradient, rest) for i in range(len(candidates))]


@jax.custom_jvp
def relu(x: jax.Array) -> jax.Array:
    """The larger of x and 0. Its derivative is a factor, 0 or 1, and no choice as in ``nn.relu``: a gradient that is
    not finite stays that."""
    return jnp.maximum(x, 0)


relu.defjvps(lambda tangent, y, x: jnp.where(x > 0, tangent, tangent * 0))


def _candidates(x: jax.Array, window: Window) -> list[jax.Array]:
    """The values at each place of the windows, each [N, H // h, W // w, C], row by row."""
    rows, columns = x.shape[1] // window[0], x.shape[2] // window[1]
    x = x[:, : rows * window[0], : columns * window[1]]
    tiles = x.reshape(x.shape[0], rows, window[0], columns, window[1], x.shape[3])
    return [tiles[:, :, i, :, j] for i in range(window[0]) for j in range(window[1])]
