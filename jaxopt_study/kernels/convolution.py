"""Convolution of images [N, H, W, C] by the kernels in C++, and the gradient of its kernel."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_study.kernels import library

Strides = tuple[int, int]


def fits(dtype: Any, filters: int) -> bool:
    """Whether the kernels take images of this type and so many filters."""
    cpu = jax.default_backend() == "cpu"
    return cpu and dtype == jnp.float32 and library.available() and filters % library.lanes() == 0


def convolve(x: jax.Array, kernel: jax.Array, strides: Strides) -> jax.Array:
    """Convolves padded images [N, P, Q, C] with kernels [h, w, C, O] to [N, n, m, O]."""
    sides = zip(x.shape[1:3], kernel.shape[:2], strides, strict=True)
    shape = (x.shape[0], *((side - k) // stride + 1 for side, k, stride in sides), kernel.shape[3])
    y: jax.Array = _call("convolution", shape, strides)(x, kernel)
    return y


def kernel_gradient(x: jax.Array, dy: jax.Array, shape: tuple[int, ...], strides: Strides) -> jax.Array:
    """Gives the gradient of the kernel, of this shape, from the padded images and that of the result."""
    gradient: jax.Array = _call("convolution_gradient", shape, strides)(x, dy)
    return gradient


def _call(handler: str, shape: tuple[int, ...], strides: Strides) -> Any:
    result = jax.ShapeDtypeStruct(shape, jnp.float32)
    call = jax.ffi.ffi_call(library.target(handler), result, vmap_method="sequential")
    return lambda *arguments: call(*arguments, down=np.int32(strides[0]), right=np.int32(strides[1]))
