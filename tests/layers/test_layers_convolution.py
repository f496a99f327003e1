"""The convolution for any Flax network equals the primitive, alone, differentiated and under vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxopt_study.kernels import library
from jaxopt_study.layers.convolution import conv

CASES = [
    # image, kernel, strides, padding
    ((3, 8, 8, 2), (3, 3, 2, 4), (1, 1), "SAME"),
    ((2, 7, 9, 1), (3, 3, 1, 5), (1, 1), "VALID"),
    ((2, 8, 8, 3), (3, 3, 3, 4), (2, 2), "SAME"),
    ((2, 9, 8, 3), (5, 3, 3, 2), (2, 3), "VALID"),
    ((2, 6, 6, 4), (1, 1, 4, 3), (2, 2), "VALID"),
    ((2, 6, 5, 2), (2, 4, 2, 3), (1, 2), ((2, 1), (0, 3))),
    ((2, 10, 7, 2), (7, 7, 2, 3), (1, 1), "SAME"),
    # As many filters as fill vectors: the kernels in C++, where there is a compiler.
    ((3, 9, 11, 3), (3, 3, 3, 16), (1, 1), "SAME"),
    ((2, 8, 9, 16), (3, 3, 16, 48), (2, 2), ((1, 1), (0, 1))),
    ((2, 7, 6, 16), (1, 1, 16, 32), (2, 3), "VALID"),
    ((2, 12, 17, 7), (2, 5, 7, 16), (1, 2), ((2, 1), (0, 3))),
    ((1, 6, 6, 32), (5, 5, 32, 64), (1, 1), "SAME"),
]
LAYOUT = ("NHWC", "HWIO", "NHWC")


def arrays(*shapes: tuple[int, ...]) -> list[jax.Array]:
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


def scalar(function, strides, padding):
    def loss(x, kernel):
        y = function(x, kernel, strides, padding, dimension_numbers=LAYOUT)
        return jnp.sum(jnp.sin(y)) + jnp.sum(y[..., 0] ** 2)

    return jax.value_and_grad(loss, argnums=(0, 1))


def assert_equal(found, expected):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=5e-6 * np.abs(other).max())


@pytest.mark.parametrize(("image", "kernel", "strides", "padding"), CASES)
def test_values_and_gradients_equal_the_primitive(image, kernel, strides, padding):
    x, w = arrays(image, kernel)
    ours, theirs = (scalar(f, strides, padding) for f in (conv, jax.lax.conv_general_dilated))
    assert_equal(jax.jit(ours)(x, w), jax.jit(theirs)(x, w))


@pytest.mark.parametrize(("image", "kernel", "strides", "padding"), CASES[::2])
@pytest.mark.parametrize("shared", [True, False])
def test_under_vmap_too_with_images_shared_or_not(image, kernel, strides, padding, shared):
    x, w = arrays(image if shared else (3, *image), (3, *kernel))
    axes = (None if shared else 0, 0)
    ours, theirs = (
        jax.jit(jax.vmap(scalar(f, strides, padding), in_axes=axes)) for f in (conv, jax.lax.conv_general_dilated)
    )
    assert_equal(ours(x, w), theirs(x, w))


def test_under_vmap_there_is_no_grouped_convolution():
    x, w = arrays((3, 2, 8, 8, 4), (3, 3, 3, 4, 4))
    text = jax.jit(jax.vmap(scalar(conv, (1, 1), "SAME"))).lower(x, w).as_text()
    assert "convolution" not in text
    theirs = jax.jit(jax.vmap(scalar(jax.lax.conv_general_dilated, (1, 1), "SAME"))).lower(x, w).as_text()
    assert "convolution" in theirs


def test_the_kernels_take_what_fills_vectors(monkeypatch):
    x, w = arrays((2, 8, 8, 16), (3, 3, 16, 32))

    def primitives():
        jax.clear_caches()
        text = jax.jit(scalar(conv, (1, 1), "SAME")).lower(x, w).as_text()
        return text.count("stablehlo.convolution"), text.count("custom_call @jaxopt_study_")

    if library.available():
        assert primitives() == (0, 3)
    monkeypatch.setattr(library, "available", lambda: False)
    assert primitives() == (3, 0)


def test_what_it_does_not_cover_is_left_to_the_primitive():
    x, w = arrays((2, 8, 8, 4), (3, 3, 2, 4))
    options = {"dimension_numbers": LAYOUT, "feature_group_count": 2}
    expected = jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", **options)
    np.testing.assert_array_equal(conv(x, w, (1, 1), "SAME", **options), expected)
    x, w = arrays((2, 8, 8, 2), (3, 3, 2, 4))
    options = {"dimension_numbers": LAYOUT, "rhs_dilation": (2, 2)}
    expected = jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", **options)
    np.testing.assert_array_equal(conv(x, w, (1, 1), "SAME", **options), expected)


def test_flax_takes_it_in_one_line():
    x = arrays((2, 8, 8, 3))[0]
    plain, fast = nn.Conv(5, (3, 3), strides=2), nn.Conv(5, (3, 3), strides=2, conv_general_dilated=conv)
    variables = plain.init(jax.random.key(0), x)
    np.testing.assert_allclose(fast.apply(variables, x), plain.apply(variables, x), rtol=1e-5, atol=1e-6)
