"""The four phases of an image: what makes 2 x 2 pooling a maximum over an axis.

Activations are laid out [C, H, W, B] (channels, height, width, batch): with few channels only the batch is long enough
to fill vector units. A padded image splits into four phases, by the parity of row and column; a 3 x 3 convolution
computed per phase gives the four candidates of each pooled pixel side by side, so pooling is a maximum over an axis and
its gradient a routing. An odd last row or column is never pooled (VALID 2 x 2), so only what pooling sees is kept.

Axis letters: n = H // 2 and m = W // 2 are the sides after pooling.
"""

import jax
import jax.numpy as jnp


def split_phases(x: jax.Array) -> jax.Array:
    """Pads [C, H, W, B] by one pixel and splits it into phases [C, 2, 2, n + 1, m + 1, B]."""
    channels, height, width, batch = x.shape
    x = jnp.pad(x, ((0, 0), (1, 1 - height % 2), (1, 1 - width % 2), (0, 0)))
    x = x.reshape(channels, height // 2 + 1, 2, width // 2 + 1, 2, batch)
    return x.transpose(0, 2, 4, 1, 3, 5)


def join_phases(phases: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Turns phases [C, 2, 2, n + 1, m + 1, B] into [C, H, W, B], dropping the padding: the transpose of the split."""
    channels, _, _, rows, columns, batch = phases.shape
    x = phases.transpose(0, 3, 1, 4, 2, 5).reshape(channels, 2 * rows, 2 * columns, batch)
    return x[:, 1 : size[0] + 1, 1 : size[1] + 1]


def pool(candidates: jax.Array) -> jax.Array:
    """Takes the largest of the four candidates: [O, 4, n, m, B] -> [O, n, m, B]."""
    first = jnp.maximum(candidates[:, 0], candidates[:, 1])
    return jnp.maximum(first, jnp.maximum(candidates[:, 2], candidates[:, 3]))


def route(candidates: jax.Array, pooled: jax.Array, gradient: jax.Array) -> jax.Array:
    """Sends the gradient of the pooled pixel [O, n, m, B] to the first of its largest candidates [O, 4, n, m, B]."""
    free = jnp.ones(pooled.shape, bool)
    routed = []
    for phase in range(3):
        chosen = free & (candidates[:, phase] == pooled)
        routed.append(jnp.where(chosen, gradient, 0.0))
        free = free & ~chosen
    routed.append(jnp.where(free, gradient, 0.0))
    return jnp.stack(routed, 1)
