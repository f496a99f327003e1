"""The counter-based masks: their rate, their independence, their gradient, the same in both layouts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_study.layers.dropout import dropout, dropout_batch_first, keep_mask, mask_seed

SHAPE = (16, 32, 32, 32)


def mask(key=0, layer=0, rate=0.5, shape=SHAPE):
    return np.asarray(keep_mask(mask_seed(jax.random.key(key)), layer, shape, rate))


def test_masks_are_those_that_stored_runs_were_trained_with():
    assert mask_seed(jax.random.key(7)).tolist() == [2895194379, 4185947648]
    kept = keep_mask(jnp.array([1, 77], jnp.uint32), 2, (5, 9), 0.6)
    assert np.packbits(np.asarray(kept)).tobytes().hex() == "d8a8b1783090"


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.6])
def test_the_dropped_share_is_the_rate_overall_and_along_every_axis(rate):
    kept = mask(rate=rate)
    for axis in range(4):
        means = kept.mean(tuple(a for a in range(4) if a != axis))
        deviation = (rate * (1 - rate) / (kept.size / kept.shape[axis])) ** 0.5
        assert np.abs(means - (1 - rate)).max() < 5 * deviation


@pytest.mark.parametrize("other", [{"key": 1}, {"layer": 1}])
def test_masks_of_other_steps_seeds_and_layers_are_uncorrelated(other):
    first, second = mask().ravel() - 0.5, mask(**other).ravel() - 0.5
    for shift in (0, 1, 32, first.size // 2):
        assert abs(4 * np.mean(first * np.roll(second, shift))) < 5 / first.size**0.5


@pytest.mark.parametrize("shift", [1, 2, 32, 1024, 2**18])
def test_a_mask_is_uncorrelated_with_itself_shifted(shift):
    values = mask().ravel() - 0.5
    assert abs(4 * np.mean(values * np.roll(values, shift))) < 5 / values.size**0.5


def test_an_odd_number_of_activations_is_masked_in_full():
    assert mask(shape=(3, 5)).shape == (3, 5)


def test_gradient_is_the_mask_scaled_by_the_inverse_of_the_kept_share():
    seed, x = mask_seed(jax.random.key(0)), jnp.ones((8, 16))
    gradient = jax.grad(lambda a: dropout(a, seed, 2, 0.2).sum())(x)
    np.testing.assert_allclose(gradient, mask(layer=2, rate=0.2, shape=(8, 16)) / 0.8, rtol=1e-6)


def test_both_layouts_drop_the_same_activations():
    seed, x = mask_seed(jax.random.key(0)), jnp.arange(1.0, 121.0).reshape(2, 3, 4, 5)
    batch_first = dropout_batch_first(x.transpose(3, 1, 2, 0), seed, 1, 0.5)
    np.testing.assert_array_equal(batch_first.transpose(3, 1, 2, 0), dropout(x, seed, 1, 0.5))
