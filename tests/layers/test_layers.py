"""Every fast layer equals its plain reference, values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxopt_study.layers.batch_norm import batch_norm
from jaxopt_study.layers.conv_pool import (
    conv_pool,
    input_shift,
    shared_columns,
    shared_conv_pool,
    with_indicator,
    with_norm,
)
from jaxopt_study.models.article_fast import dense


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def plain_conv_pool(x, kernel):
    y = jax.lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0), kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return nn.max_pool(y, (2, 2), strides=(2, 2)).transpose(3, 1, 2, 0)


def value_and_gradients(function, weights, *arguments):
    def total(*a):
        y = function(*a)
        return jnp.sum(y * weights[: y.shape[0]]), y

    (_, y), gradients = jax.jit(jax.value_and_grad(total, tuple(range(len(arguments))), has_aux=True))(*arguments)
    return y, *gradients


def assert_close(fast, plain):
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5 * float(np.abs(b).max()))


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(4, 8, 6, 5), (1, 7, 9, 3), (16, 5, 4, 2), (3, 2, 3, 1), (17, 7, 9, 2)])
def test_conv_pool_equals_lax_convolution_and_flax_pooling(shape):
    x, kernel = normal(*shape), normal(3, 3, shape[0], 6, seed=1)
    weights = normal(6, shape[1] // 2, shape[2] // 2, shape[3], seed=2)
    fast = value_and_gradients(lambda a, k: conv_pool(a, k), weights, x, kernel)
    assert_close(fast, value_and_gradients(plain_conv_pool, weights, x, kernel))


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(3, 8, 6, 5), (1, 7, 9, 3)])
def test_first_layer_with_folded_batch_norm_equals_norm_then_convolution(shape):
    x, kernel = normal(*shape), normal(3, 3, shape[0], 4, seed=1)
    slope, offset = normal(shape[0], seed=2), normal(shape[0], seed=3)
    weights = normal(4, shape[1] // 2, shape[2] // 2, shape[3], seed=4)

    def folded(k, s, o):
        shift = input_shift(k, o, shape[1:3])
        return shared_conv_pool(shared_columns(x), k * s[None, None, :, None], shift)

    def plain(k, s, o):
        return plain_conv_pool(x * s[:, None, None, None] + o[:, None, None, None], k)

    def in_the_kernel(k, s, o):
        columns = shared_columns(with_indicator(x))
        return shared_conv_pool(columns, with_norm(k, s, o), jnp.zeros((1, 4, shape[1] // 2, shape[2] // 2)))

    wanted = value_and_gradients(plain, weights, kernel, slope, offset)
    assert_close(value_and_gradients(folded, weights, kernel, slope, offset), wanted)
    assert_close(value_and_gradients(in_the_kernel, weights, kernel, slope, offset), wanted)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (7, 8)])
def test_batch_norm_equals_flax_with_gradients_and_statistics(shape):
    x, scale, bias, weights = (
        normal(*shape) + 1,
        normal(shape[0], seed=1),
        normal(shape[0], seed=2),
        normal(*shape, seed=3),
    )
    module = nn.BatchNorm(use_running_average=False, momentum=0.0, epsilon=1e-3)

    def flax(a, s, b):
        params = {"params": {"scale": s, "bias": b}, "batch_stats": {"mean": 0 * s, "var": 0 * s}}
        y, new = module.apply(params, jnp.moveaxis(a, 0, -1), mutable=["batch_stats"])
        return jnp.moveaxis(y, -1, 0), new["batch_stats"]

    fast = value_and_gradients(lambda *a: batch_norm(*a, 1e-3)[0], weights, x, scale, bias)
    assert_close(fast, value_and_gradients(lambda *a: flax(*a)[0], weights, x, scale, bias))
    stats = flax(x, scale, bias)[1]
    assert_close(batch_norm(x, scale, bias, 1e-3)[1:], (stats["mean"], stats["var"]))


@pytest.mark.gpu
def test_dense_equals_matrix_product_with_gradients():
    x, kernel, weights = normal(6, 5), normal(6, 4, seed=1), normal(4, 5, seed=2)
    fast = value_and_gradients(dense, weights, x, kernel)
    assert_close(fast, value_and_gradients(lambda a, k: (a.T @ k).T, weights, x, kernel))


@pytest.mark.gpu
def test_the_gradient_of_a_tie_goes_to_the_first_candidate_as_in_flax():
    # Whole numbers are summed exactly in any order, so all four candidates of an inner pixel are equal.
    x, kernel = jnp.ones((1, 8, 8, 2)), jnp.arange(18.0).reshape(3, 3, 1, 2)
    weights = normal(2, 4, 4, 2, seed=1)
    fast = value_and_gradients(lambda a, k: conv_pool(a, k), weights, x, kernel)
    assert_close(fast, value_and_gradients(plain_conv_pool, weights, x, kernel))
