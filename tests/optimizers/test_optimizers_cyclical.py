"""The triangular cycle, by its corners."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_study.optimizers import triangular

STEPS_AN_EPOCH = 582  # the article's 18,610 examples in batches of 32


def rates(counts: list[int], base: float, high: float, step_size: float) -> np.ndarray:
    schedule = triangular(base, high, step_size)
    return np.array([schedule(jnp.int32(count)) for count in counts])


def test_the_article_s_cycle_has_its_corners_after_every_four_epochs():
    half = 4 * STEPS_AN_EPOCH
    counts = [0, half // 2, half, 3 * half // 2, 2 * half, 3 * half, 4 * half]
    np.testing.assert_allclose(rates(counts, 0.1, 0.4, half), [0.1, 0.25, 0.4, 0.25, 0.1, 0.4, 0.1], rtol=3e-7)


def test_corners_hold_at_the_last_of_a_thousand_epochs():
    half = 4 * STEPS_AN_EPOCH
    np.testing.assert_allclose(rates([249 * half, 250 * half], 0.1, 0.4, half), [0.4, 0.1], rtol=3e-7)
    one_step = 0.3 / half
    after = rates([250 * half - 1, 250 * half + 1], 0.1, 0.4, half)
    np.testing.assert_allclose(after, 0.1 + one_step, rtol=3e-7)


def test_it_equals_the_formula_of_the_paper():
    counts = np.arange(100)
    cycle = np.floor(1 + counts / (2 * 7))
    x = np.abs(counts / 7 - 2 * cycle + 1)
    expected = 0.01 + (0.05 - 0.01) * np.maximum(0, 1 - x)
    np.testing.assert_allclose(rates(list(counts), 0.01, 0.05, 7), expected, rtol=1e-6)


def test_a_half_cycle_need_not_be_a_whole_number_of_steps():
    np.testing.assert_allclose(rates([0, 1, 2, 3, 4, 5], 0.0, 1.0, 2.5), [0, 0.4, 0.8, 0.8, 0.4, 0], atol=1e-6)


def test_it_never_leaves_its_two_rates():
    found = jax.jit(jax.vmap(triangular(0.1, 0.4, 2.7)))(jnp.arange(10_000))
    assert float(found.min()) >= 0.1 * (1 - 1e-6)
    assert float(found.max()) <= 0.4 * (1 + 1e-6)


def test_a_cycle_from_a_rate_to_itself_is_that_rate_to_the_bit():
    assert set(rates(list(range(50)), 0.1, 0.1, 3)) == {np.float32(0.1)}


def test_all_its_numbers_may_be_traced():
    numbers = (jnp.array([0.1, 0.2]), jnp.array([0.4, 0.6]), jnp.array([4.0, 8.0]))
    found = jax.jit(jax.vmap(lambda *n: triangular(*n)(jnp.int32(4))))(*numbers)
    np.testing.assert_allclose(found, [0.4, 0.4], rtol=1e-6)


@pytest.mark.parametrize("varied", [0, 1, 2])
def test_an_array_of_numbers_is_refused(varied):
    numbers = [0.1, 0.4, 4.0]
    numbers[varied] = jnp.ones(2)
    names = ["base_learning_rate", "max_learning_rate", "step_size"]
    with pytest.raises(ValueError, match=rf"{names[varied]} has shape \(2,\)"):
        triangular(*numbers)
