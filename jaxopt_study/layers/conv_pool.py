"""Convolution 3 x 3 (same padding) and 2 x 2 max-pooling in one, with derivatives of their own.

The reference is ``nn.max_pool(nn.Conv(O, (3, 3), use_bias=False)(x), (2, 2), (2, 2))``, on [C, H, W, B] instead of
[B, H, W, C]. A bias per filter commutes with the maximum and is added by the caller after pooling.

The optimization barriers hold XLA to computing an intermediate once: it would otherwise fuse it into each consumer.
"""

import functools
from types import ModuleType
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_study.layers import taps, tiles
from jaxopt_study.layers.phases import pool, route, split_phases

# "native" is for CPUs: a whole block in C++, see native/block.py, and "phases" for what does not fit that.
Formulation = Literal["native", "phases", "im2col"]

_FEW_CHANNELS = 16
_Residuals = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


def products(channels: int, formulation: Formulation) -> ModuleType:
    """Chooses the products for an input of this many channels: tiles for fewer than 16 on a CPU, otherwise taps."""
    return tiles if formulation != "im2col" and channels < _FEW_CHANNELS else taps


def shared_columns(x: jax.Array, formulation: Formulation) -> jax.Array:
    """Prepares a batch [K, H, W, B] for `shared_conv_pool`: made once a step for all runs."""
    phases = lax.optimization_barrier(split_phases(x))
    columns: jax.Array = products(x.shape[0], formulation).columns(phases)
    return columns


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv_pool(x: jax.Array, kernel: jax.Array, formulation: Formulation) -> jax.Array:
    """Maps x [C, H, W, B] and kernel [3, 3, C, O] to the pooled convolution [O, H // 2, W // 2, B]."""
    return _forward(x, kernel, formulation)[0]


def _forward(
    x: jax.Array, kernel: jax.Array, formulation: Formulation
) -> tuple[jax.Array, tuple[_Residuals, jax.Array]]:
    phases = lax.optimization_barrier(split_phases(x))
    cols = lax.optimization_barrier(products(x.shape[0], formulation).columns(phases))
    candidates = products(x.shape[0], formulation).forward(kernel, cols)
    candidates = candidates.reshape(-1, 4, x.shape[1] // 2, x.shape[2] // 2, x.shape[3])
    candidates = lax.optimization_barrier(candidates)
    pooled = pool(candidates)
    # Only its shape is used in the backward pass; an array of no elements carries it.
    return pooled, ((cols, kernel, candidates, pooled), jnp.zeros((0, *x.shape[1:])))


def _backward(
    formulation: Formulation, residuals: tuple[_Residuals, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    (cols, kernel, candidates, pooled), empty = residuals
    channels, outputs = kernel.shape[2:]
    form = products(channels, formulation)
    routed = lax.optimization_barrier(route(candidates, pooled, gradient)).reshape(4 * outputs, -1)
    shape = (channels, *empty.shape[1:])
    return form.input_gradient(kernel, routed, shape), form.kernel_gradient(cols, routed, kernel.shape)


conv_pool.defvjp(_forward, _backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def shared_conv_pool(cols: jax.Array, kernel: jax.Array, shift: jax.Array, formulation: Formulation) -> jax.Array:
    """The same for the first layer, whose columns all runs share and whose gradient nobody asks for.

    Args:
        cols: of the batch, see `shared_columns`.
        kernel: [3, 3, K, O].
        shift: added to the convolution before pooling, [O, 4, n, m]; see `input_shift`.
        formulation: that of the columns.

    Returns:
        The pooled convolution, [O, n, m, B].
    """
    return _shared_forward(cols, kernel, shift, formulation)[0]


def _shared_forward(
    cols: jax.Array, kernel: jax.Array, shift: jax.Array, formulation: Formulation
) -> tuple[jax.Array, _Residuals]:
    candidates = products(kernel.shape[2], formulation).forward(kernel, cols).reshape(*shift.shape, -1)
    candidates = lax.optimization_barrier(candidates + shift[..., None])
    pooled = pool(candidates)
    return pooled, (cols, kernel, candidates, pooled)


def _shared_backward(
    formulation: Formulation, residuals: _Residuals, gradient: jax.Array
) -> tuple[None, jax.Array, jax.Array]:
    cols, kernel, candidates, pooled = residuals
    routed = lax.optimization_barrier(route(candidates, pooled, gradient))
    flat = routed.reshape(4 * kernel.shape[3], -1)
    return None, products(kernel.shape[2], formulation).kernel_gradient(cols, flat, kernel.shape), routed.sum(-1)


shared_conv_pool.defvjp(_shared_forward, _shared_backward)


def input_shift(kernel: jax.Array, beta: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Convolves an image that is `beta` [K] everywhere: what folding a batch norm's offset into the layer adds.

    It is a map and not one number a filter since the border is padded after the batch norm.

    Returns:
        The convolution at the four phases of the pooled pixels, [O, 4, H // 2, W // 2].
    """
    n, m = size[0] // 2, size[1] // 2
    taps_ = jnp.einsum("ijco,c->oij", kernel, beta)
    image = jnp.einsum("oij,ih,jw->ohw", taps_, _inside(size[0]), _inside(size[1]))
    return image.reshape(-1, n, 2, m, 2).transpose(0, 2, 4, 1, 3).reshape(-1, 4, n, m)


def _inside(side: int) -> jax.Array:
    """Says which of the three taps lie inside the image, for each pixel that is pooled: [3, 2 (side // 2)]."""
    padded = jnp.pad(jnp.ones(side), 1)
    return jnp.stack([padded[i : i + 2 * (side // 2)] for i in range(3)])
