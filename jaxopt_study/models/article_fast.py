"""The article's network in the fast layers: the arrays, initial values and results of the plain one.

Kernels stay as Flax names and lays them out; activations are [C, H, W, B]. The batch norm on the input is folded into
the first convolution, so that its columns depend on the batch alone: they are made once a step for all runs.
"""

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_study.kernels import calls, chain, pixels
from jaxopt_study.kernels.calls import Form, Parameters
from jaxopt_study.layers.batch_norm import batch_norm, inference_norm, moments, per_channel
from jaxopt_study.layers.conv_pool import (
    conv_pool,
    input_shift,
    shared_columns,
    shared_conv_pool,
    with_indicator,
    with_norm,
)
from jaxopt_study.layers.convolution import conv
from jaxopt_study.layers.dropout import dropout
from jaxopt_study.layers.pooling import max_pool, relu
from jaxopt_study.models import article
from jaxopt_study.models.linen import scale
from jaxopt_study.models.network import Network, PyTree, Variables

PRODUCTS = {"TF32_TF32_F32_X3": 3, "tensorfloat32": 1, "bfloat16": 1}
"""Of tensor cores for one in float32, by JAX's names of precisions on a GPU, whose coarsest is TF32; else none."""


class _Layout(NamedTuple):
    """The static side of the network: height and width of an image, what `fast` was asked for."""

    size: tuple[int, int]
    native: bool
    cuda: bool
    linked: bool
    notebook: bool
    dtype: Any


class Batch(NamedTuple):
    """What all runs share of a batch: columns of the first convolution (or, for blocks in C++ or CUDA, padded images
    [K, H + 2, W + 2, B], for those in CUDA with an indicator), and mean and variance of its input, [K], which only
    training reads; ``sized`` [examples, 0] where the images are followed by others that do not count."""

    columns: jax.Array
    mean: jax.Array
    var: jax.Array
    sized: jax.Array | tuple[()] = ()


def fast(
    image_shape: tuple[int, int, int],
    batch_size: int,
    *,
    outputs: int = 1,
    notebook: bool = False,
    native: bool | None = None,
    cuda: bool = False,
    linked: bool = False,
    dtype: Any = jnp.float32,
) -> Network:
    """Builds the article's network from the fast layers.

    On a CPU without the kernels in C++ training batches of another size than `batch_size` (the last of an epoch) go
    through the plain network, which compiles faster than these layers do for one more size. Evaluation takes any size.

    Args:
        image_shape: height, width and channels of an image.
        batch_size: of all training batches but the last.
        outputs: logits an image.
        notebook: the notebook's variant, see `article.plain`.
        native: whether the kernels in C++ compute what fits them, all else being products of XLA's; None: on a CPU.
        cuda: whether the kernels in CUDA do; they must be there.
        linked: whether each block of theirs normalizes what it reads of the one before; the results are the same.
        dtype: of what goes into and comes out of convolutions and dense layers, see `article.ArticleNet`.

    Raises:
        InputError: if a size is not positive.
    """
    plain = article.plain(image_shape, outputs=outputs, notebook=notebook, conv=conv, pool=max_pool, dtype=dtype)
    if article.blocks(image_shape[:2]) == 0:
        return plain
    module = article.ArticleNet(outputs=outputs, second_dropout=notebook)
    cuda = cuda and dtype == jnp.float32
    native = not cuda and (jax.default_backend() == "cpu" if native is None else native)
    layout = _Layout(image_shape[:2], native, cuda, linked, notebook, dtype)

    def prepare(images: jax.Array, train: bool) -> PyTree:
        last = train and layout.native and images.shape[0] != batch_size
        if last and not calls.fits_whole(layout.dtype):
            return plain.prepare(images, train)
        return _prepare(images, train, layout, last)

    def train(variables: Variables, prepared: PyTree, key: jax.Array) -> tuple[jax.Array, PyTree]:
        if not isinstance(prepared, Batch):
            return plain.train(variables, prepared, key)
        seed = cast(jax.Array, module.apply({}, rngs={"dropout": key}, method="mask_seed"))
        logits, stats = _apply(variables, prepared, seed, layout)
        return logits, {"batch_stats": stats}

    def evaluate(variables: Variables, prepared: Batch) -> jax.Array:
        return _apply(variables, prepared, None, layout)[0]

    return Network(plain.init, prepare, train, evaluate, cuda)


def _prepare(images: jax.Array, train: bool, layout: _Layout, last: bool) -> Batch:
    if layout.native and images.dtype == jnp.uint8 and calls.fits_block(images.shape[0], layout.dtype):
        # XLA reads them byte by byte, and in training once more to normalize them.
        x, mean, var = pixels.read(images, article.EPSILON if train else None)
        return Batch(x, mean, var)
    x = lax.optimization_barrier(scale(images.transpose(3, 1, 2, 0), train))
    channels = x.shape[0]
    mean, var = moments(x) if train else (jnp.zeros(channels), jnp.ones(channels))
    if train:
        x = (x - per_channel(mean, x)) * per_channel(lax.rsqrt(var + article.EPSILON), x)
    if layout.cuda:
        return Batch(calls.pad(with_indicator(x)), mean, var)
    if layout.native and calls.fits_block(x.shape[-1], layout.dtype):
        return Batch(calls.pad(x), mean, var)
    if last:
        return Batch(calls.pad(calls.whole(x)), mean, var, jnp.zeros((x.shape[-1], 0)))
    return Batch(shared_columns(with_indicator(x.astype(layout.dtype))), mean, var)


def _apply(
    variables: Variables, batch: Batch, seed: jax.Array | None, layout: _Layout
) -> tuple[jax.Array, dict[str, Any]]:
    """Logits [B, O] and the statistics after it: trains with masks of the seed, uint32 [2]; evaluates without."""
    params, stats = variables.params, variables.stats["batch_stats"]
    slope, offset = params["BatchNorm_0"]["scale"], params["BatchNorm_0"]["bias"]
    if seed is None:
        running = stats["BatchNorm_0"]
        slope = slope * lax.rsqrt(running["var"] + article.EPSILON)
        offset = offset - running["mean"] * slope
    else:
        stats = _moved(stats, "BatchNorm_0", batch.mean, batch.var)
    kernel, images = params["Conv_0"]["kernel"], batch.columns
    examples = batch.sized.shape[0] if isinstance(batch.sized, jax.Array) else images.shape[-1]
    if images.ndim == 4 and calls.switched_on():
        if layout.cuda:
            kernel, shift = with_norm(kernel, slope, offset), jnp.zeros(0)
        else:
            shift = input_shift(kernel, offset, layout.size)
            kernel = kernel * slope[None, None, :, None]
        x, stats = _native_blocks(params, stats, images, kernel, shift, seed, layout, examples)
        x = x[..., :examples]
    else:
        if images.ndim == 4:  # prepared for kernels that are switched off now
            inner = images[:, 1:-1, 1:-1, :examples]
            images = shared_columns(inner if layout.cuda else with_indicator(inner))
        x, stats = _blocks(params, stats, images, with_norm(kernel, slope, offset), seed, layout)
    return _head(params, stats, x.transpose(1, 2, 0, 3).reshape(-1, x.shape[-1]), seed, layout)


def _blocks(
    params: PyTree,
    stats: dict[str, Any],
    columns: jax.Array,
    kernel: jax.Array,
    seed: jax.Array | None,
    layout: _Layout,
) -> tuple[jax.Array, dict[str, Any]]:
    """The blocks, of which the first one's kernel holds the batch norm of the input."""
    no_shift = jnp.zeros((1, 4, layout.size[0] // 2, layout.size[1] // 2), layout.dtype)
    x = shared_conv_pool(columns, kernel.astype(layout.dtype), no_shift)
    for layer in range(article.blocks(layout.size)):
        weights = params[f"Conv_{layer}"]
        if layer:
            x = conv_pool(x.astype(layout.dtype), weights["kernel"].astype(layout.dtype))
        x = relu(x.astype(jnp.float32) + per_channel(weights["bias"], x))
        x, stats = _norm(params, stats, layer + 1, x, seed)
        x = _drop(x, seed, layer, article.BLOCK_DROPOUT[layer])
    return x, stats


def _native_blocks(
    params: PyTree, stats: dict[str, Any], x: jax.Array, kernel: jax.Array, shift: jax.Array,
    seed: jax.Array | None, layout: _Layout, examples: int,
) -> tuple[jax.Array, dict[str, Any]]:  # fmt: skip
    """The same of padded images, of which the first ``examples`` count; the first kernel goes with a shift."""
    blocks = article.blocks(layout.size)
    counted = None if examples == x.shape[-1] else examples
    forms, parameters, running = [], [], []
    for layer in range(blocks):
        weights, norm = params[f"Conv_{layer}"], params[f"BatchNorm_{layer + 1}"]
        convolved = (weights["kernel"], jnp.zeros(0)) if layer else (kernel, shift)
        parameters.append(Parameters(convolved[0], weights["bias"], norm["scale"], norm["bias"], convolved[1]))
        padded, first = layer + 1 < blocks, layer == 0
        form = Form(article.EPSILON, layer, article.BLOCK_DROPOUT[layer], padded, first, layout.cuda, counted)
        forms.append(form._replace(products=PRODUCTS.get(cast(Any, jax.config).jax_default_matmul_precision, 0)))
        running.append((stats[f"BatchNorm_{layer + 1}"]["mean"], stats[f"BatchNorm_{layer + 1}"]["var"]))
    known = chain.linked(forms) if layout.linked else tuple(forms)
    if seed is None:
        return chain.evaluate(known, x, parameters, running), stats
    x, statistics = chain.blocks(known, x, parameters, seed)
    for layer, (mean, var) in enumerate(statistics):
        stats = _moved(stats, f"BatchNorm_{layer + 1}", mean, var)
    return x, stats


def _head(
    params: PyTree, stats: dict[str, Any], x: jax.Array, seed: jax.Array | None, layout: _Layout
) -> tuple[jax.Array, dict[str, Any]]:
    """Maps flattened activations [F, B] to logits [B, O]."""
    norms, dropouts = article.blocks(layout.size) + 1, len(article.FILTERS)
    x, stats = _norm(params, stats, norms, _dense(params["Dense_0"], x, layout), seed)
    x = _dense(params["Dense_1"], _drop(x, seed, dropouts, article.DENSE_DROPOUT), layout)
    if layout.notebook:
        x = _drop(x, seed, dropouts + 1, article.DENSE_DROPOUT)
    else:
        x, stats = _norm(params, stats, norms + 1, x, seed)
    last = params["Dense_2"]
    return lax.dot_general(x, last["kernel"], (((0,), (0,)), ((), ()))) + last["bias"][None], stats


def _norm(
    params: PyTree, stats: dict[str, Any], layer: int, x: jax.Array, seed: jax.Array | None
) -> tuple[jax.Array, dict[str, Any]]:
    name = f"BatchNorm_{layer}"
    scale, bias, running = params[name]["scale"], params[name]["bias"], stats[name]
    if seed is None:
        return inference_norm(x, scale, bias, running["mean"], running["var"], article.EPSILON), stats
    y, mean, var = batch_norm(x, scale, bias, article.EPSILON)
    return y, _moved(stats, name, mean, var)


def _drop(x: jax.Array, seed: jax.Array | None, layer: int, rate: float) -> jax.Array:
    return x if seed is None else dropout(x, seed, layer, rate)


def _dense(layer: dict[str, Any], x: jax.Array, layout: _Layout) -> jax.Array:
    product = dense(x.astype(layout.dtype), layer["kernel"].astype(layout.dtype))
    return relu(product.astype(jnp.float32) + layer["bias"][:, None])


def _moved(stats: dict[str, Any], name: str, mean: jax.Array, var: jax.Array) -> dict[str, Any]:
    """The statistics with those of one batch norm moved towards the batch's."""
    old, m = stats[name], article.MOMENTUM
    return {**stats, name: {"mean": m * old["mean"] + (1 - m) * mean, "var": m * old["var"] + (1 - m) * var}}


@jax.custom_vjp
def dense(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Maps x [I, B] and kernel [I, O] to [O, B], every product in its fastest order; as ``(x.T @ kernel).T``."""
    return _dense_forward(x, kernel)[0]


def _dense_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    # The barriers keep XLA from turning this into kernel.T @ x, which transposes the kernel: up to 4 times slower.
    batch_first = lax.optimization_barrier(x.T)
    product = lax.dot_general(batch_first, kernel, (((1,), (0,)), ((), ())))
    return lax.optimization_barrier(product).T, (x, kernel)


def _dense_backward(residuals: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    d_x = lax.dot_general(kernel, gradient, (((1,), (0,)), ((), ())))
    d_kernel = lax.dot_general(x, gradient, (((1,), (1,)), ((), ())))
    return d_x, d_kernel


dense.defvjp(_dense_forward, _dense_backward)
