"""The sharpness of a run is the largest eigenvalue that another method finds; what a rule bears is where it breaks."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.sparse.linalg
import small
from compared import by_run
from flax import linen as nn
from jax.flatten_util import ravel_pytree

import jaxopt_study as js
from jaxopt_study.analysis.edge import EDGES, edge, over_edge
from jaxopt_study.engine.sweep import Sweep
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.errors import InputError
from jaxopt_study.grids.run import make_run
from jaxopt_study.history import CURVES, History
from jaxopt_study.models import article_fast
from jaxopt_study.models.own import model_of
from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.foreign import rule
from jaxopt_study.settings import Settings
from jaxopt_study.storage.store import load_runs
from jaxopt_study.training import sharpness
from jaxopt_study.training.early_stopping import Limits


def matrix(eigenvalues, seed=0):
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(eigenvalues),) * 2))[0]
    return jnp.asarray(rotation * eigenvalues @ rotation.T, jnp.float32)


@pytest.mark.parametrize(
    "eigenvalues",
    [np.arange(1.0, 101), np.r_[np.full(99, 0.01), 1], np.r_[-np.linspace(1, 50, 90), np.arange(1.0, 11)], [1.0, 2, 3],
     -np.arange(1.0, 9), [7.0], np.r_[np.linspace(0, 0.9, 400), 1]],
)  # fmt: skip
def test_the_largest_eigenvalue_is_found_whatever_the_others_are(eigenvalues):
    a = matrix(np.asarray(eigenvalues))
    start = jnp.asarray(np.random.default_rng(1).normal(size=len(a)), jnp.float32)
    pair = jax.jit(lambda: sharpness.largest(lambda v: a @ v, start))()
    top = max(eigenvalues)
    np.testing.assert_allclose(pair.value, top, rtol=0.01)
    again = jax.jit(lambda: sharpness.largest(lambda v: a @ v, pair.vector))()
    assert again.products == 1  # from where it was the first product tells
    assert pair.products < 60


def test_what_is_not_finite_ends_the_search():
    pair = sharpness.largest(lambda v: v * jnp.nan, jnp.ones(5))
    assert pair.products <= 2
    assert not np.isfinite(pair.value)


RULES = {
    "sgd": {"learning_rate": 0.1},
    "momentum": {"learning_rate": 0.03, "momentum": 0.9},
    "adam": {"learning_rate": 0.01},
    "rmsprop": {"learning_rate": 0.01, "weight_decay": 0.001},
    "adagrad": {"learning_rate": 0.03},
}


def study(folder, runs, *, epochs=3, model=small.MODEL, asked=True, **execution):
    settings = Settings(batch_size=16, max_epochs=epochs, sharpness=asked)
    return Trainer(settings, small.dataset(), runs, folder, model=model, execution=js.Execution(**execution))


def reference(made, run, state):
    """By scipy's eigsh, with the Hessian written down once more: plain Flax, the whole matrix, the rule's division."""
    batches, module = made.batches(16), small.SmallNet()
    flat, unraveled = ravel_pytree(state.variables.params)

    def loss(flat):
        collections, rngs = {"params": unraveled(flat), **state.variables.stats}, {"dropout": jax.random.key(3)}
        images = batches.train[0][0] / jnp.float32(255)
        logits, _ = module.apply(collections, images, True, rngs=rngs, mutable=["batch_stats"])
        return optax.sigmoid_binary_cross_entropy(logits[:, 0], batches.train[1][0].astype(jnp.float32)).mean()

    h = np.asarray(jax.jit(jax.hessian(loss))(flat), np.float64)
    numbers, own = dict(run.hyperparameters), state.opt_state
    if run.optimizer == "adam":
        t = int(own.count)
        nu = np.asarray(ravel_pytree(own.nu)[0], np.float64) / (1 - numbers["b2"] ** t)
        root = np.sqrt(nu) + numbers["eps"] / np.sqrt(1 - numbers["b2"] ** t)
        h /= np.sqrt(np.outer(root, root)) * (1 - numbers["b1"] ** t)
    elif run.optimizer in ("rmsprop", "adagrad"):
        own = own[-1] if run.optimizer == "rmsprop" else own
        square = np.asarray(ravel_pytree(own[1])[0], np.float64)
        h /= np.sqrt(np.outer(*(np.sqrt(square) + numbers["eps"],) * 2))
    operator = scipy.sparse.linalg.aslinearoperator(h)
    return scipy.sparse.linalg.eigsh(operator, k=1, which="LA", return_eigenvectors=False)[0]


@pytest.mark.parametrize(
    ("optimizer", "strategy"),
    [("adam", "vmap")] + [pytest.param(name, "map", marks=pytest.mark.slow) for name in RULES],
)
def test_each_epoch_it_is_that_of_lanczos_to_one_percent(tmp_path, optimizer, strategy):
    runs = [make_run(optimizer, RULES[optimizer], seed) for seed in range(2)]
    made = study(tmp_path, runs, devices=1, strategy=strategy)
    sweep = Sweep(made.program(made.groups[0], strategy), made.batches(16), jax.devices()[:1])
    assert sweep.curves == (*CURVES, "sharpness")
    numbers, seeds, bounds = sweep.stacked(runs), np.arange(2, dtype=np.uint32), np.full(2, 9, np.int32)
    states = sweep.fill(sweep.idle(2), *sweep.put((numbers, seeds, np.ones(2, bool))))
    for _ in range(3):
        arguments = sweep.put((numbers, Limits(bounds, bounds)))
        states, report = sweep.compiled("epoch", 2)(states, *arguments, sweep.batches)
        for i, run in enumerate(runs):
            expected = reference(made, run, sweep.own_state(run, jax.tree.map(lambda x, i=i: x[i], states)))
            np.testing.assert_allclose(report.metrics[i, -1], expected, rtol=0.01)


def test_it_is_stored_where_it_was_asked_for_and_changes_nothing_else(tmp_path):
    runs = small.grid(rates=(0.03,), momenta=(0.9,), seeds=2)
    plain, asked = study(tmp_path, runs, asked=False), study(tmp_path, runs)
    assert plain.fingerprints != asked.fingerprints
    without, measured = by_run(plain.train()), by_run(asked.train())
    for key, history in measured.items():
        assert (history.curves["sharpness"] > 0).all()
        for name in CURVES:
            np.testing.assert_allclose(history.curves[name], without[key].curves[name], rtol=1e-5, atol=1e-6)
        assert "sharpness" not in without[key].curves
    table = load_runs(tmp_path)
    assert table["sharpness"].null_count == len(table) // 2
    again = study(tmp_path, runs)
    assert again.pending() == []
    for run, history in again.finished.items():
        np.testing.assert_array_equal(history.curves["sharpness"], asked.finished[run].curves["sharpness"])


class Convolved(nn.Module):
    conv: Callable[..., jax.Array] | None

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(16, (3, 3), conv_general_dilated=self.conv)(x)
        return nn.Dense(10)(js.max_pool(nn.relu(x), (2, 2), (2, 2)).reshape(len(x), -1))


@pytest.mark.parametrize("kernels", ["cpp", "cuda", "convolution"])
def test_networks_with_kernels_have_the_hessian_of_plain_ones(kernels):
    data = js.load("digits", classes=["all"], train_examples=64)
    images, labels = data.train_images[:32], jnp.asarray(data.train_labels[:32])
    if kernels == "convolution":
        network, plain = (model_of(Convolved(conv)).build((8, 8, 1), 10, 32) for conv in (js.conv, None))
    else:
        network = article_fast.fast((8, 8, 1), 32, outputs=10, cuda=kernels == "cuda")
        plain = js.article_model(kernels="plain").build((8, 8, 1), 10, 32)
    variables = small.initial(network)
    loss = sharpness.Loss(lambda x, y: optax.softmax_cross_entropy_with_integer_labels(x, y), None)
    size = ravel_pytree(variables.params)[0].size
    v = jnp.asarray(np.random.default_rng(0).normal(size=size), jnp.float32)
    found = []
    for each in (network, plain):
        prepared = each.prepare(images, True)
        product = sharpness.hessian(variables, prepared, labels, each, loss)
        found.append(jax.jit(product, compiler_options=small.QUICK)(v))
    scale = np.abs(found[1]).max()
    np.testing.assert_allclose(found[0], found[1], atol=1e-3 * scale)


class Short(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(10, dtype=jnp.bfloat16)(x.reshape(len(x), -1)).astype(jnp.float32)


@jax.custom_vjp
def once(x):
    return x * x


@jax.custom_jvp
def refuse(x):
    return x


refuse.defjvp(lambda x, tangents: 1 / 0)
once.defvjp(lambda x: (x * x, x), lambda x, g: (2 * refuse(x) * g,))


class Once(nn.Module):
    @nn.compact
    def __call__(self, x):
        return once(nn.Dense(10)(x.reshape(len(x), -1)))


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (Short(), "allowed with networks that compute in float32 throughout; Short computes in bf16"),
        (js.article_model(activations="bfloat16"), "article, computes in bf16"),
        (Once(), "Once cannot be differentiated twice: ZeroDivisionError"),
    ],
)
def test_a_network_that_has_no_exact_hessian_is_refused_in_a_line(model, why, tmp_path):
    data, grid = js.load("digits", classes=["all"]), js.make_grid("sgd", learning_rate=0.1)
    with pytest.raises(InputError, match=why) as told:
        js.make_study(model=model, data=data, grid=grid, sharpness=True, workdir=tmp_path)
    assert "\n" not in str(told.value)
    assert js.make_study(model=model, data=data, grid=grid, workdir=tmp_path).runs


AT = {
    "sgd": {"learning_rate": 0.1}, "momentum": {"learning_rate": 0.1, "momentum": 0.8},
    "momentum_ema": {"learning_rate": 0.1, "momentum": 0.8}, "nesterov": {"learning_rate": 0.1, "momentum": 0.8},
    "optax.sgd": {"learning_rate": 0.1, "momentum": 0.8},
}  # fmt: skip


def history_of(optimizer, numbers):
    curves = {name: np.ones(2, np.float32) for name in CURVES} | {"sharpness": np.array([10, 40], np.float32)}
    return History(optimizer, numbers, 0, "finished", curves)


@pytest.mark.parametrize("optimizer", AT)
def test_a_quadratic_is_descended_below_the_edge_and_left_above_it(optimizer):
    if optimizer.startswith("optax"):
        rule(optax.sgd)
    built = registry.build(registry.family(optimizer), AT[optimizer], 1)
    for factor in (0.98, 1.02):
        bend = factor * edge(history_of(optimizer, AT[optimizer]))
        w, state = jnp.float32(1), built.init(jnp.float32(1))
        for _ in range(600):
            updates, state = built.update(bend * w, state, w)
            w = w + updates
        assert (abs(w) < 1) == (factor < 1)


def test_adam_is_stable_below_38_over_its_learning_rate():
    """Of the preconditioned Hessian, with the preconditioner held: what is left of Adam is averaged momentum."""
    numbers = {"learning_rate": 0.1, "b1": 0.9, "b2": 0.999}
    assert edge(history_of("adam", numbers)) == pytest.approx(38 / 0.1)
    averaged = {"learning_rate": 0.1, "momentum": 0.9}
    assert edge(history_of("adam", numbers)) == edge(history_of("momentum_ema", averaged))
    assert edge(history_of("optax.adamw", numbers)) == edge(history_of("adam", numbers))


def test_over_the_edge_is_a_multiple_of_it_or_nothing():
    np.testing.assert_allclose(over_edge(history_of("sgd", {"learning_rate": 0.1})), [0.5, 2])
    assert over_edge(history_of("cyclical", {"base_learning_rate": 0.1})) is None
    assert edge(history_of("sgd", {"learning_rate": 0.1, "max_norm": 1.0})) is None
    assert {"sgd", "momentum", "momentum_ema", "nesterov", "rmsprop", "adam", "adagrad"} < EDGES.keys()
