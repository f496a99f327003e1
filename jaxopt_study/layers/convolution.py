"""A convolution that stays fast inside a sweep, for any Flax network: ``nn.Conv(..., conv_general_dilated=conv)``.

Two things make the primitive slow there. Inside a loop XLA's CPU backend runs only one layout of it fast, images
[N, H, W, C] with kernels [H, W, I, O]; both gradients come in other layouts and fall to a generic loop, 3 to 150 times
slower than what is done here (https://github.com/jax-ml/jax/issues/12868; ratios of one run on a busy machine). Here
both gradients are convolutions of that one layout, on operands that are laid out anew first; or, where the number of
filters lets them, kernels in C++ (kernels.calls). And under vmap a convolution with a kernel a
run becomes a grouped one (https://github.com/jax-ml/jax/issues/13800); here it becomes a batched matrix product over
patches.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import custom_batching, lax

from jaxopt_study.kernels import calls

LAYOUT = ("NHWC", "HWIO", "NHWC")
Pads = tuple[tuple[int, int], tuple[int, int]]
Strides = tuple[int, int]


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
    """Convolves as ``jax.lax.conv_general_dilated``, of which it takes the arguments.

    Two-dimensional convolutions of images ``[N, H, W, C]`` with kernels ``[H, W, I, O]``, without dilation and groups,
    go the fast way; all others are left to the primitive.
    """
    numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    plain = numbers == lax.conv_dimension_numbers(lhs.shape, rhs.shape, LAYOUT) if lhs.ndim == 4 else False
    dilated = any(d != 1 for d in (*(lhs_dilation or ()), *(rhs_dilation or ())))
    groups = (feature_group_count, batch_group_count)
    if not plain or dilated or groups != (1, 1):
        options: Any = (lhs_dilation, rhs_dilation, dimension_numbers, *groups, precision, preferred_element_type)
        return lax.conv_general_dilated(lhs, rhs, window_strides, padding, *options)
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(lhs.shape[1:3], rhs.shape[:2], window_strides, padding)
    (top, bottom), (left, right) = padding
    return _conv((window_strides[0], window_strides[1]), ((top, bottom), (left, right)), precision)(lhs, rhs)


def _conv(strides: Strides, pads: Pads, precision: Any) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The convolution of one geometry, with its derivative and its batching rules."""
    native = calls.switched_on()  # for the backward pass too, which is traced later

    def fits(x: jax.Array, filters: int) -> bool:
        return native and calls.fits_convolution(x.dtype, filters)

    def primitive(x: jax.Array, kernel: jax.Array, strides: Strides, pads: Pads) -> jax.Array:
        if fits(x, kernel.shape[3]):
            return calls.convolve(_pad(x, pads), kernel, strides)
        return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=LAYOUT, precision=precision)

    def by_patches(x: jax.Array, kernel: jax.Array) -> jax.Array:
        height, width, channels, features = kernel.shape
        columns = patches(x, (height, width), strides, pads)
        return jnp.matmul(columns, kernel.reshape(height * width * channels, features), precision=precision)

    forward = _batched(lambda x, kernel: primitive(x, kernel, strides, pads), by_patches)

    @jax.custom_vjp
    def run(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return forward(x, kernel)

    def fwd(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        return forward(x, kernel), (x, kernel)

    def bwd(saved: tuple[jax.Array, jax.Array], dy: jax.Array) -> tuple[jax.Array, jax.Array]:
        x, kernel = saved
        height, width = kernel.shape[:2]

        def image_direct(dy: jax.Array, kernel: jax.Array) -> jax.Array:
            spread = _spread(dy, strides)
            turned = lax.optimization_barrier(kernel[::-1, ::-1].transpose(0, 1, 3, 2))
            low = [k - 1 - pad[0] for k, pad in zip((height, width), pads, strict=True)]
            sizes = zip(x.shape[1:3], spread.shape[1:3], low, (height, width), strict=True)
            around = tuple((a, full - size - a + k - 1) for full, size, a, k in sizes)
            return primitive(_pad(spread, around), turned, (1, 1), ((0, 0), (0, 0)))

        def image_by_patches(dy: jax.Array, kernel: jax.Array) -> jax.Array:
            columns = jnp.matmul(dy, kernel.reshape(-1, kernel.shape[-1]).T, precision=precision)
            return _fold(columns.reshape(*dy.shape[:3], height, width, -1), x.shape, strides, pads)

        def kernel_direct(x: jax.Array, dy: jax.Array) -> jax.Array:
            if fits(x, kernel.shape[3]):
                return calls.kernel_gradient(_pad(x, pads), dy, kernel.shape, strides)
            spread = _spread(dy, strides)
            images = lax.optimization_barrier(x.transpose(3, 1, 2, 0))
            weights = lax.optimization_barrier(spread.transpose(1, 2, 0, 3))
            sizes = zip(x.shape[1:3], spread.shape[1:3], pads, (height, width), strict=True)
            around = tuple((pad[0], k - 1 - full - pad[0] + size) for full, size, pad, k in sizes)
            return primitive(_pad(images, around), weights, (1, 1), ((0, 0), (0, 0))).transpose(1, 2, 0, 3)

        def kernel_by_patches(x: jax.Array, dy: jax.Array) -> jax.Array:
            columns = patches(x, (height, width), strides, pads)
            product = lax.dot_general(columns, dy, (((0, 1, 2), (0, 1, 2)), ((), ())), precision=precision)
            return product.reshape(kernel.shape)

        dx = _batched(image_direct, image_by_patches)(dy, kernel)
        return dx, _batched(kernel_direct, kernel_by_patches)(x, dy)

    run.defvjp(fwd, bwd)
    return run


def patches(x: jax.Array, window: tuple[int, int], strides: Strides, pads: Pads) -> jax.Array:
    """The values under the window at every place, ``[N, P, Q, height * width * C]``, for images ``[N, H, W, C]``."""
    x = _pad(x, pads)
    places = [(size - k) // stride + 1 for size, k, stride in zip(x.shape[1:3], window, strides, strict=True)]

    def shifted(i: int, j: int) -> jax.Array:
        ends = [a + (n - 1) * s + 1 for a, n, s in zip((i, j), places, strides, strict=True)]
        return x[:, i : ends[0] : strides[0], j : ends[1] : strides[1]]

    return jnp.concatenate([shifted(i, j) for i in range(window[0]) for j in range(window[1])], axis=-1)


def _fold(columns: jax.Array, shape: tuple[int, ...], strides: Strides, pads: Pads) -> jax.Array:
    """Adds ``[N, P, Q, height, width, C]`` up where each value came from: the transpose of ``patches``."""
    zero = jnp.zeros((), columns.dtype)
    sizes = [size + sum(pad) for size, pad in zip(shape[1:3], pads, strict=True)]

    def placed(i: int, j: int) -> jax.Array:
        part = columns[:, :, :, i, j]
        ends = [
            full - a - (n - 1) * s - 1 for full, a, n, s in zip(sizes, (i, j), part.shape[1:3], strides, strict=True)
        ]
        inner = [(a, end, s - 1) for a, end, s in zip((i, j), ends, strides, strict=True)]
        return lax.pad(part, zero, ((0, 0, 0), *inner, (0, 0, 0)))

    whole = sum((placed(i, j) for i in range(columns.shape[3]) for j in range(columns.shape[4])), zero)
    (top, _), (left, _) = pads
    return whole[:, top : top + shape[1], left : left + shape[2]]


def _spread(x: jax.Array, strides: Strides) -> jax.Array:
    """Zeros between the rows and columns of [N, H, W, C], so that a stride becomes none."""
    if strides == (1, 1):
        return x
    inner = [(0, 0, stride - 1) for stride in strides]
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *inner, (0, 0, 0)))


def _pad(x: jax.Array, around: tuple[tuple[int, int], ...]) -> jax.Array:
    """Zeros around [N, H, W, C]; a negative number cuts off."""
    if all(pad == (0, 0) for pad in around):
        return x
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *((a, b, 0) for a, b in around), (0, 0, 0)))


def _batched(
    alone: Callable[[jax.Array, jax.Array], jax.Array], together: Callable[[jax.Array, jax.Array], jax.Array]
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """``alone`` as it stands, ``together`` under vmap."""
    function = custom_batching.custom_vmap(alone)

    @function.def_vmap
    def rule(size: int, batched: list[bool], a: jax.Array, b: jax.Array) -> tuple[jax.Array, bool]:
        del size
        axes = tuple(0 if is_batched else None for is_batched in batched)
        return jax.vmap(together, in_axes=axes)(a, b), True

    run: Callable[[jax.Array, jax.Array], jax.Array] = function
    return run
