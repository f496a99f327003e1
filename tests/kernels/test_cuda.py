"""The kernels in CUDA, compiled for the host, against the layers they stand for."""

import functools

import emulated
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small
from blocks import EPSILON, arrays, assert_close, both, reference
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxopt_study.kernels import calls
from jaxopt_study.kernels.calls import Form
from jaxopt_study.layers.batch_norm import inference_norm

pytestmark = pytest.mark.skipif(not emulated.available(), reason="there is no C++ compiler")
WORDS = jnp.array([5, 77], jnp.uint32)


@pytest.mark.parametrize(
    ("sides", "first"),
    [
        ((4, 4, 18, 10, 33), True),
        ((1, 4, 9, 7, 16), False),
        ((4, 8, 4, 4, 32), False),
        ((5, 48, 2, 2, 64), False),
        ((3, 9, 11, 23, 1), True),
    ],
)
def test_a_block_is_its_layers(sides, first):
    assert_close(*both(*sides, cuda=True, first=first))


@settings(max_examples=4, deadline=None)
@given(
    sides=st.tuples(st.integers(1, 6), st.integers(1, 20), st.integers(2, 19), st.integers(2, 9), st.integers(1, 70)),
    rate=st.sampled_from([0.0, 0.1, 0.6]),
    padded=st.booleans(),
    seed=st.integers(0, 999),
)
def test_any_block_is_its_layers(sides, rate, padded, seed):
    assert_close(*both(*sides, cuda=True, rate=rate, padded=padded, seed=seed, layer=seed % 7))


@pytest.mark.parametrize("sides", [(7, 6), (8, 9)])
def test_the_border_of_a_result_is_zero_and_of_a_gradient_too(sides):
    form = Form(EPSILON, 0, 0.5, padded=True, first=False, cuda=True)
    x, parameters, _ = arrays(3, 5, *sides, 16, False)
    y, back = jax.vjp(lambda x: calls.block(form, x, parameters, WORDS)[0], calls.pad(x))
    for image in (y, back(jnp.ones_like(y))[0]):
        inner = np.zeros(image.shape, bool)
        inner[:, 1:-1, 1:-1] = True
        assert (np.asarray(image)[~inner] == 0).all()
        assert (np.asarray(image)[inner] != 0).any()


@pytest.mark.parametrize("batch", [32, 45])
def test_evaluation_is_by_running_statistics_and_drops_nothing(batch):
    form = Form(EPSILON, 0, 0.6, padded=False, first=False, cuda=True)
    x, parameters, _ = arrays(4, 8, 6, 6, batch, False)
    mean, variance = jnp.linspace(0.1, 0.8, 8), jnp.linspace(0.5, 2.0, 8)
    ours = calls.evaluate(form, calls.pad(x), parameters, mean, variance)
    active = reference(form, x, parameters, WORDS)[3]
    assert_close(ours, inference_norm(active, parameters.scale, parameters.offset, mean, variance, EPSILON))


@functools.cache
def graded(first):
    """Result, statistics and gradients of one run, from what it shares with the others and what is its own."""
    form = Form(EPSILON, 1, 0.3, padded=True, first=first, cuda=True)

    def loss(x, parameters, words):
        found = calls.block(form, x, parameters, words)
        return jnp.sin(found[0]).sum(), found

    return jax.value_and_grad(loss, (1,) if first else (0, 1), has_aux=True)


@pytest.mark.parametrize("sides", [(4, 4, 10, 12, 32), (8, 16, 6, 7, 40)])
@pytest.mark.parametrize("first", [True, False])
def test_a_run_is_the_same_bit_for_bit_alone_and_in_any_slot_of_many(sides, first):
    """Of the first block the runs share the images; of the others each has its own."""
    x, parameters, _ = arrays(*sides, False)
    factors = jnp.array([1.0, 0.5, -2.0])
    many = jax.tree.map(lambda p: jax.vmap(lambda f: f * p)(factors), parameters)
    words = jnp.array([[1, 2], [3, 4], [1, 2]], jnp.uint32)
    padded = calls.pad(x)
    images = padded if first else jax.vmap(lambda f: f * padded)(factors)
    together = jax.jit(jax.vmap(graded(first), (None if first else 0, 0, 0)), compiler_options=small.QUICK)
    alone = jax.jit(graded(first), compiler_options=small.QUICK)
    order = np.array([2, 0, 1, 0])
    forth = together(images, many, words)
    moved = together(images if first else images[order], jax.tree.map(lambda p: p[order], many), words[order])
    for run in range(3):
        one = jax.tree.map(lambda p, run=run: p[run], many)
        expected = alone(images if first else images[run], one, words[run])
        for results, slots in ((forth, [run]), (moved, np.flatnonzero(order == run))):
            for slot in slots:
                found = jax.tree.map(lambda y, slot=slot: y[slot], results)
                jax.tree.map(np.testing.assert_array_equal, found[0][1], expected[0][1])
                jax.tree.map(np.testing.assert_array_equal, found[1], expected[1])


def test_several_vmaps_are_taken_where_they_are_one():
    form = Form(EPSILON, 1, 0.0, padded=False, first=False, cuda=True)
    x, parameters, _ = arrays(2, 3, 4, 4, 8, False)
    many = jax.tree.map(lambda p: jnp.stack([p, 2 * p]), parameters)
    images = calls.pad(jnp.stack([x, -x, 3 * x]).reshape(-1, *x.shape[1:])).reshape(3, 2, 6, 6, 8)

    def run(x, parameters):
        return calls.block(form, x, parameters, WORDS)[0]

    with pytest.raises(Exception, match="the axes of several vmaps are mixed"):
        jax.vmap(jax.vmap(run, (None, 0)), (0, None))(images, many)
    each = jnp.stack([images, images], 1)
    both_axes = jax.tree.map(lambda p: jnp.stack([p] * 3), many)
    np.testing.assert_array_equal(
        jax.vmap(jax.vmap(run))(each, both_axes)[2, 1], run(images[2], jax.tree.map(lambda p: p[1], many))
    )
