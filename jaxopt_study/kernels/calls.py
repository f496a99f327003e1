"""The kernels in C++ as functions: a block of the article's network, a convolution, an update of the weights.

A block is convolution, 2 x 2 max-pooling, bias, ReLU, batch norm and dropout in one call. The reference is `conv_pool`,
`batch_norm` and `dropout` of :mod:`jaxopt_study.layers`, one after the other. Its images are float32
[C, H + 2, W + 2, B]: a pixel of zeros around each, which counts as constant; B is a multiple of `library.lanes`, of
which the last examples may be there for that alone (`whole`). What
the backward pass keeps of the forward pass are the activations and, in a byte, the chosen output of each window.
"""

import contextlib
import contextvars
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_study.kernels import cuda_library, library

Arrays = list[jax.Array]
Strides = tuple[int, int]
Residuals = tuple[jax.Array, ...]
Before = tuple[jax.Array, ...]
"""Mean, variance, scale and offset of the block before, or nothing."""
_PIXELS, _PIXELS_OF_UNITS = 32, 16
"""That a warp of the GPU adds up for the gradient of a kernel; their sums are added up in turn. Whatever the number of
runs, so that no run's sums depend on the others. On tensor cores a warp has 8 times as many kernels: else there were
too few warps."""
_CHUNK = 1024
"""Numbers that a warp of the GPU measures of an update."""


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
        examples: of the batch, that count, the first; None for all. What comes out of the others is 0.
        cuda: whether it is computed on a GPU, by the kernels in CUDA. They take a batch of any size, all runs of a vmap
            in one call, and no shift.
        before: of the block before, whose activations it reads instead of its result, the dropout's rate; None: it
            reads the result. In CUDA only, see `chain`.
        bare: whether activations come out, in place of a result; they have a border then.
        products: of coarser numbers, that stand for one of float32 in the convolution where a GPU's tensor cores take
            its sides: 3, each number being the sum of two in TF32; 1, TF32; 0, float32 without them.
    """

    epsilon: float
    layer: int
    rate: float
    padded: bool
    first: bool
    cuda: bool = False
    examples: int | None = None
    before: float | None = None
    bare: bool = False
    products: int = 0


_on = contextvars.ContextVar("_on", default=True)


@contextlib.contextmanager
def switched_off() -> Iterator[None]:
    """Within it nothing fits the kernels: JAX can differentiate them once, but not twice."""
    token = _on.set(False)
    try:
        yield
    finally:
        _on.reset(token)


def switched_on() -> bool:
    """Whether it is not within :func:`switched_off`."""
    return _on.get()


def fits_block(batch: int, dtype: Any) -> bool:
    """Whether the kernels take a batch of this size and type as it is."""
    return fits_whole(dtype) and batch % library.lanes() == 0


def fits_whole(dtype: Any) -> bool:
    """Whether the kernels take a batch of this type that is made :func:`whole`."""
    return _on.get() and dtype == jnp.float32 and library.available()


def whole(x: jax.Array) -> jax.Array:
    """The batch [.., B] with as many zeros after it as the kernels want."""
    return jnp.pad(x, (*((0, 0),) * (x.ndim - 1), (0, -x.shape[-1] % library.lanes())))


def pad(x: jax.Array) -> jax.Array:
    """A pixel of zeros around the images [C, H, W, B]."""
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


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
    x, parameters = jax.tree.map(single, (x, parameters))
    return _block(form, x, parameters, seed)


def single(x: jax.Array) -> jax.Array:
    """As float32, which is all that the kernels take: with JAX's switch for 64 bits some constants have more."""
    return x.astype(jnp.float32)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _block(form: Form, x: jax.Array, parameters: Parameters, seed: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    return forward(form, x, parameters, seed)[0]


def forward(
    form: Form, x: jax.Array, parameters: Parameters, seed: jax.Array, before: Before = ()
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], Residuals]:
    """What :func:`block` gives, or activations in place of a result, and what its :func:`backward` wants.

    ``before`` is of the block whose activations this one reads, if it does.
    """
    none = jnp.zeros(0, jnp.float32)
    result, active, chosen, mean, variance = run(form, x, parameters, seed, none, none, before)
    kept = (x, parameters.kernel, parameters.scale, seed, active, chosen, mean, variance, parameters.shift, *before)
    return (active if form.bare else result, mean, variance), kept


def backward(
    form: Form, kept: Residuals, gradients: tuple[jax.Array, ...]
) -> tuple[jax.Array | None, Parameters, None]:
    """Gradients of what the block read, once that was normalized, and of its parameters, from that of its result."""
    x, kernel, _, _, _, chosen, _, _, shift, *_ = kept
    channels, outputs = kernel.shape[2:]
    _, rows, columns, batch = chosen.shape
    image = (0,) if form.first else x.shape
    scratch: tuple[tuple[int, ...], ...]
    if form.cuda:
        parts = -(-rows * columns // (_PIXELS_OF_UNITS if form.products else _PIXELS))
        scratch = (chosen.shape, (2, outputs, rows), (parts, 9, channels, outputs))
    else:
        routed = (outputs, *(2 * -(-(side - 2) // 2) + 2 for side in x.shape[1:3]), batch)
        scratch = (routed, (outputs * max(9 * channels, 4 * rows * columns * batch),))
    shapes = (image, kernel.shape, shift.shape, *((outputs,),) * 3, *scratch)
    results = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    called = _block_call("block_gradient", form, results, *kept[:8], single(gradients[0]), before=kept[9:])
    d_x, d_kernel, d_shift, d_bias, d_scale, d_offset, *_ = called
    return None if form.first else d_x, Parameters(d_kernel, d_bias, d_scale, d_offset, d_shift), None


_block.defvjp(forward, backward)


def run(
    form: Form, x: jax.Array, parameters: Parameters, seed: jax.Array, mean: jax.Array, variance: jax.Array,
    before: Before = (),
) -> tuple[jax.Array, ...]:  # fmt: skip
    """Result (without elements if the form is bare), activations, choices, mean and variance.

    Statistics that are given have elements; then there is no dropout.
    """
    kernel, bias, scale, offset, shift = parameters
    _, rows, columns, batch = x.shape
    n, m, outputs = (rows - 2) // 2, (columns - 2) // 2, kernel.shape[3]
    border, channels = 2 * form.padded, 0 if mean.size else outputs  # statistics that are given are not computed
    inner, bordered = (outputs, n, m, batch), (outputs, n + border, m + border, batch)
    results = [
        jax.ShapeDtypeStruct((0,) if form.bare else bordered, jnp.float32),
        jax.ShapeDtypeStruct(bordered if form.bare else inner, jnp.float32),
        jax.ShapeDtypeStruct(inner, jnp.uint8),
        *(jax.ShapeDtypeStruct((channels,), jnp.float32),) * 2,
    ]
    if form.cuda:  # room for the sums of each warp: of one window, at most
        warps = n * m * -(-batch // 32)
        results.append(jax.ShapeDtypeStruct((3, channels, warps), jnp.float32))
    arguments = (x, kernel, shift, bias, scale, offset, mean, variance, seed)
    return tuple(_block_call("block", form, results, *arguments, before=before)[:5])


def _block_call(handler: str, form: Form, results: Any, *arguments: jax.Array, before: Before) -> Any:
    static = {"epsilon": np.float32(form.epsilon), "layer": np.int32(form.layer), "rate": np.float32(form.rate)}
    if not form.cuda:
        examples = arguments[0].shape[-1] if form.examples is None else form.examples
        return _call(handler, results, *arguments, **static, examples=np.int32(examples))
    # What runs share comes with an axis of length 1, and is not copied.
    call: Any = jax.ffi.ffi_call(cuda_library.target(handler), results, vmap_method="expand_dims")
    none = (jnp.zeros(0, jnp.float32),) * 4
    static |= {"rate_before": np.float32(form.before or 0), "products": np.int32(form.products)}
    return call(*arguments, *(before or none), **static)


def fits_convolution(dtype: Any, filters: int) -> bool:
    """Whether the kernels take images of this type and so many filters."""
    return _on_cpu() and dtype == jnp.float32 and filters % library.lanes() == 0


def convolve(x: jax.Array, kernel: jax.Array, strides: Strides) -> jax.Array:
    """Convolves padded images [N, P, Q, C] with kernels [h, w, C, O] to [N, n, m, O]."""
    sides = zip(x.shape[1:3], kernel.shape[:2], strides, strict=True)
    shape = (x.shape[0], *((side - k) // stride + 1 for side, k, stride in sides), kernel.shape[3])
    return _convolution("convolution", shape, strides, x, kernel)


def kernel_gradient(x: jax.Array, dy: jax.Array, shape: tuple[int, ...], strides: Strides) -> jax.Array:
    """Gives the gradient of the kernel, of this shape, from the padded images and that of the result."""
    return _convolution("convolution_gradient", shape, strides, x, dy)


def _convolution(handler: str, shape: tuple[int, ...], strides: Strides, *arguments: jax.Array) -> jax.Array:
    result = jax.ShapeDtypeStruct(shape, jnp.float32)
    down, right = (np.int32(stride) for stride in strides)
    called: jax.Array = _call(handler, result, *arguments, down=down, right=right)
    return called


def fits_update(arrays: Arrays, *, cuda: bool = False) -> bool:
    """Whether the kernel takes these, of which that in CUDA must be there."""
    return (_on.get() if cuda else _on_cpu()) and all(x.dtype == jnp.float32 for x in arrays)


def update(
    grads: Arrays, updates: Arrays, params: Arrays, signs: Arrays, alone: int, *, cuda: bool = False
) -> tuple[Arrays, Arrays, jax.Array]:
    """Adds the updates to the weights and measures both.

    Args:
        grads: arrays of any shapes.
        updates: of those shapes.
        params: of those shapes, before the update.
        signs: of the updates before, int8, as `diagnostics.joined` orders them: first those of arrays that have one by
            themselves, then those of the others, one after another, in the last.
        alone: the least size of an array that has one by itself.
        cuda: whether it is computed on a GPU, of all runs of a vmap in one call.

    Returns:
        The weights after the update; the signs of the updates; float32 [5]: opposite signs, sum of absolute updates,
        and sums of squares of gradients, updates and new weights.
    """
    count = len(grads)
    results = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (*params, *signs)]
    results.append(jax.ShapeDtypeStruct((5,), jnp.float32))
    if cuda:  # room for the sums of each warp
        results.append(jax.ShapeDtypeStruct((5, sum(-(-x.size // _CHUNK) for x in params)), jnp.float32))
    in_place = {2 * count + i: i for i in range(len(params) + len(signs))}
    call = jax.ffi.ffi_call(
        (cuda_library if cuda else library).target("measures"),
        results,
        vmap_method="broadcast_all" if cuda else "sequential",
        input_output_aliases=in_place,
    )
    called = call(*grads, *updates, *params, *signs, count=np.int32(count), alone=np.int64(alone))
    moved = count + len(signs)
    return list(called[:count]), list(called[count:moved]), called[moved]


def _on_cpu() -> bool:
    return _on.get() and jax.default_backend() == "cpu" and library.available()


def _call(handler: str, results: Any, *arguments: jax.Array, **static: Any) -> Any:
    call: Any = jax.ffi.ffi_call(library.target(handler), results, vmap_method="sequential")
    return call(*arguments, **static)
