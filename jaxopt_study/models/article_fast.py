"""The article's network in the fast layers: the arrays, initial values and results of the plain one.

Kernels stay as Flax names and lays them out; activations are [C, H, W, B]. The batch norm on the input is folded into
the first convolution, so that its columns depend on the batch alone: they are made once a step for all runs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_study.kernels import calls
from jaxopt_study.kernels.calls import Form, Parameters
from jaxopt_study.layers.batch_norm import batch_norm, inference_norm, moments, per_channel
from jaxopt_study.layers.conv_pool import conv_pool, input_shift, shared_columns, shared_conv_pool
from jaxopt_study.layers.convolution import conv
from jaxopt_study.layers.dense import dense
from jaxopt_study.layers.dropout import dropout
from jaxopt_study.layers.pooling import max_pool
from jaxopt_study.models import article
from jaxopt_study.models.linen import scale
from jaxopt_study.models.network import Network, PyTree, Variables

_Norm = Callable[[int, jax.Array], jax.Array]
_Drop = Callable[[jax.Array, int, float], jax.Array]
_Block = Callable[[int, Form, jax.Array, Parameters], jax.Array]


class _Layout(NamedTuple):
    """The static side of the network: height and width of an image, what `fast` was asked for."""

    size: tuple[int, int]
    native: bool
    notebook: bool
    dtype: Any


class Batch(NamedTuple):
    """What all runs share of a batch: columns of the first convolution (or, for blocks in C++, padded images
    [K, H + 2, W + 2, B]), and mean and variance of its input, [K]."""

    columns: jax.Array
    mean: jax.Array
    var: jax.Array


def fast(
    image_shape: tuple[int, int, int],
    batch_size: int,
    *,
    outputs: int = 1,
    notebook: bool = False,
    native: bool | None = None,
    dtype: Any = jnp.float32,
) -> Network:
    """Builds the article's network from the fast layers.

    Training batches of another size than `batch_size` (the last of an epoch) go through the plain network, which
    compiles faster; evaluation takes any size.

    Args:
        image_shape: height, width and channels of an image.
        batch_size: of all training batches but the last.
        outputs: logits an image.
        notebook: the notebook's variant, see `article.plain`.
        native: whether the kernels in C++ compute what fits them, all else being products of XLA's; None: on a CPU.
        dtype: of what goes into and comes out of convolutions and dense layers, see `article.ArticleNet`.

    Raises:
        InputError: if a size is not positive.
    """
    plain = article.plain(image_shape, outputs=outputs, notebook=notebook, conv=conv, pool=max_pool, dtype=dtype)
    if article.blocks(image_shape[:2]) == 0:
        return plain
    module = article.ArticleNet(outputs=outputs, second_dropout=notebook)
    layout = _Layout(image_shape[:2], jax.default_backend() == "cpu" if native is None else native, notebook, dtype)

    def prepare(images: jax.Array, train: bool) -> PyTree:
        if train and images.shape[0] != batch_size:
            return plain.prepare(images, train)
        return _prepare(images, train, layout)

    def train(variables: Variables, prepared: PyTree, key: jax.Array) -> tuple[jax.Array, PyTree]:
        if not isinstance(prepared, Batch):
            return plain.train(variables, prepared, key)
        seed = cast(jax.Array, module.apply({}, rngs={"dropout": key}, method="mask_seed"))
        return _train(variables, prepared, seed, layout)

    def evaluate(variables: Variables, prepared: Batch) -> jax.Array:
        return _evaluate(variables, prepared, layout)

    return Network(plain.init, prepare, train, evaluate)


def _prepare(images: jax.Array, train: bool, layout: _Layout) -> Batch:
    x = lax.optimization_barrier(scale(images.transpose(3, 1, 2, 0), train))
    channels = x.shape[0]
    mean, var = moments(x) if train else (jnp.zeros(channels), jnp.ones(channels))
    if train:
        x = (x - per_channel(mean, x)) * per_channel(lax.rsqrt(var + article.EPSILON), x)
    if layout.native and calls.fits_block(x.shape[-1], layout.dtype):
        return Batch(calls.pad(x), mean, var)
    return Batch(shared_columns(x.astype(layout.dtype)), mean, var)


def _train(variables: Variables, batch: Batch, seed: jax.Array, layout: _Layout) -> tuple[jax.Array, PyTree]:
    params, old = variables.params, variables.stats["batch_stats"]
    new = {"BatchNorm_0": _moved(old["BatchNorm_0"], batch.mean, batch.var)}

    def norm(layer: int, x: jax.Array) -> jax.Array:
        name = f"BatchNorm_{layer}"
        y, mean, var = batch_norm(x, params[name]["scale"], params[name]["bias"], article.EPSILON)
        new[name] = _moved(old[name], mean, var)
        return y

    def drop(x: jax.Array, layer: int, rate: float) -> jax.Array:
        return dropout(x, seed, layer, rate)

    def block(layer: int, form: Form, x: jax.Array, parameters: Parameters) -> jax.Array:
        name = f"BatchNorm_{layer + 1}"
        y, mean, var = calls.block(form, x, parameters, seed)
        new[name] = _moved(old[name], mean, var)
        return y

    first = params["BatchNorm_0"]
    logits = _network(params, batch.columns, first["scale"], first["bias"], norm, drop, block, layout)
    return logits, {"batch_stats": {name: new[name] for name in old}}


def _evaluate(variables: Variables, batch: Batch, layout: _Layout) -> jax.Array:
    params, stats = variables.params, variables.stats["batch_stats"]

    def norm(layer: int, x: jax.Array) -> jax.Array:
        p, s = params[f"BatchNorm_{layer}"], stats[f"BatchNorm_{layer}"]
        return inference_norm(x, p["scale"], p["bias"], s["mean"], s["var"], article.EPSILON)

    def block(layer: int, form: Form, x: jax.Array, parameters: Parameters) -> jax.Array:
        running = stats[f"BatchNorm_{layer + 1}"]
        return calls.evaluate(form, x, parameters, running["mean"], running["var"])

    first, running = params["BatchNorm_0"], stats["BatchNorm_0"]
    slope = first["scale"] * lax.rsqrt(running["var"] + article.EPSILON)
    offset = first["bias"] - running["mean"] * slope
    return _network(params, batch.columns, slope, offset, norm, lambda x, *_: x, block, layout)


def _network(
    params: PyTree,
    columns: jax.Array,
    slope: jax.Array,
    offset: jax.Array,
    norm: _Norm,
    drop: _Drop,
    block: _Block,
    layout: _Layout,
) -> jax.Array:
    """Applies the layers to an input of which `slope` and `offset` [K] are the affine map of its batch norm."""
    kernel = params["Conv_0"]["kernel"]
    shift = input_shift(kernel, offset, layout.size).astype(layout.dtype)
    kernel = (kernel * slope[None, None, :, None]).astype(layout.dtype)
    blocks = article.blocks(layout.size)
    if columns.ndim == 4:
        x = _native_blocks(params, columns, kernel, shift, block, blocks)
    else:
        x = _blocks(params, shared_conv_pool(columns, kernel, shift), norm, drop, blocks, layout)
    return _head(params, x.transpose(1, 2, 0, 3).reshape(-1, x.shape[-1]), norm, drop, blocks, layout)


def _blocks(params: PyTree, x: jax.Array, norm: _Norm, drop: _Drop, blocks: int, layout: _Layout) -> jax.Array:
    """The blocks, of which `x` is the first one's pooled convolution."""
    for layer in range(blocks):
        own = params[f"Conv_{layer}"]
        if layer:
            x = conv_pool(x.astype(layout.dtype), own["kernel"].astype(layout.dtype))
        x = norm(layer + 1, jax.nn.relu(x.astype(jnp.float32) + per_channel(own["bias"], x)))
        x = drop(x, layer, article.BLOCK_DROPOUT[layer])
    return x


def _native_blocks(
    params: PyTree, x: jax.Array, kernel: jax.Array, shift: jax.Array, block: _Block, blocks: int
) -> jax.Array:
    """The same of padded images; kernel and shift are the first one's."""
    for layer in range(blocks):
        own, norm = params[f"Conv_{layer}"], params[f"BatchNorm_{layer + 1}"]
        parameters = Parameters(
            own["kernel"] if layer else kernel,
            own["bias"],
            norm["scale"],
            norm["bias"],
            jnp.zeros(0) if layer else shift,
        )
        form = Form(article.EPSILON, layer, article.BLOCK_DROPOUT[layer], padded=layer + 1 < blocks, first=layer == 0)
        x = block(layer, form, x, parameters)
    return x


def _head(params: PyTree, x: jax.Array, norm: _Norm, drop: _Drop, blocks: int, layout: _Layout) -> jax.Array:
    """Maps flattened activations [F, B] to logits [B, O]."""
    dropouts = len(article.FILTERS)
    x = drop(norm(blocks + 1, _dense(params["Dense_0"], x, layout)), dropouts, article.DENSE_DROPOUT)
    x = _dense(params["Dense_1"], x, layout)
    x = drop(x, dropouts + 1, article.DENSE_DROPOUT) if layout.notebook else norm(blocks + 2, x)
    last = params["Dense_2"]
    logits: jax.Array = lax.dot_general(x, last["kernel"], (((0,), (0,)), ((), ()))) + last["bias"][None]
    return logits


def _dense(layer: dict[str, Any], x: jax.Array, layout: _Layout) -> jax.Array:
    product = dense(x.astype(layout.dtype), layer["kernel"].astype(layout.dtype))
    return jax.nn.relu(product.astype(jnp.float32) + layer["bias"][:, None])


def _moved(old: dict[str, jax.Array], mean: jax.Array, var: jax.Array) -> dict[str, jax.Array]:
    m = article.MOMENTUM
    return {"mean": m * old["mean"] + (1 - m) * mean, "var": m * old["var"] + (1 - m) * var}
