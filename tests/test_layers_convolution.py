"""The convolution for any Flax model equals lax's, values and gradients, alone and under vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxopt_study.layers.convolution import conv


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def results(module, x, params):
    def loss(p, a):
        y = module.apply({"params": p}, a)
        return jnp.sum(jnp.sin(y)), y

    return jax.value_and_grad(loss, (0, 1), has_aux=True)(params, x)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": (3, 3)},
        {"kernel_size": (3, 2), "strides": (2, 3), "padding": "VALID"},
        {"kernel_size": (1, 1), "strides": 2},
        {"kernel_size": (5, 3), "strides": 2, "padding": ((2, 0), (1, 3))},
        {"kernel_size": (3, 3), "kernel_dilation": 2},
        {"kernel_size": (3, 3), "feature_group_count": 2},
    ],
)
def test_flax_convolution_given_ours_equals_its_own(options):
    x = normal(2, 9, 8, 4)
    plain, ours = nn.Conv(6, **options), nn.Conv(6, **options, conv_general_dilated=conv)
    params = plain.init(jax.random.key(0), x)["params"]
    (_, first), first_gradients = jax.jit(lambda: results(ours, x, params))()
    (_, second), second_gradients = jax.jit(lambda: results(plain, x, params))()
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), first_gradients, second_gradients)


def test_a_sweep_over_kernels_has_no_convolution_left():
    kernels, x = normal(3, 3, 3, 4, 5), normal(2, 8, 8, 4)

    def gradient(kernel):
        module = nn.Conv(5, (3, 3), use_bias=False, conv_general_dilated=conv)
        return results(module, x, {"kernel": kernel})

    assert "conv_general_dilated" not in str(jax.make_jaxpr(jax.vmap(gradient))(kernels))
