"""The gradients by kernels for tensor cores, emulated as in test_units, against float64."""

import functools

import emulated
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small
from blocks import EPSILON, arrays

from jaxopt_study.kernels import calls
from jaxopt_study.kernels.calls import Form

pytestmark = pytest.mark.skipif(not emulated.available(), reason="there is no C++ compiler")
WORDS = jnp.array([5, 77], jnp.uint32)
RATE = 0.3
# An odd side leaves a row or column that is in no window; the last has two parts of the kernel's gradient.
SIDES = [(8, 16, 6, 8, 32), (16, 32, 5, 7, 45), (32, 64, 2, 3, 3), (40, 16, 4, 4, 64), (32, 64, 4, 6, 32),
         (8, 16, 13, 10, 17)]  # fmt: skip


def form(products, *, padded=False):
    return Form(EPSILON, 2, RATE, padded, first=False, cuda=True, products=products)


@functools.cache
def drawn(sides, padded=False):
    """What a forward pass may have kept, and a gradient of its result.

    Activations are 0 or 1, which is their mean: so the gradient of the pooled pixels is that of the result to rounding.
    """
    x, parameters, gradient = arrays(*sides, False)
    rng = np.random.default_rng(1)
    active = jnp.asarray(rng.choice(np.float32([1, 0, -1]), gradient.shape, p=[0.5, 0.2, 0.3]))  # some dropped
    chosen = jnp.asarray(rng.integers(0, 4, gradient.shape, np.uint8))
    mean = jnp.ones(gradient.shape[0])
    kept = (calls.pad(x), parameters.kernel, parameters.scale, WORDS, active, chosen, mean, mean / 2, parameters.shift)
    return kept, calls.pad(gradient) if padded else gradient


@functools.partial(jax.jit, static_argnums=0, compiler_options=small.QUICK)
def graded(of, kept, gradient):
    """Gradients of the padded image and of the kernel."""
    d_x, parameters, _ = calls.backward(of, kept, (gradient,))
    return d_x, parameters.kernel


def candidates(kept, gradient):
    """The gradient of the convolution [O, 2 N, 2 M, B] in float64, from that of the result, and its terms' sizes."""
    _, _, scale, _, stored, chosen, mean, variance, *_ = (np.asarray(array) for array in kept)
    mean, variance, scale = (of.astype(np.float64)[:, None, None, None] for of in (mean, variance, scale))
    active, others = abs(stored.astype(np.float64)), (1, 2, 3)
    given = np.where(np.signbit(stored), 0, np.asarray(gradient, np.float64) / (1 - RATE))
    normal, slope = (active - mean) / np.sqrt(variance + EPSILON), scale / np.sqrt(variance + EPSILON)
    pull = given.mean(others, keepdims=True) + normal * (given * normal).mean(others, keepdims=True)
    routed = []
    for pooled in (slope * (given - pull), abs(slope) * (abs(given) + abs(pull))):
        pooled = np.where(active > 0, pooled, 0 * pooled)
        squares = np.stack([np.where(chosen == q, pooled, 0 * pooled) for q in range(4)])
        outputs, rows, columns, batch = pooled.shape
        split = squares.reshape(2, 2, *pooled.shape).transpose(2, 3, 0, 4, 1, 5)
        routed.append(split.reshape(outputs, 2 * rows, 2 * columns, batch))
    return routed


def expected(kept, gradient):
    """Gradients of the padded image, zero at its border, and of the kernel, from that of the convolution."""
    x, kernel = (np.asarray(array, np.float64) for array in kept[:2])
    d_x, d_kernel = np.zeros(x.shape), np.zeros(kernel.shape)
    _, rows, columns, _ = gradient.shape
    for r in range(3):
        for s in range(3):
            seen = np.s_[:, r : r + rows, s : s + columns]
            d_x[seen] += np.einsum("co,ohwb->chwb", kernel[r, s], gradient)
            d_kernel[r, s] = np.einsum("chwb,ohwb->co", x[seen], gradient)
    for border in (np.s_[:, :: x.shape[1] - 1], np.s_[:, :, :: x.shape[2] - 1]):
        d_x[border] = 0
    return d_x, d_kernel


@pytest.mark.parametrize("sides", SIDES)
def test_three_products_are_float32_to_rounding_and_one_is_tf32(sides):
    kept, gradient = drawn(sides)
    convolved, sizes = candidates(kept, gradient)
    right, most = expected(kept, convolved), expected((abs(kept[0]), abs(kept[1])), sizes)
    errors = {}
    for products in (0, 1, 3):
        found = graded(form(products), kept, gradient)
        errors[products] = [
            (abs(np.asarray(one, np.float64) - two) / np.maximum(size, 1e-30)).max()
            for one, two, size in zip(found, right, most, strict=True)
        ]
    assert max(errors[0]) < 2**-21
    assert max(errors[3]) < 2**-21
    assert 2**-15 < min(errors[1]) <= max(errors[1]) < 2**-10


@pytest.mark.parametrize("products", [1, 3])
@pytest.mark.parametrize("shared", [True, False])
def test_a_run_is_the_same_bit_for_bit_alone_and_in_any_slot_of_many(products, shared):
    """Runs share the images that their block read, or have their own."""
    kept, gradient = drawn((16, 32, 9, 10, 40), True)
    graded_in_it = functools.partial(graded, form(products, padded=True))
    factors = jnp.array([1.0, 0.5, -2.0])
    x, kernels = (jax.vmap(lambda f, of=of: f * of)(factors) for of in kept[:2])
    gradients = jnp.stack([gradient, gradient[..., ::-1], gradient])

    def of_run(x, kernel, gradient):
        return graded_in_it((x, kernel, *kept[2:]), gradient)

    together = jax.vmap(of_run, (None if shared else 0, 0, 0))(kept[0] if shared else x, kernels, gradients)
    for run in range(3):
        alone = of_run(kept[0] if shared else x[run], kernels[run], gradients[run])
        jax.tree.map(lambda many, one, run=run: np.testing.assert_array_equal(many[run], one), together, alone)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("products", [1, 3])
@pytest.mark.parametrize("batch", [32, 21])
def test_what_is_not_finite_reaches_what_depends_on_it_and_nothing_else(value, products, batch):
    """The candidates that were not chosen, too."""
    kept, gradient = drawn((8, 16, 7, 8, batch))
    plain = graded(form(products), kept, gradient)
    changes = [
        (kept[0].at[3, 4, 2, batch - 1].set(value), kept[1], gradient),
        (kept[0], kept[1].at[1, 2, 3, 7].set(value), gradient),
        (kept[0], kept[1], gradient.at[5, 1, 1, 4].set(value)),
    ]
    for x, kernel, given in changes:
        changed = (x, kernel, *kept[2:])
        with np.errstate(invalid="ignore"):
            right = expected(changed, candidates(changed, given)[0])
        for one, two, before in zip(graded(form(products), changed, given), right, plain, strict=True):
            np.testing.assert_array_equal(np.isfinite(one), np.isfinite(two))
            np.testing.assert_array_equal(np.where(np.isfinite(two), one, 0), np.where(np.isfinite(two), before, 0))


def test_sides_that_tensor_cores_do_not_take_are_in_float32():
    for sides in ((4, 16, 4, 4, 32), (8, 12, 4, 4, 32), (48, 16, 4, 4, 32), (8, 96, 4, 4, 32)):
        one, two = (graded(form(products), *drawn(sides)) for products in (3, 0))
        jax.tree.map(np.testing.assert_array_equal, one, two)
