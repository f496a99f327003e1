"""Are the kernels in CUDA right on this GPU, and how fast? A step for `gpu_first`, a block of the network at a time."""

import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.stages import Tell
from jaxopt_study.kernels import calls, cuda_library
from jaxopt_study.kernels.calls import Form, Parameters
from jaxopt_study.layers.batch_norm import batch_norm, per_channel
from jaxopt_study.layers.conv_pool import conv_pool
from jaxopt_study.layers.dropout import dropout
from jaxopt_study.layers.pooling import relu
from jaxopt_study.models import article

PyTree = Any
LIMITS = {0: 1e-3, 1: 0.3, 3: 1e-3}
"""What results and gradients may differ by from those of XLA's products, relative to their norm, by products of tensor
cores for one in float32: with one, in TF32, pooling takes other pixels at times."""
PASSES = 7


def check(tell: Tell) -> None:
    """Whether they can be had; RuntimeError: they cannot, see the log."""
    begin = time.perf_counter()
    if not cuda_library.available():
        raise RuntimeError("the kernels in CUDA cannot be had here")
    tell(seconds=time.perf_counter() - begin)


def block(tell: Tell, layer: int, size: int, slots: int, batch: int, products: int = 0) -> None:
    """A block of so many runs, forward and backward, by the kernels and by XLA's products; ValueError: they differ.

    The first one's images are those of all runs; ``size`` is in pixels, of the whole network's images; ``products`` are
    those of tensor cores for one in float32, which XLA's are.
    """
    channels, outputs, side = [3, *article.FILTERS][layer], article.FILTERS[layer], size >> layer
    rate = article.BLOCK_DROPOUT[layer]
    padded, first = layer + 1 < len(article.FILTERS), layer == 0
    form = Form(article.EPSILON, layer, rate, padded, first, cuda=True, products=products)
    rng = np.random.default_rng(layer)

    def normal(*shape: int, mean: float = 0.0) -> jax.Array:
        return jnp.asarray(rng.normal(mean, 0.3, shape).astype(np.float32))

    parameters = Parameters(
        normal(slots, 3, 3, channels, outputs), normal(slots, outputs), normal(slots, outputs, mean=1.0),
        normal(slots, outputs), jnp.zeros((slots, 0)),
    )  # fmt: skip
    x = normal(*((slots,) if layer else ()), channels, side, side, batch)
    seeds = jnp.asarray(rng.integers(0, 2**32, (slots, 2), np.uint32))
    weights = normal(outputs, side // 2, side // 2, batch)
    both = [_graded(of, form, weights) for of in (_by_kernels, _by_products)]
    with jax.default_matmul_precision("float32"):
        (found, seconds), (expected, theirs) = (_timed(graded, x, parameters, seeds) for graded in both)
    examples = slots * batch
    errors = {name: _error(found[name], expected[name]) for name in expected}
    micros = {"us": 1e6 * seconds / examples, "us_products": 1e6 * theirs / examples}
    tell(layer=layer + 1, side=side, slots=slots, products=products, **micros, **errors)
    if not all(error < LIMITS[products] for error in errors.values()):
        raise ValueError(f"the kernels of block {layer + 1} are wrong: {errors}")


def _by_kernels(form: Form, x: jax.Array, parameters: Parameters, seed: jax.Array) -> jax.Array:
    y = calls.block(form, calls.pad(x), parameters, seed)[0]
    return y[:, 1:-1, 1:-1] if form.padded else y


def _by_products(form: Form, x: jax.Array, parameters: Parameters, seed: jax.Array) -> jax.Array:
    pooled = conv_pool(x, parameters.kernel)
    active = relu(pooled + per_channel(parameters.bias, pooled))
    y, *_ = batch_norm(active, parameters.scale, parameters.offset, form.epsilon)
    return dropout(y, seed, form.layer, form.rate)


def _graded(of: Callable[..., jax.Array], form: Form, weights: jax.Array) -> Callable[..., dict[str, PyTree]]:
    """The result of each run, and the gradients of its weighted sum."""

    def of_run(x: jax.Array, parameters: Parameters, seed: jax.Array) -> dict[str, PyTree]:
        y, back = jax.vjp(functools.partial(of, form, seed=seed), x, parameters)
        d_x, d_parameters = back(weights)
        gradients = {f"d_{name}": value for name, value in d_parameters._asdict().items() if name != "shift"}
        return {"y": y, **gradients, **({} if form.first else {"d_x": d_x})}

    return jax.jit(jax.vmap(of_run, in_axes=(None if form.first else 0, 0, 0)))


def _timed(graded: Callable[..., dict[str, PyTree]], *arguments: Any) -> tuple[dict[str, PyTree], float]:
    result = jax.block_until_ready(graded(*arguments))
    seconds = []
    for _ in range(PASSES):
        begin = time.perf_counter()
        jax.block_until_ready(graded(*arguments))
        seconds.append(time.perf_counter() - begin)
    return jax.device_get(result), statistics.median(seconds)


def _error(found: np.ndarray, expected: np.ndarray) -> float:
    difference = np.linalg.norm((found - expected).ravel().astype(np.float64))
    error = float(difference / np.linalg.norm(expected.ravel().astype(np.float64)))
    return error if np.isfinite(error) else float("inf")
