"""A block by the kernels in C++: convolution, 2 x 2 max-pooling, bias, ReLU, batch norm and dropout in one call.

The reference is `conv_pool`, `batch_norm` and `dropout` of :mod:`jaxopt_study.layers`, one after the other. Images are
float32 [C, H + 2, W + 2, B]: a pixel of zeros around each, which counts as constant; B is a multiple of
`library.lanes`. What the backward pass keeps of the forward pass are the activations and, in a byte, the chosen output
of each window.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_study.kernels import library

Residuals = tuple[jax.Array, ...]


class Parameters(NamedTuple):
    """Of a block with C inputs and O outputs.

    Attributes:
        kernel: [3, 3, C, O].
        bias: added after pooling, [O].
        scale: gamma of the batch norm, [O].
        offset: its beta, [O].
        shift: added to the convolution before pooling, [O, 4, H // 2, W // 2], or without elements.
    """

    kernel: jax.Array
    bias: jax.Array
    scale: jax.Array
    offset: jax.Array
    shift: jax.Array


class Form(NamedTuple):
    """The static side of a block.

    Attributes:
        epsilon: of the batch norm.
        layer: number of its dropout, see `dropout.keep_mask`.
        rate: of its dropout.
        padded: whether the result has a border for a block that follows.
        first: whether the input's gradient is of no use.
    """

    epsilon: float
    layer: int
    rate: float
    padded: bool
    first: bool


def fits(batch: int, dtype: Any) -> bool:
    """Whether the kernels take a batch of this size and type."""
    return dtype == jnp.float32 and library.available() and batch % library.lanes() == 0


def pad(x: jax.Array) -> jax.Array:
    """A pixel of zeros around the images [C, H, W, B]."""
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def block(form: Form, x: jax.Array, parameters: Parameters, seed: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Applies the block in training, with the statistics of the batch.

    Args:
        form: static.
        x: [C, H + 2, W + 2, B].
        parameters: of the block.
        seed: of the step's masks, uint32 [2].

    Returns:
        The result [O, H // 2, W // 2, B], padded if asked for; mean and variance of the activations, [O] each, which
        serve the running statistics alone: no gradient flows through them.
    """
    return _forward(form, x, parameters, seed)[0]


def evaluate(form: Form, x: jax.Array, parameters: Parameters, mean: jax.Array, variance: jax.Array) -> jax.Array:
    """Applies the block with running statistics [O] and without dropout."""
    return _run(form, x, parameters, jnp.zeros(2, jnp.uint32), mean, variance)[0]


def _forward(
    form: Form, x: jax.Array, parameters: Parameters, seed: jax.Array
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], Residuals]:
    none = jnp.zeros(0)
    result, active, chosen, mean, variance = _run(form, x, parameters, seed, none, none)
    kept = (x, parameters.kernel, parameters.scale, seed, active, chosen, mean, variance, parameters.shift)
    return (result, mean, variance), kept


def _backward(
    form: Form, kept: Residuals, gradients: tuple[jax.Array, ...]
) -> tuple[jax.Array | None, Parameters, None]:
    *residuals, shift = kept
    x, kernel, _, _, active = residuals[:5]
    channels, outputs = kernel.shape[2:]
    _, rows, columns, batch = active.shape
    image = (0,) if form.first else x.shape
    routed = (outputs, *(2 * -(-(side - 2) // 2) + 2 for side in x.shape[1:3]), batch)
    scratch = (outputs * max(9 * channels, 4 * rows * columns * batch),)
    shapes = (image, kernel.shape, shift.shape, *((outputs,),) * 3, routed, scratch)
    results = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    d_x, d_kernel, d_shift, d_bias, d_scale, d_offset, *_ = _call("block_gradient", form, results)(
        *residuals, gradients[0]
    )
    return None if form.first else d_x, Parameters(d_kernel, d_bias, d_scale, d_offset, d_shift), None


block.defvjp(_forward, _backward)


def _run(
    form: Form, x: jax.Array, parameters: Parameters, seed: jax.Array, mean: jax.Array, variance: jax.Array
) -> tuple[jax.Array, ...]:
    kernel, bias, scale, offset, shift = parameters
    _, rows, columns, batch = x.shape
    n, m, outputs = (rows - 2) // 2, (columns - 2) // 2, kernel.shape[3]
    border = 2 * form.padded
    results = (
        jax.ShapeDtypeStruct((outputs, n + border, m + border, batch), jnp.float32),
        jax.ShapeDtypeStruct((outputs, n, m, batch), jnp.float32),
        jax.ShapeDtypeStruct((outputs, n, m, batch), jnp.uint8),
        *(jax.ShapeDtypeStruct((outputs,), jnp.float32),) * 2,
    )
    arguments = (x, kernel, shift, bias, scale, offset, mean, variance, seed)
    found: tuple[jax.Array, ...] = _call("block", form, results)(*arguments)
    return found


def _call(handler: str, form: Form, results: Any) -> Any:
    call = jax.ffi.ffi_call(library.target(handler), results, vmap_method="sequential")
    static = {"epsilon": np.float32(form.epsilon), "layer": np.int32(form.layer), "rate": np.float32(form.rate)}
    return functools.partial(call, **static)
