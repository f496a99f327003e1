"""The convolution as a product over 3 x 3 taps (im2col): each column holds what one candidate depends on.

No arithmetic is wasted, at the price of 9 C rows copied for each of the four candidates of a pooled pixel; see
:mod:`~jaxopt_study.layers.tiles` for the other way. It wins for many channels.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_study.layers.phases import join_phases

_PAIRS = tuple((a, b) for a in (0, 1) for b in (0, 1))
_TAPS = tuple((i, j) for i in range(3) for j in range(3))


def columns(phases: jax.Array) -> jax.Array:
    """Gathers the taps of phases [C, 2, 2, n + 1, m + 1, B] as [9 C, 4 n m B]."""
    channels, _, _, rows, cols, _ = phases.shape

    def tap(row: int, col: int) -> jax.Array:
        h, w = row // 2, col // 2
        window: jax.Array = phases[:, row % 2, col % 2, h : h + rows - 1, w : w + cols - 1]
        return window

    taps = [jnp.stack([tap(a + i, b + j) for a, b in _PAIRS], 1) for i, j in _TAPS]
    return jnp.stack(taps).reshape(9 * channels, -1)


def forward(kernel: jax.Array, cols: jax.Array) -> jax.Array:
    """Convolves: kernel [3, 3, C, O] and columns [9 C, 4 N] to the four candidates [O, 4 N]."""
    return lax.dot_general(_matrix(kernel), cols, (((1,), (0,)), ((), ())))


def kernel_gradient(cols: jax.Array, routed: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Gives the gradient of the kernel, of this shape, from columns [9 C, 4 N] and routed gradients [4 O, N]."""
    routed = routed.reshape(shape[3], -1)
    # The barrier keeps the order of the operands, as in tiles.
    product: jax.Array = lax.optimization_barrier(lax.dot_general(cols, routed, (((1,), (1,)), ((), ()))))
    return product.reshape(shape)


def input_gradient(kernel: jax.Array, routed: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Gives the gradient of the input, of this shape [C, H, W, B], from routed gradients [4 O, N]."""
    channels, height, width, batch = shape
    product = lax.dot_general(_matrix(kernel), routed.reshape(kernel.shape[3], -1), (((0,), (0,)), ((), ())))
    product = product.reshape(3, 3, channels, 4, height // 2, width // 2, batch)

    def phase(p: int, q: int) -> jax.Array:
        total = jnp.zeros((channels, height // 2 + 1, width // 2 + 1, batch), product.dtype)
        for i, j in _TAPS:
            a, b = (p + i) % 2, (q + j) % 2
            h, w = (a + i) // 2, (b + j) // 2
            total = total + jnp.pad(product[i, j, :, 2 * a + b], ((0, 0), (h, 1 - h), (w, 1 - w), (0, 0)))
        return total

    rows = [jnp.stack([phase(p, 0), phase(p, 1)], 1) for p in (0, 1)]
    return join_phases(jnp.stack(rows, 1), (height, width))


def _matrix(kernel: jax.Array) -> jax.Array:
    matrix: jax.Array = kernel.reshape(-1, kernel.shape[3]).T
    return matrix
