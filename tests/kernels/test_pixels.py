"""The kernel in C++ that reads pixels, against their definition in float64."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxopt_study.kernels import library, pixels
from jaxopt_study.models.article_fast import fast

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="there is no C++ compiler"
)
EPSILON = 1e-3


def images_of(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def assert_read(images, train):
    x, mean, var = pixels.read(jnp.asarray(images), EPSILON if train else None)
    numbers = images.astype(np.float64) / 255
    if train:
        means, variances = numbers.mean((0, 1, 2)), numbers.var((0, 1, 2))
        np.testing.assert_allclose(mean, means, rtol=1e-7, atol=0)
        np.testing.assert_allclose(var, variances, rtol=1e-6, atol=1e-12)
        numbers = (numbers - means) / np.sqrt(variances + EPSILON)
    expected = np.pad(numbers.transpose(3, 1, 2, 0), ((0, 0), (1, 1), (1, 1), (0, 0)))
    np.testing.assert_allclose(x, expected, rtol=1e-5, atol=2e-6)


@settings(max_examples=12, deadline=None)
@given(
    st.integers(1, 9),
    st.sampled_from([1, 5, 21, 22, 64, 65]),
    st.integers(1, 5),
    st.integers(1, 3),
    st.booleans(),
)
@pytest.mark.parametrize("train", [False, True])
def test_pixels_are_numbers_within_a_border_of_zeros(train, height, width, channels, vectors, edge):
    images = images_of((vectors * library.lanes(), height, width, channels))
    assert_read(np.where(images < 128, 0, 255).astype(np.uint8) if edge else images, train)


def test_channels_without_variance_have_none_however_many_pixels():
    rows = 2**15 // library.lanes() * 3  # more than one sum of 32 bits takes
    images = np.broadcast_to(np.uint8([255, 3]), (library.lanes(), rows, 1, 2))
    x, mean, var = pixels.read(jnp.asarray(images), EPSILON)
    np.testing.assert_array_equal(mean, np.float32([1, 3 / 255]))
    np.testing.assert_array_equal(var, 0)
    np.testing.assert_allclose(x, 0, atol=2e-6)


def test_batches_of_a_vmap_are_each_their_own():
    images = jnp.asarray(images_of((3, 2 * library.lanes(), 6, 7, 3)))
    together = jax.vmap(lambda x: pixels.read(x, EPSILON))(images)
    for i in range(3):
        for one, of_all in zip(pixels.read(images[i], EPSILON), together, strict=True):
            np.testing.assert_array_equal(one, of_all[i])


@pytest.mark.parametrize("train", [False, True])
def test_the_network_reads_them_as_it_does_without_the_kernel(train):
    images = jnp.asarray(images_of((32, 8, 8, 3)))
    network = fast((8, 8, 3), 32, native=True)
    prepared = network.prepare(images, train)
    floats = network.prepare(images.astype(jnp.float32) / 255, train)  # goes through XLA
    for ours, theirs in zip(jax.tree.leaves(prepared)[: 3 if train else 1], jax.tree.leaves(floats), strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)
    assert "jaxopt_study_pixels" in jax.jit(lambda x: network.prepare(x, train)).lower(images).as_text()
