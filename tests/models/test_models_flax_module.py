"""Flax modules of every kind fit the network contract."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxopt_study.errors import InputError
from jaxopt_study.models.linen import from_linen

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), dtype=np.uint8)


class Linear(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(x.reshape(x.shape[0], -1))


class WithDropout(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        return nn.Dropout(0.5, deterministic=not train)(Linear()(x))


class WithBatchNorm(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool = True):
        return nn.BatchNorm(use_running_average=not train)(Linear()(x))


@pytest.mark.parametrize(
    ("module", "collections"), [(Linear(), []), (WithDropout(), []), (WithBatchNorm(), ["batch_stats"])]
)
def test_modules_with_and_without_train_dropout_and_batch_norm_fit(module, collections):
    network = from_linen(module, (4, 4, 1))
    variables = network.init(jax.random.key(0))
    logits, stats = network.train(variables, network.prepare(IMAGES, True), jax.random.key(1))
    assert list(variables.stats) == list(stats) == collections
    assert logits.shape == network.evaluate(variables, network.prepare(IMAGES, False)).shape == (6, 3)


def test_dropout_is_on_in_training_alone():
    network = from_linen(WithDropout(), (4, 4, 1))
    variables = network.init(jax.random.key(0))
    logits, _ = network.train(variables, network.prepare(IMAGES, True), jax.random.key(1))
    evaluated = network.evaluate(variables, network.prepare(IMAGES, False))
    dropped = np.asarray(logits) == 0
    assert dropped.any()
    assert not dropped.all()
    np.testing.assert_allclose(np.asarray(logits)[~dropped], 2 * np.asarray(evaluated)[~dropped], rtol=1e-6)


def test_pixels_are_scaled_to_one_and_floats_stay():
    network = from_linen(Linear(), (4, 4, 1))
    assert float(network.prepare(jnp.full((1, 4, 4, 1), 255, jnp.uint8), True).max()) == 1.0
    assert float(network.prepare(jnp.full((1, 4, 4, 1), 8.0), True).max()) == 8.0


def test_an_output_that_is_not_batch_by_logits_is_refused():
    with pytest.raises(InputError, match="Dropout with output shape"):
        from_linen(nn.Dropout(0.5, deterministic=True), (4, 4, 1))
