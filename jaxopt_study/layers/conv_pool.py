"""Convolution 3 x 3 (same padding) and 2 x 2 max-pooling in one, as matrix products, with derivatives of their own.

The reference is ``nn.max_pool(nn.Conv(O, (3, 3), use_bias=False)(x), (2, 2), (2, 2))``, on [C, H, W, B] instead of
[B, H, W, C]: with few channels only the batch is long enough to fill vector units. A bias per filter commutes with the
maximum and is added by the caller after pooling.

A padded image splits into four phases, by the parity of row and column; the convolution computed per phase gives the
four candidates of each pooled pixel side by side, so pooling is a maximum over an axis and its gradient a routing. An
odd last row or column is never pooled (VALID 2 x 2), so only what pooling sees is kept.

The convolution is a product over `Tiles` (few channels) or `Taps` (many). The optimization barriers hold XLA to
computing an intermediate once: it would otherwise fuse it into each consumer.

Axis letters: n = H // 2 and m = W // 2 are the sides after pooling, N = n m B.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_study.layers.pooling import route

PHASES = tuple((a, b) for a in (0, 1) for b in (0, 1))
TAPS = tuple((i, j) for i in range(3) for j in range(3))
FEW_CHANNELS = 16
_Residuals = tuple[jax.Array, ...]


def with_indicator(x: jax.Array) -> jax.Array:
    """Appends a channel of ones to images [K, H, W, B]; beyond the border, where all is padded, it is 0 as well."""
    return jnp.concatenate([x, jnp.ones((1, *x.shape[1:]), x.dtype)])


def with_norm(kernel: jax.Array, slope: jax.Array, offset: jax.Array) -> jax.Array:
    """Folds ``slope x + offset``, both [K], into a kernel [3, 3, K, O] for images x with an indicator.

    So the offset costs rows of a product that there is anyway, and no map (`input_shift`) that is a run's own.

    Returns:
        The kernel, [3, 3, K + 1, O].
    """
    # A sum and no product: of this shape XLA makes one for GPUs that it finds no tiles for.
    constant = (kernel * offset[None, None, :, None]).sum(2, keepdims=True)
    return jnp.concatenate([kernel * slope[None, None, :, None], constant], 2)


def shared_columns(x: jax.Array) -> jax.Array:
    """Prepares a batch [K, H, W, B] for `shared_conv_pool`: made once a step for all runs."""
    return product(x.shape[0]).columns(lax.optimization_barrier(split_phases(x)))


@jax.custom_vjp
def conv_pool(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Maps x [C, H, W, B] and kernel [3, 3, C, O] to the pooled convolution [O, H // 2, W // 2, B]."""
    return _forward(x, kernel)[0]


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[_Residuals, jax.Array]]:
    cols = lax.optimization_barrier(shared_columns(x))
    candidates = _convolved(cols, kernel).reshape(-1, 4, x.shape[1] // 2, x.shape[2] // 2, x.shape[3])
    candidates = lax.optimization_barrier(candidates)
    # Only its shape is used in the backward pass; an array of no elements carries it.
    return pool(candidates), ((cols, kernel, candidates), jnp.zeros((0, *x.shape[1:])))


def _backward(residuals: tuple[_Residuals, jax.Array], gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    (cols, kernel, candidates), empty = residuals
    routed = lax.optimization_barrier(routed_gradient(candidates, gradient))
    form = product(kernel.shape[2])
    matrix = form.matrix(kernel)
    columns = lax.dot_general(matrix, routed.reshape(matrix.shape[0], -1), (((0,), (0,)), ((), ())))
    return form.folded(columns, (kernel.shape[2], *empty.shape[1:])), _kernel_gradient(cols, routed, kernel)


conv_pool.defvjp(_forward, _backward)


def _convolved(cols: jax.Array, kernel: jax.Array) -> jax.Array:
    """The four candidates of each pooled pixel, [O, 4 N] or [4 O, N]."""
    return lax.dot_general(product(kernel.shape[2]).matrix(kernel), cols, (((1,), (0,)), ((), ())))


def _kernel_gradient(cols: jax.Array, routed: jax.Array, kernel: jax.Array) -> jax.Array:
    """The gradient of the kernel from columns and from routed gradients [O, 4, n, m, B]."""
    flat = routed.reshape(-1, cols.shape[1])
    # Without the barrier XLA swaps the operands to save a transposition of the tiny result: 1.6 times slower.
    gradient = lax.optimization_barrier(lax.dot_general(cols, flat, (((1,), (1,)), ((), ()))))
    return product(kernel.shape[2]).kernel(gradient, kernel.shape)


@jax.custom_vjp
def shared_conv_pool(cols: jax.Array, kernel: jax.Array, shift: jax.Array) -> jax.Array:
    """The same for the first layer, whose columns all runs share and whose gradient nobody asks for.

    Args:
        cols: of the batch, see `shared_columns`.
        kernel: [3, 3, K, O].
        shift: added to the convolution before pooling, [O, 4, n, m], see `input_shift`; zeros [1, 4, n, m] where the
            kernel has it, see `with_norm`.

    Returns:
        The pooled convolution, [O, n, m, B].
    """
    return _shared_forward(cols, kernel, shift)[0]


def _shared_forward(cols: jax.Array, kernel: jax.Array, shift: jax.Array) -> tuple[jax.Array, _Residuals]:
    candidates = _convolved(cols, kernel).reshape(kernel.shape[3], *shift.shape[1:], -1)
    candidates = lax.optimization_barrier(candidates + shift[..., None])
    return pool(candidates), (cols, kernel, candidates, shift)


def _shared_backward(residuals: _Residuals, gradient: jax.Array) -> tuple[None, jax.Array, jax.Array]:
    cols, kernel, candidates, shift = residuals
    routed = lax.optimization_barrier(routed_gradient(candidates, gradient))
    d_shift = routed.sum(-1) if len(shift) == kernel.shape[3] else jnp.zeros_like(shift)
    return None, _kernel_gradient(cols, routed, kernel), d_shift


shared_conv_pool.defvjp(_shared_forward, _shared_backward)


def input_shift(kernel: jax.Array, beta: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Convolves an image that is `beta` [K] everywhere: what folding a batch norm's offset into the layer adds.

    It is a map and not one number a filter since the border is padded after the batch norm.

    Returns:
        The convolution at the four phases of the pooled pixels, [O, 4, H // 2, W // 2].
    """
    n, m = size[0] // 2, size[1] // 2
    taps = jnp.einsum("ijco,c->oij", kernel, beta)
    image = jnp.einsum("oij,ih,jw->ohw", taps, _inside(size[0]), _inside(size[1]))
    return image.reshape(-1, n, 2, m, 2).transpose(0, 2, 4, 1, 3).reshape(-1, 4, n, m)


def _inside(side: int) -> jax.Array:
    """Says which of the three taps lie inside the image, for each pixel that is pooled: [3, 2 (side // 2)]."""
    padded = jnp.pad(jnp.ones(side), 1)
    return jnp.stack([padded[i : i + 2 * (side // 2)] for i in range(3)])


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


def routed_gradient(candidates: jax.Array, gradient: jax.Array) -> jax.Array:
    """Sends the gradient of the pooled pixel [O, n, m, B] to the first of its largest candidates [O, 4, n, m, B].

    The others get zero times it: one that is not finite reaches all that the window depends on."""
    return jnp.stack(route([candidates[:, phase] for phase in range(4)], gradient, gradient * 0), 1)


class Tiles:
    """A product over 4 x 4 tiles: each column holds all that one pooled pixel depends on.

    16 C rows a column, copied once per pooled pixel, against 9 C rows for each of its four candidates in `Taps`:
    16 / 9 of the arithmetic, 16 / 36 of the copying. It wins for few channels.
    """

    @staticmethod
    def columns(phases: jax.Array) -> jax.Array:
        """Gathers the tiles of phases [C, 2, 2, n + 1, m + 1, B] as [16 C, N]."""
        channels, _, _, rows, cols, _ = phases.shape
        shifted = [phases[:, :, :, h : h + rows - 1, w : w + cols - 1] for h, w in PHASES]
        return jnp.stack(shifted).reshape(16 * channels, -1)

    @staticmethod
    def kernel(gradient: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Gives the gradient of the kernel, of this shape, from that of its matrix, [16 C, 4 O]."""
        channels, outputs = shape[2:]
        tiles = gradient.reshape(2, 2, channels, 2, 2, outputs, 4).transpose(6, 0, 3, 1, 4, 2, 5)
        tiles = tiles.reshape(4, 4, 4, channels, outputs)
        return sum((tiles[2 * a + b, a : a + 3, b : b + 3] for a, b in PHASES), jnp.zeros(shape, tiles.dtype))

    @staticmethod
    def folded(columns: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Gives the gradient of the input, of this shape [C, H, W, B], from that of its columns, [16 C, N]."""
        channels, height, width, batch = shape
        columns = columns.reshape(2, 2, channels, 2, 2, height // 2, width // 2, batch)
        none = ((0, 0),) * 3
        padded = [jnp.pad(columns[h, w], (*none, (h, 1 - h), (w, 1 - w), (0, 0))) for h, w in PHASES]
        return join_phases(padded[0] + padded[1] + padded[2] + padded[3], (height, width))

    @staticmethod
    def matrix(kernel: jax.Array) -> jax.Array:
        """Writes the kernel once per phase into a 4 x 4 tile: [3, 3, C, O] -> [4 O, 16 C]."""
        channels, outputs = kernel.shape[2:]
        placed = [jnp.pad(kernel, ((a, 1 - a), (b, 1 - b), (0, 0), (0, 0))) for a, b in PHASES]
        tiles = jnp.stack(placed).reshape(4, 2, 2, 2, 2, channels, outputs)
        return tiles.transpose(6, 0, 1, 3, 5, 2, 4).reshape(4 * outputs, 16 * channels)


class Taps:
    """A product over 3 x 3 taps (im2col): each column holds what one candidate depends on.

    No arithmetic is wasted, at the price of 9 C rows copied for each of the four candidates of a pooled pixel. It wins
    for many channels.
    """

    @staticmethod
    def columns(phases: jax.Array) -> jax.Array:
        """Gathers the taps of phases [C, 2, 2, n + 1, m + 1, B] as [9 C, 4 N]."""
        channels, _, _, rows, cols, _ = phases.shape

        def tap(row: int, col: int) -> jax.Array:
            h, w = row // 2, col // 2
            window: jax.Array = phases[:, row % 2, col % 2, h : h + rows - 1, w : w + cols - 1]
            return window

        taps = [jnp.stack([tap(a + i, b + j) for a, b in PHASES], 1) for i, j in TAPS]
        return jnp.stack(taps).reshape(9 * channels, -1)

    @staticmethod
    def kernel(gradient: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Gives the gradient of the kernel, of this shape, from that of its matrix, [9 C, O]."""
        return gradient.reshape(shape)

    @staticmethod
    def folded(columns: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Gives the gradient of the input, of this shape [C, H, W, B], from that of its columns, [9 C, 4 N]."""
        channels, height, width, batch = shape
        columns = columns.reshape(3, 3, channels, 4, height // 2, width // 2, batch)

        def phase(p: int, q: int) -> jax.Array:
            total = jnp.zeros((channels, height // 2 + 1, width // 2 + 1, batch), columns.dtype)
            for i, j in TAPS:
                a, b = (p + i) % 2, (q + j) % 2
                h, w = (a + i) // 2, (b + j) // 2
                total = total + jnp.pad(columns[i, j, :, 2 * a + b], ((0, 0), (h, 1 - h), (w, 1 - w), (0, 0)))
            return total

        rows = [jnp.stack([phase(p, 0), phase(p, 1)], 1) for p in (0, 1)]
        return join_phases(jnp.stack(rows, 1), (height, width))

    @staticmethod
    def matrix(kernel: jax.Array) -> jax.Array:
        """Writes the kernel as [O, 9 C]."""
        matrix: jax.Array = kernel.reshape(-1, kernel.shape[3]).T
        return matrix


def product(channels: int) -> type[Tiles] | type[Taps]:
    """The product for an input of this many channels."""
    return Tiles if channels < FEW_CHANNELS else Taps
