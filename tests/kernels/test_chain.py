"""Blocks in CUDA that normalize what they read of the one before, compiled for the host, against those that do not."""

import functools

import emulated
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small
from blocks import EPSILON, arrays

from jaxopt_study.kernels import calls, chain
from jaxopt_study.kernels.calls import Form

pytestmark = pytest.mark.skipif(not emulated.available(), reason="there is no C++ compiler")
WORDS = jnp.array([5, 77], jnp.uint32)
CHANNELS = (3, 5, 9, 12)


def forms(height, width, rate, first, count=3):
    """Of blocks until there is a pixel, or so many."""
    count = min(count, min(height, width).bit_length() - 1)
    return tuple(Form(EPSILON, i, rate, padded=i + 1 < count, first=first and i == 0, cuda=True) for i in range(count))


def operands(height, width, batch, count, seed=0):
    """Images and each block's parameters."""
    sides = [(CHANNELS[i], CHANNELS[i + 1], height >> i, width >> i, batch, False, seed + i) for i in range(count)]
    drawn = [arrays(*of) for of in sides]
    return calls.pad(drawn[0][0]), tuple(parameters for _, parameters, _ in drawn)


@functools.cache
def trained(known):
    """Result, statistics, and the gradients of parameters and, where there is one, images."""

    def loss(parameters, x, words):
        found = chain.blocks(known, x, parameters, words)
        return jnp.sin(3 * found[0]).sum(), found

    of = jax.value_and_grad(loss, (0,) if known[0].first else (0, 1), has_aux=True)
    return lambda x, parameters, words: of(parameters, x, words)


def assert_same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize(
    ("height", "width", "batch", "rate", "first"),
    [(18, 23, 45, 0.2, False), (8, 9, 32, 0.6, True), (17, 8, 64, 0.0, False), (4, 31, 1, 0.3, False)],
)
def test_linked_blocks_are_those_one_after_the_other_bit_for_bit(height, width, batch, rate, first):
    plain = forms(height, width, rate, first)
    x, parameters = operands(height, width, batch, len(plain))
    one, two = (trained(known)(x, parameters, WORDS) for known in (plain, chain.linked(plain)))
    assert_same(one, two)
    assert (np.asarray(one[0][1][0]) == 0).any() == (rate > 0)
    assert all(np.asarray(gradient).any() for gradient in jax.tree.leaves(one[1]) if gradient.size)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["image", "kernel", "offset"])
def test_what_is_not_finite_reaches_the_same(value, where):
    plain = forms(8, 9, 0.4, first=False, count=2)
    x, parameters = operands(8, 9, 33, 2)
    if where == "image":
        x = x.at[1, 3, 4, 2].set(value)
    else:
        changed = getattr(parameters[0], where)
        changed = changed.at[(0,) * (changed.ndim - 1) + (2,)].set(value)
        parameters = (parameters[0]._replace(**{where: changed}), parameters[1])
    one, two = (trained(known)(x, parameters, WORDS) for known in (plain, chain.linked(plain)))
    assert not np.isfinite(one[0][1][0]).all()
    assert_same(one, two)


@pytest.mark.parametrize("batch", [32, 45])
def test_evaluation_is_that_of_blocks_one_after_the_other_bit_for_bit(batch):
    plain = forms(10, 13, 0.6, first=True)
    x, parameters = operands(10, 13, batch, 3)
    statistics = [(jnp.linspace(0.1, 0.8, of.bias.size), jnp.linspace(0.5, 2.0, of.bias.size)) for of in parameters]
    one, two = (chain.evaluate(known, x, parameters, statistics) for known in (plain, chain.linked(plain)))
    assert np.isfinite(one).all()
    assert_same(one, two)


def test_a_linked_run_is_the_same_bit_for_bit_alone_and_in_any_slot_of_many():
    known = chain.linked(forms(10, 12, 0.3, first=True))
    x, parameters = operands(10, 12, 40, 3)
    factors = jnp.array([1.0, 0.5, -2.0])
    many = jax.tree.map(lambda p: jax.vmap(lambda f: f * p)(factors), parameters)
    words = jnp.array([[1, 2], [3, 4], [1, 2]], jnp.uint32)
    together = jax.jit(jax.vmap(trained(known), (None, 0, 0)), compiler_options=small.QUICK)
    order = np.array([2, 0, 1, 0])
    forth, moved = together(x, many, words), together(x, jax.tree.map(lambda p: p[order], many), words[order])
    for run in range(3):
        (_, alone), gradients = trained(known)(x, jax.tree.map(lambda p, run=run: p[run], many), words[run])
        for results, slots in ((forth, [run]), (moved, np.flatnonzero(order == run))):
            for slot in slots:
                (_, found), found_gradients = jax.tree.map(lambda y, slot=slot: y[slot], results)
                assert_same((found, found_gradients), (alone, gradients))
