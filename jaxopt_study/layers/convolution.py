"""A convolution for any Flax model under a sweep: ``nn.Conv(.., conv_general_dilated=conv)``.

Under vmap over configurations XLA's convolution becomes a grouped one, which is slow on every device (jax issue 13800).
Written as a product with gathered taps (im2col), it becomes a batched matrix product instead, and so do both gradients.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

_NHWC = ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))

_Pair = tuple[int, int]
_Geometry = tuple[_Pair, tuple[_Pair, _Pair]]
_Residuals = tuple[jax.Array, jax.Array]


def conv(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> jax.Array:
    """Takes the arguments of ``lax.conv_general_dilated`` and gives its result.

    Convolutions of images [B, H, W, C] with kernels [h, w, C, O], without dilation or groups, become matrix products;
    all others are left to ``lax``.
    """
    dilation = (*(lhs_dilation or ()), *(rhs_dilation or ()))
    options = (feature_group_count, batch_group_count, precision, preferred_element_type)
    simple = all(d == 1 for d in dilation) and options == (1, 1, None, None) and lhs.dtype == rhs.dtype
    if lhs.ndim != 4 or not simple or not _is_nhwc(lhs, rhs, dimension_numbers):
        return lax.conv_general_dilated(
            lhs,
            rhs,
            window_strides,
            padding,
            lhs_dilation,
            rhs_dilation,
            dimension_numbers,
            feature_group_count,
            batch_group_count,
            precision,
            preferred_element_type,
        )
    strides = (window_strides[0], window_strides[1])
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(lhs.shape[1:3], rhs.shape[:2], strides, padding)
    pads = ((padding[0][0], padding[0][1]), (padding[1][0], padding[1][1]))
    return _product(lhs, rhs, (strides, pads))


def _is_nhwc(lhs: jax.Array, rhs: jax.Array, numbers: Any) -> bool:
    found = lax.conv_dimension_numbers(lhs.shape, rhs.shape, numbers)
    return (tuple(found.lhs_spec), tuple(found.rhs_spec), tuple(found.out_spec)) == _NHWC


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _product(x: jax.Array, kernel: jax.Array, geometry: _Geometry) -> jax.Array:
    return _forward(x, kernel, geometry)[0]


def _forward(x: jax.Array, kernel: jax.Array, geometry: _Geometry) -> tuple[jax.Array, _Residuals]:
    cols = _columns(x, kernel.shape, geometry)
    flat = kernel.reshape(-1, kernel.shape[3])
    y = lax.dot_general(cols, flat, (((3,), (0,)), ((), ())))
    # The columns are rebuilt in the backward pass from x: keeping them would take h w times its memory.
    return y, (x, kernel)


def _backward(geometry: _Geometry, residuals: _Residuals, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    cols = _columns(x, kernel.shape, geometry)
    d_kernel = lax.dot_general(cols, gradient, (((0, 1, 2), (0, 1, 2)), ((), ()))).reshape(kernel.shape)
    return _input_gradient(kernel, gradient, x.shape, geometry), d_kernel


_product.defvjp(_forward, _backward)


def _columns(x: jax.Array, kernel_shape: tuple[int, ...], geometry: _Geometry) -> jax.Array:
    """Gathers the taps of each output pixel: [B, H, W, C] -> [B, H', W', h w C]."""
    strides, pads = geometry
    zero = jnp.zeros((), x.dtype)
    padded = lax.pad(x, zero, ((0, 0, 0), (*pads[0], 0), (*pads[1], 0), (0, 0, 0)))
    height = (padded.shape[1] - kernel_shape[0]) // strides[0] + 1
    width = (padded.shape[2] - kernel_shape[1]) // strides[1] + 1

    def tap(i: int, j: int) -> jax.Array:
        stop = (i + (height - 1) * strides[0] + 1, j + (width - 1) * strides[1] + 1)
        window: jax.Array = padded[:, i : stop[0] : strides[0], j : stop[1] : strides[1]]
        return window

    taps = [tap(i, j) for i in range(kernel_shape[0]) for j in range(kernel_shape[1])]
    return lax.optimization_barrier(jnp.concatenate(taps, -1))


def _input_gradient(kernel: jax.Array, gradient: jax.Array, shape: tuple[int, ...], geometry: _Geometry) -> jax.Array:
    """Adds up what each tap sends back to the pixel it was taken from."""
    (row_stride, col_stride), pads = geometry
    rows, cols = shape[1] + sum(pads[0]), shape[2] + sum(pads[1])
    height, width = gradient.shape[1:3]
    zero = jnp.zeros((), gradient.dtype)
    product = lax.dot_general(gradient, kernel.reshape(-1, kernel.shape[3]), (((3,), (1,)), ((), ())))
    product = product.reshape(*gradient.shape[:3], *kernel.shape[:3])
    total = jnp.zeros((shape[0], rows, cols, shape[3]), gradient.dtype)
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            low = (i, j)
            high = (rows - i - (height - 1) * row_stride - 1, cols - j - (width - 1) * col_stride - 1)
            spread = ((0, 0, 0), (low[0], high[0], row_stride - 1), (low[1], high[1], col_stride - 1), (0, 0, 0))
            total = total + lax.pad(product[:, :, :, i, j], zero, spread)
    crop = ((0, 0, 0), (-pads[0][0], -pads[0][1], 0), (-pads[1][0], -pads[1][1], 0), (0, 0, 0))
    return lax.pad(total, zero, crop)
