"""What a run is judged by: the weights that its rule wants judged, with batch norm's statistics of these weights."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest
import small
from flax import linen as nn

import jaxopt_study as js
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.grids.run import make_run
from jaxopt_study.models.build import Model
from jaxopt_study.models.linen import from_linen
from jaxopt_study.models.network import Variables
from jaxopt_study.optimizers.foreign import rule
from jaxopt_study.settings import Settings
from jaxopt_study.training import judged
from jaxopt_study.training.rules import Hyperparameters
from jaxopt_study.training.step import init_run

HYPERPARAMETERS = Hyperparameters(jnp.int32(0), {"learning_rate": jnp.float32(0.1)})


class Linear(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(10)(x.reshape(len(x), -1))


def schedule_free_by_hand(data, epochs, rate):
    """Validation losses at x and at y after each epoch, by Optax's rule in a plain loop."""
    order = np.random.default_rng(0).permutation(len(data.train_labels))
    images, labels = data.train_images[order] / np.float32(255), data.train_labels[order]
    module, optimizer = Linear(), optax.contrib.schedule_free_sgd(rate)
    params = module.init(jax.random.fold_in(jax.random.key(0), jnp.uint32(0)), jnp.zeros((1, 8, 8, 1)))["params"]
    state, losses = optimizer.init(params), []

    @jax.jit
    def loss_of(params, x, y):
        logits = module.apply({"params": params}, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @jax.jit
    def step(params, state, x, y):
        updates, state = optimizer.update(jax.grad(loss_of)(params, x, y), state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(epochs):
        for first in range(0, len(labels), 128):
            params, state = step(params, state, images[first : first + 128], labels[first : first + 128])
        points = optax.contrib.schedule_free_eval_params(state, params), params
        losses.append([float(loss_of(w, data.val_images / np.float32(255), data.val_labels)) for w in points])
    return np.array(losses).T


@pytest.mark.parametrize("strategy", ["map", pytest.param("vmap", marks=pytest.mark.slow)])
def test_the_loss_of_schedule_free_on_digits_is_that_at_x_and_not_at_y(tmp_path, strategy):
    data = js.load("digits", classes=["all"])
    study = js.make_study(
        model=Linear(), data=data, grid=js.make_grid(optax.contrib.schedule_free_sgd, learning_rate=[0.5, 2.0]),
        max_epochs=3, batch_size=128, devices=1, strategy=strategy, save_best_weights=True, workdir=tmp_path,
    )  # fmt: skip
    study.run()
    at_x, at_y = schedule_free_by_hand(data, 3, 0.5)
    (history, _) = study.histories
    np.testing.assert_allclose(history.curves["val_loss"], at_x, rtol=1e-4)
    assert (np.abs(at_y / at_x - 1) > 0.01).all()
    predicted = js.load_model(tmp_path, study.fingerprints[study.runs[0]], model=Linear())(data.val_images)
    of_best = -np.log(predicted[np.arange(len(predicted)), data.val_labels]).mean()
    np.testing.assert_allclose(of_best, at_x.min(), rtol=1e-4)


class Normed(nn.Module):
    momentum: float = 0.99

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        x = nn.relu(nn.Dense(6)(x.reshape(x.shape[0], -1)))
        x = nn.BatchNorm(use_running_average=not train, momentum=self.momentum)(x)
        return nn.Dense(1)(nn.Dropout(0.5, deterministic=not train)(x))


def slow_sgd(learning_rate):
    return optax.lookahead(optax.sgd(learning_rate), 3, 0.5)


def trainer(folder, module, optimizer="sgd"):
    settings = Settings(batch_size=16, max_epochs=3)
    model = Model("normed", lambda shape, outputs, batch: from_linen(module, shape))
    return Trainer(settings, small.dataset(), [make_run(optimizer, {"learning_rate": 0.1}, 0)], folder, model=model)


@pytest.mark.parametrize("strategy", ["map", pytest.param("vmap", marks=pytest.mark.slow)])
def test_statistics_are_the_means_over_batches_whatever_their_momentum(tmp_path, strategy):
    study = trainer(tmp_path, Normed())
    batches, program = study.batches(16), study.program(study.groups[0], strategy)
    state = init_run(jnp.uint32(3), HYPERPARAMETERS, program)
    others = jax.tree.map(lambda x: x + 0.1, state.variables.params)
    variables = Variables(others, state.variables.stats)
    found = jax.jit(lambda: judged.estimated_again(variables, state, jnp.bool_(True), batches, program))()
    at_once, expected = Normed(momentum=0.0), []
    for images in batches.train[0]:
        collections = {"params": others, **variables.stats}
        at, key = (collections, images / np.float32(255), True), {"dropout": jax.random.key(0)}
        expected.append(at_once.apply(*at, rngs=key, mutable=["batch_stats"])[1]["batch_stats"]["BatchNorm_0"])
    for name in ("mean", "var"):
        mean = np.mean([stats[name] for stats in expected], 0)
        np.testing.assert_allclose(found.stats["batch_stats"]["BatchNorm_0"][name], mean, rtol=2e-4, atol=1e-6)
    assert found.params is others or all(map(np.array_equal, jax.tree.leaves(found.params), jax.tree.leaves(others)))


def test_a_rule_that_is_judged_where_it_trains_costs_nothing(tmp_path):
    study = trainer(tmp_path, Normed())
    program = study.program(study.groups[0], "map")
    state = init_run(jnp.uint32(0), HYPERPARAMETERS, program)
    assert judged.judged(state, jnp.int32(0), jnp.bool_(True), study.batches(16), program) is state.variables


@pytest.mark.slow
def test_slots_and_strategies_agree_on_a_rule_that_is_judged_elsewhere(tmp_path):
    name = rule(slow_sgd).name
    runs = [make_run(name, {"learning_rate": rate}, seed) for rate in (0.03, 0.3) for seed in range(2)]
    ways = [{"strategy": "map", "slots": 4, "devices": 2}, {"strategy": "vmap", "slots": 3, "devices": 1}]
    found = [small.study(tmp_path / str(i), runs, epochs=3, **way).train() for i, way in enumerate(ways)]
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one.curves["val_loss"], other.curves["val_loss"], rtol=1e-4)
    assert all(len(history.curves["val_loss"]) == 3 for history in found[0])


@pytest.mark.slow
def test_sophia_trains_the_articles_network(tmp_path):
    """Which has kernels that cannot be differentiated twice."""
    grid = js.make_grid(optax.contrib.sophia, learning_rate=0.001)
    data = js.load("digits", train_examples=80)
    study = js.make_study(model=js.article_model(), data=data, grid=grid, max_epochs=1, workdir=tmp_path, devices=1)
    study.run()
    (history,) = study.histories
    assert history.status == "finished"
    assert history.curves["update_size"][0] > 1e-6
