"""The kernels for tensor cores, compiled for the host, where products of fragments are emulated, against float64."""

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
NONE = jnp.zeros(0, jnp.float32)
SIDES = [(8, 16, 6, 8, 32), (16, 32, 5, 7, 45), (32, 64, 2, 3, 3), (40, 16, 4, 4, 64)]


def form(products=3, *, rate=0.3, padded=False, first=False, layer=2):
    return Form(EPSILON, layer, rate, padded, first, cuda=True, products=products)


@functools.partial(jax.jit, static_argnums=0)
def activations(of, x, parameters):
    """Stored activations, choices, mean and variance."""
    return calls.run(of, calls.pad(x), parameters, WORDS, NONE, NONE)[1:]


def convolved(x, kernel):
    """The four candidates of each pooled pixel [4, O, N, M, B] in float64, and the sums of their terms' sizes."""
    x, kernel = np.asarray(calls.pad(x), np.float64), np.asarray(kernel, np.float64)
    rows, columns = (side // 2 for side in (x.shape[1] - 2, x.shape[2] - 2))
    found = []
    for pixels, weights in ((x, kernel), (abs(x), abs(kernel))):
        candidates = [
            sum(
                np.einsum(
                    "chwb,co->ohwb",
                    pixels[:, i + r : i + r + 2 * rows : 2, j + s : j + s + 2 * columns : 2],
                    weights[r, s],
                )
                for r in range(3)
                for s in range(3)
            )
            for i in range(2)
            for j in range(2)
        ]
        found.append(np.stack(candidates))
    return found


@pytest.mark.parametrize("sides", SIDES)
def test_three_products_are_float32_to_rounding_and_one_is_tf32(sides):
    x, parameters, _ = arrays(*sides, False)
    candidates, sizes = convolved(x, parameters.kernel)
    bias = np.asarray(parameters.bias, np.float64)[:, None, None, None]
    expected, most = np.maximum(candidates.max(0) + bias, 0), sizes.max(0) + abs(bias)
    errors = {}
    for products in (0, 1, 3):
        stored, chosen, mean, _ = activations(form(products), x, parameters)
        stored = np.asarray(stored, np.float64)
        errors[products] = (abs(abs(stored) - expected) / most).max()
        taken = np.take_along_axis(candidates, np.asarray(chosen, int)[None], 0)[0]
        assert ((candidates.max(0) - taken) / most).max() <= 2 * errors[products]
        np.testing.assert_allclose(mean, abs(stored).mean((1, 2, 3)), rtol=1e-5, atol=1e-6)
    assert errors[0] < 2**-21
    assert errors[3] < 2**-22
    assert 2**-15 < errors[1] < 2**-10


@pytest.mark.parametrize("sides", SIDES[:3])
@pytest.mark.parametrize("products", [1, 3])
def test_masks_are_the_same_and_statistics_and_gradients_those_of_nearby_activations(sides, products):
    x, parameters, weights = arrays(*sides, False)

    def graded(of):
        def loss(x, parameters):
            found = calls.block(of, calls.pad(x), parameters, WORDS)
            return (found[0] * weights).sum(), found

        return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True), compiler_options=small.QUICK)(x, parameters)

    (_, one), gradients = graded(form(products))
    (_, two), expected = graded(form(0))
    np.testing.assert_array_equal(one[0] == 0, two[0] == 0)
    limit = {1: 0.2, 3: 1e-3}[products]  # TF32 takes another candidate at times
    for a, b in zip(jax.tree.leaves((one, gradients)), jax.tree.leaves((two, expected)), strict=True):
        assert np.linalg.norm(a - b) <= limit * np.linalg.norm(b)


@pytest.mark.parametrize("products", [1, 3])
@pytest.mark.parametrize("batch", [32, 7])
def test_linked_or_not_and_in_any_slot_the_bits_are_the_same(products, batch):
    plain = (form(products, padded=True, first=True, layer=0), form(products, layer=1))
    x, first, _ = arrays(8, 16, 9, 12, batch, False)
    second = arrays(16, 32, 4, 6, batch, False)[1]
    factors = jnp.array([1.0, 0.5])
    many = jax.tree.map(lambda p: jax.vmap(lambda f: f * p)(factors), (first, second))

    def trained(known, parameters):
        def loss(parameters):
            found = chain.blocks(known, calls.pad(x), parameters, WORDS)
            return jnp.sin(found[0]).sum(), found

        return jax.value_and_grad(loss, has_aux=True)(parameters)

    linked = chain.linked(plain)
    (_, one), gradients = trained(plain, (first, second))
    (_, two), expected = trained(linked, (first, second))
    jax.tree.map(np.testing.assert_array_equal, (one, gradients), (two, expected))
    (_, together), of_all = jax.vmap(functools.partial(trained, linked))(many)
    alone = jax.tree.map(lambda y: y[0], (together, of_all))
    jax.tree.map(np.testing.assert_array_equal, alone, (two, expected))


@pytest.mark.parametrize(("value", "products"), [(np.nan, 1), (np.nan, 3), (np.inf, 3)])
def test_what_is_not_finite_reaches_every_filter_and_no_other_example(value, products):
    x, parameters, _ = arrays(8, 16, 4, 4, 32, False)
    one = activations(form(products), x.at[3, 1, 1, 5].set(value), parameters)[0]
    two = activations(form(products), x, parameters)[0]
    assert not np.isfinite(one[:, 0, 0, 5]).any()
    np.testing.assert_array_equal(np.delete(one, 5, 3), np.delete(two, 5, 3))


def test_sides_that_tensor_cores_do_not_take_are_in_float32():
    for sides in ((4, 16, 4, 4, 32), (8, 12, 4, 4, 32), (48, 16, 4, 4, 32)):
        x, parameters, _ = arrays(*sides, False)
        one, two = (activations(form(products), x, parameters) for products in (1, 0))
        jax.tree.map(np.testing.assert_array_equal, one, two)
