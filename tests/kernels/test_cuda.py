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

from jaxopt_study.kernels import calls, chain
from jaxopt_study.kernels.calls import Form
from jaxopt_study.layers.batch_norm import inference_norm
from jaxopt_study.training import diagnostics

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


@pytest.mark.slow
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
    ours = chain.evaluate((form,), calls.pad(x), [parameters], [(mean, variance)])
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


def moving(shapes, runs, seed=0):
    """Two steps of gradients, updates (a third of them zero) and weights of several runs, by name."""
    rng = np.random.default_rng(seed)

    def draw(shape):
        x = rng.normal(size=(runs, *shape)) * rng.integers(0, 3, (runs, *shape)).clip(0, 1)
        return jnp.asarray(x, jnp.float32)

    return [tuple({str(i): draw(shape) for i, shape in enumerate(shapes)} for _ in range(3)) for _ in range(2)]


@functools.partial(jax.jit, static_argnums=0)
@functools.partial(jax.vmap, in_axes=(None, 0, 0))
def measured(cuda, first, second):
    signs = diagnostics.no_signs(first[2])
    params, one, signs = diagnostics.apply(*first, signs, cuda=cuda)
    moved, two, signs = diagnostics.apply(*second[:2], params, signs, cuda=cuda)
    return moved, one, two, signs


@pytest.mark.parametrize(
    "shapes",
    [
        ((200, 100), (7,), (130, 130), (3, 3, 2, 5)),
        ((256, 64), (128, 128)),
        ((1,), (33,), ()),
        (*((40 + i,) for i in range(70)), (128, 129), (1024, 16)),  # more than a launch takes
    ],
)
def test_measures_of_an_update_are_those_of_xla(shapes):
    steps = moving(shapes, 3)
    ours, theirs = measured(True, *steps), measured(False, *steps)
    assert (theirs[2]["oscillation"] > 0.1).all()
    np.testing.assert_array_equal(ours[2]["oscillation"], theirs[2]["oscillation"])
    for i in (0, 3):  # weights and signs
        jax.tree.map(np.testing.assert_array_equal, ours[i], theirs[i])
    for one, other in zip(ours[1:3], theirs[1:3], strict=True):
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=2e-6), one, other)


def test_measures_of_a_run_do_not_depend_on_the_others():
    steps = moving(((200, 100), (5000,)), 3)
    together = measured(True, *steps)
    alone = measured(True, *jax.tree.map(lambda x: x[1:2], steps))
    jax.tree.map(lambda many, one: np.testing.assert_array_equal(many[1], one[0]), together, alone)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_reaches_the_measures(value):
    steps = moving(((200, 100), (7,)), 1)
    steps[1][1]["0"] = steps[1][1]["0"].at[0, 150, 50].set(value)
    ours, theirs = measured(True, *steps), measured(False, *steps)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=2e-6), ours[2], theirs[2])
    assert not np.isfinite(ours[2]["update_norm"]).any()
    jax.tree.map(np.testing.assert_array_equal, ours[3], theirs[3])
