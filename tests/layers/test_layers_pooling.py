"""The pooling is Flax's: values, gradients, ties, every argument."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxopt_study.layers.pooling import max_pool

CASES = [
    ((2, 8, 6, 3), (2, 2), (2, 2), "VALID"),
    ((2, 7, 9, 1), (2, 2), (2, 2), "VALID"),
    ((1, 9, 10, 2), (3, 2), (3, 2), "VALID"),
    ((1, 8, 8, 2), (3, 3), (2, 2), "SAME"),
    ((1, 8, 8, 2), (2, 2), None, "VALID"),
    ((1, 5, 5, 2), (2, 2), (2, 2), ((1, 1), (0, 1))),
    ((2, 1, 4, 2), (2, 2), (2, 2), "VALID"),
    ((2, 6, 4), (2,), (2,), "VALID"),
]


def value_and_gradient(pool, x, weights):
    def loss(x):
        return jnp.sum(jnp.sin(pool(x)) * weights)

    return pool(x), jax.grad(loss)(x)


@pytest.mark.parametrize(("shape", "window", "strides", "padding"), CASES)
@pytest.mark.parametrize("values", ["distinct", "ties"])
def test_values_and_gradients_are_those_of_flax(shape, window, strides, padding, values):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=shape) if values == "distinct" else rng.integers(0, 2, shape), jnp.float32)
    out = jax.eval_shape(lambda x: nn.max_pool(x, window, strides=strides, padding=padding), x)
    weights = jnp.asarray(rng.normal(size=out.shape), jnp.float32)
    ours = value_and_gradient(lambda x: max_pool(x, window, strides, padding), x, weights)
    theirs = value_and_gradient(lambda x: nn.max_pool(x, window, strides=strides, padding=padding), x, weights)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_the_type_of_the_images_is_kept():
    x = jnp.arange(32, dtype=jnp.bfloat16).reshape(1, 4, 4, 2)
    assert max_pool(x, (2, 2), (2, 2)).dtype == jnp.bfloat16
    assert jax.grad(lambda x: max_pool(x, (2, 2), (2, 2)).astype(jnp.float32).sum())(x).dtype == jnp.bfloat16


def test_many_runs_by_vmap_equal_one_after_another():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 2, 6, 6, 2)), jnp.float32)

    def gradient(x):
        return jax.grad(lambda x: jnp.sum(jnp.square(max_pool(x, (2, 2), (2, 2)))))(x)

    np.testing.assert_array_equal(jax.vmap(gradient)(x), jnp.stack([gradient(each) for each in x]))
