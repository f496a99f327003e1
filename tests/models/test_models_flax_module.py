"""Flax modules of every kind fit the network contract."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from jaxopt_study.errors import InputError
from jaxopt_study.models import switches
from jaxopt_study.models.linen import from_linen
from jaxopt_study.models.own import functions, model_of

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


def test_an_output_that_has_no_axis_of_the_batch_is_refused():
    with pytest.raises(InputError, match=r"Sequential with output shape \(\) for 2 examples"):
        from_linen(nn.Sequential([nn.Dense(3), jnp.sum]), (4, 4, 1))


def dropped(flag, place, default):
    """A network whose dropout of nearly all is turned on by a switch of that name."""
    off = "{0}" if flag in ("deterministic", "use_running_average") else "not {0}"
    return taking(
        f"{flag}={default}" if place == "call" else "",
        f"{flag}: bool | None = {default}" if place == "field" else "",
        f"nn.Dropout(0.999, deterministic={off.format(flag if place == 'call' else f'self.{flag}')})(nn.Dense(3)(x))",
    )


def taking(arguments, field="", computed="nn.Dense(3)(x)"):
    names = {"nn": nn}
    exec(
        f"class Own(nn.Module):\n {field}\n @nn.compact\n def __call__(self, x, {arguments}): return {computed}", names
    )
    return names["Own"]()


@pytest.mark.parametrize("flag", switches.TRAINING)
@pytest.mark.parametrize("place", ["call", "field"])
@pytest.mark.parametrize("default", [None, True, False])
def test_a_switch_of_any_known_name_is_on_in_training_alone(flag, place, default):
    network = from_linen(dropped(flag, place, default), (4,))
    variables = network.init(jax.random.key(0))
    x = jnp.ones((6, 4))
    assert (np.asarray(network.train(variables, x, jax.random.key(1))[0]) == 0).mean() > 0.9
    assert np.asarray(network.evaluate(variables, x)).all()


class NnxSwitch(nnx.Module):
    def __init__(self, rngs):
        self.dense, self.dropout = nnx.Linear(4, 3, rngs=rngs), nnx.Dropout(0.999, rngs=rngs)
        self.training = False

    def __call__(self, x, deterministic: bool = True):
        y = self.dropout(self.dense(x), deterministic=deterministic)
        return y if self.training else y + 100


def apply_linear(params, x, key=None, *, is_training=False):
    return x @ params * (0.0 if is_training else 1.0)


def test_the_switches_of_nnx_modules_and_functions_are_known_as_well():
    x = jnp.ones((6, 4))
    network = model_of(NnxSwitch).build((4,), 3, 6)
    variables = network.init(jax.random.key(0))
    trained, evaluated = network.train(variables, x, jax.random.key(1))[0], network.evaluate(variables, x)
    assert (np.asarray(trained) == 0).mean() > 0.9
    assert (np.asarray(evaluated) > 50).all()
    network = functions(lambda key, x: jnp.ones((4, 3)), apply_linear).build((4,), 3, 6)
    variables = network.init(jax.random.key(0))
    assert not np.asarray(network.train(variables, x, jax.random.key(1))[0]).any()
    assert np.asarray(network.evaluate(variables, x)).all()
    assert model_of(nn.Sequential([nn.Dense(3), nn.relu])).build((4,), 3, 6)
    linear = nn.Dense(3)
    assert functions(linear.init, linear.apply).build((4,), 3, 6)


class Failing(nn.Module):
    how: str

    @nn.compact
    def __call__(self, x, train: bool = False):
        y = x.reshape(len(x), -1)
        if self.how == "empty":
            return y
        y = nn.Dense(3)(y)
        if self.how == "whole":
            return y + self.param("steps", lambda key: jnp.zeros((), jnp.int32))
        if self.how == "axis":
            return nn.BatchNorm(not train, axis_name="batch")(y)
        if train and self.how == "stream":
            return y + jax.random.normal(self.make_rng("noise"), y.shape)
        if train and self.how == "statistics":
            self.variable("batch_stats", "more", jnp.zeros, (3,))
        elif self.how == "statistics":
            self.variable("batch_stats", "mean", jnp.zeros, (3,))
        if train and self.how == "two":
            return y, y
        return y[:, :2] if train and self.how == "shape" else y


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("empty", "model=Failing: it has no weights to train"),
        ("whole", "model=Failing with int32 at ['steps'] of its weights: allowed are floats"),
        ("axis", "model=Failing on examples of shape (4,): in training it fails with "),
        ("stream", "in training it fails with InvalidRngError"),
        ("statistics", "model=Failing: its statistics change their shapes or types in training"),
        ("two", "model=Failing with output of type tuple in training and shape (2, 3) in evaluation: allowed is one"),
        ("shape", "model=Failing with output shape (2, 2) in training and shape (2, 3) in evaluation: allowed is one"),
    ],
)
def test_what_would_fail_in_training_is_refused_before(how, told):
    with pytest.raises(InputError) as caught:
        model_of(Failing(how)).build((4,), 3, 6)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["noisy=False", "noisy: bool = None", "noisy: 'bool | None' = None", "**noisy"])
def test_a_switch_that_is_not_known_is_refused(source):
    with pytest.raises(InputError, match=r"^model=Own that takes (\*\*)?noisy: it cannot be told whether .* train, "):
        model_of(taking(source)).build((4,), 3, 6)
    assert model_of(taking("width=3, mask=None")).build((4,), 3, 6)
