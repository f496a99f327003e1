"""Max-pooling for any Flax network, with a gradient that does not search: a drop-in for ``nn.max_pool``.

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


def _forward(x: jax.Array, window: Window) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    candidates = _candidates(x, window)
    pooled = functools.reduce(jnp.maximum, candidates)
    return pooled, (x, pooled)


def _backward(window: Window, saved: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array]:
    x, pooled = saved
    n, rows, columns, channels = pooled.shape
    parts = jnp.stack(route(_candidates(x, window), pooled, gradient)).reshape(*window, n, rows, columns, channels)
    whole = parts.transpose(2, 3, 0, 4, 1, 5).reshape(n, rows * window[0], columns * window[1], channels)
    rest = [(0, full - size) for full, size in zip(x.shape, whole.shape, strict=True)]
    return (jnp.pad(whole, rest),)


_pool.defvjp(_forward, _backward)


def route(candidates: Sequence[jax.Array], pooled: jax.Array, gradient: jax.Array) -> list[jax.Array]:
    """Sends the gradient of the largest candidate to the first that is as large; all are of one shape."""
    free = jnp.ones(pooled.shape, bool)
    routed = []
    for candidate in candidates[:-1]:
        chosen = free & (candidate == pooled)
        routed.append(jnp.where(chosen, gradient, 0))
        free = free & ~chosen
    return [*routed, jnp.where(free, gradient, 0)]


def _candidates(x: jax.Array, window: Window) -> list[jax.Array]:
    """The values at each place of the windows, each [N, H // h, W // w, C], row by row."""
    rows, columns = x.shape[1] // window[0], x.shape[2] // window[1]
    x = x[:, : rows * window[0], : columns * window[1]]
    tiles = x.reshape(x.shape[0], rows, window[0], columns, window[1], x.shape[3])
    return [tiles[:, :, i, :, j] for i in range(window[0]) for j in range(window[1])]
