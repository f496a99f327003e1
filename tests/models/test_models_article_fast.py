"""The fast network is the plain one: initial arrays, logits, gradients, running statistics, dropout included."""

import emulated
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small

from jaxopt_study.kernels import library
from jaxopt_study.models.article import plain
from jaxopt_study.models.article_fast import Batch, fast
from jaxopt_study.models.build import article_model

CASES = [
    pytest.param((8, 8, 1), 1, False, False, marks=pytest.mark.slow),
    pytest.param((33, 37, 3), 3, True, False, marks=pytest.mark.slow),
    pytest.param((32, 32, 3), 1, False, True, marks=pytest.mark.slow),
    ((21, 34, 1), 2, True, True),
]


def images(shape, count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def losses(network, variables, batch, key):
    def loss(params, batch, key):
        logits, stats = network.train(variables._replace(params=params), network.prepare(batch, True), key)
        return jnp.mean(jnp.sin(logits)), (logits, stats)

    return jax.jit(jax.value_and_grad(loss, has_aux=True))(variables.params, batch, key)


def evaluate(network, variables, batch):
    return jax.jit(lambda v, b: network.evaluate(v, network.prepare(b, False)))(variables, batch)


def assert_trees_close(first, second, tolerance):
    assert jax.tree.structure(first) == jax.tree.structure(second)

    # Relative to the largest entry: changing the weights of the plain network by 1e-7 moves its gradients by 5e-5 to
    # 2e-4 of it, so a closer agreement of two orders of summation cannot be asked for; the oldest XLA is 6e-4 off.
    def check(a, b):
        assert float(np.abs(a - b).max()) <= tolerance * max(1e-2, float(np.abs(b).max()))

    jax.tree.map(check, first, second)


@pytest.mark.parametrize(("shape", "outputs", "notebook", "native"), CASES)
def test_fast_equals_plain_in_training_and_evaluation(shape, outputs, notebook, native):
    one = plain(shape, outputs=outputs, notebook=notebook)
    two = fast(shape, 16, outputs=outputs, notebook=notebook, native=native)
    variables = small.initial(one)
    assert_trees_close(small.initial(two), variables, 0.0)
    batch, key = images(shape, 16), jax.random.key(3)
    assert isinstance(jax.eval_shape(lambda b: two.prepare(b, True), batch), Batch)
    assert_trees_close(losses(two, variables, batch, key), losses(one, variables, batch, key), 1e-3)
    other = images(shape, 5, seed=1)
    evaluated = [evaluate(net, variables, other) for net in (two, one)]
    np.testing.assert_allclose(*evaluated, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not library.available(), reason="there is no C++ compiler")
def test_a_smaller_last_batch_goes_through_the_same_kernels():
    """With the masks that the plain network gives it, though the kernels take it with zeros after it."""
    shape = (8, 8, 3)
    one, two = plain(shape), fast(shape, 32)
    variables, batch, key = small.initial(one), images(shape, 18), jax.random.key(3)
    prepared = two.prepare(batch, True)
    assert prepared.columns.shape[1:] == (10, 10, -(-18 // library.lanes()) * library.lanes())
    assert prepared.sized.shape == (18, 0)
    assert_trees_close(losses(two, variables, batch, key), losses(one, variables, batch, key), 1e-3)
    assert two.prepare(images(shape, 32), True).sized == ()


def test_without_kernels_it_takes_the_plain_way_on_a_cpu_alone(monkeypatch):
    monkeypatch.setattr(library, "lanes", lambda: 0)
    assert isinstance(fast((8, 8, 1), 6, native=False).prepare(images((8, 8, 1), 4), True), Batch)
    network = fast((8, 8, 1), 6, native=True)
    variables = jax.eval_shape(network.init, jax.random.key(0))
    prepared = network.prepare(images((8, 8, 1), 4), True)
    assert not isinstance(prepared, Batch)
    assert jax.eval_shape(network.train, variables, prepared, jax.random.key(0))[0].shape == (4, 1)


@pytest.mark.parametrize("lanes", [0, 16])
def test_kernels_say_which_layers(lanes, monkeypatch):
    """Blocks in C++ take padded images, XLA's products columns; Flax's own layers take the images themselves."""
    monkeypatch.setattr(library, "lanes", lambda: lanes)

    def prepared(kernels):
        network = article_model(kernels=kernels).build((8, 8, 3), 1, 16)
        return jax.eval_shape(lambda x: network.prepare(x, True), images((8, 8, 3), 16))

    for kernels in ("auto", "fast", "cuda"):  # the last as the second where there is no GPU
        assert prepared(kernels).columns.ndim == (4 if lanes else 2)
    assert prepared("plain").shape == (16, 8, 8, 3)


@pytest.mark.skipif(not emulated.available(), reason="there is no C++ compiler")
@pytest.mark.parametrize("count", [pytest.param(16, marks=pytest.mark.slow), 5])
def test_with_kernels_in_cuda_it_is_the_plain_network(count):
    """Compiled for the host; batches of any size."""
    shape = (21, 34, 1)
    one, two = plain(shape, outputs=2), fast(shape, count, outputs=2, cuda=True)
    variables = small.initial(one)
    batch, key = images(shape, count), jax.random.key(3)
    assert jax.eval_shape(lambda b: two.prepare(b, True), batch).columns.shape == (2, 23, 36, count)
    assert_trees_close(losses(two, variables, batch, key), losses(one, variables, batch, key), 1e-3)
    evaluated = [evaluate(net, variables, images(shape, 7, seed=1)) for net in (two, one)]
    np.testing.assert_allclose(*evaluated, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not emulated.available(), reason="there is no C++ compiler")
def test_with_linked_blocks_it_is_the_same_bit_for_bit():
    shape, count = (8, 9, 1), 5
    one, two = (fast(shape, count, cuda=True, linked=linked) for linked in (False, True))
    variables, batch, key = small.initial(one), images(shape, count), jax.random.key(3)
    both = [losses(net, variables, batch, key) for net in (one, two)]
    jax.tree.map(np.testing.assert_array_equal, *both)
    assert all(np.asarray(gradient).any() for gradient in jax.tree.leaves(both[0][1]))
    np.testing.assert_array_equal(*(evaluate(net, variables, images(shape, 7, seed=1)) for net in (one, two)))


@pytest.mark.gpu
def test_many_runs_by_vmap_equal_one_after_another():
    network = fast((8, 8, 1), 6)
    init = jax.jit(jax.vmap(network.init), compiler_options=small.QUICK)
    variables = init(jax.random.split(jax.random.key(0), 3))
    prepared = jax.jit(lambda: network.prepare(images((8, 8, 1), 6), True))()
    key = jax.random.key(1)

    def run(v):
        return network.train(v, prepared, key)[0]

    together = jax.jit(jax.vmap(run))(variables)
    np.testing.assert_allclose(together, jax.jit(lambda v: jax.lax.map(run, v))(variables), rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.slow
def test_bfloat16_activations_are_float32_ones_to_their_own_rounding():
    exact, coarse = (fast((8, 8, 1), 16, native=False, dtype=dtype) for dtype in (jnp.float32, jnp.bfloat16))
    variables = small.initial(exact)
    batch, key = images((8, 8, 1), 16), jax.random.key(3)
    (_, (logits, _)), gradients = losses(exact, variables, batch, key)
    (_, (rough, _)), rough_gradients = losses(coarse, variables, batch, key)
    assert {x.dtype for x in jax.tree.leaves((rough, rough_gradients))} == {jnp.dtype("float32")}
    assert 1e-5 < float(jnp.abs(rough - logits).max()) < 0.1 * float(jnp.abs(logits).max())

    def dot(first, second):
        return sum(jax.tree.leaves(jax.tree.map(lambda a, b: float(jnp.vdot(a, b)), first, second)))

    cosine = (
        dot(gradients, rough_gradients) / (dot(gradients, gradients) * dot(rough_gradients, rough_gradients)) ** 0.5
    )
    assert 0.98 < cosine < 1.0 - 1e-7


@pytest.mark.parametrize("native", [False, None])
def test_bfloat16_evaluation_is_that_of_the_plain_network(native):
    shape = (8, 8, 1)
    other = plain(shape, dtype=jnp.bfloat16)
    network = fast(shape, 16, native=native, dtype=jnp.bfloat16)
    variables = small.initial(other)
    batch = images(shape, 16)
    one, two = (evaluate(net, variables, batch) for net in (other, network))
    assert one.dtype == two.dtype == jnp.float32
    np.testing.assert_allclose(one, two, atol=0.05 * float(jnp.abs(one).max()))
