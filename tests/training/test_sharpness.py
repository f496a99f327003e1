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
from jaxopt_study.engine.watcher import Interrupted, Watcher
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


@jax.jit
def search(a, start, fewest=sharpness.FEWEST):
    return sharpness.largest(lambda v: a @ v, start, fewest)


@pytest.mark.parametrize(
    "eigenvalues",
    [np.arange(1.0, 101), np.r_[np.full(99, 0.01), 1], np.r_[-np.linspace(1, 50, 90), np.arange(1.0, 11)], [1.0, 2, 3],
     -np.arange(1.0, 9), [7.0], np.r_[np.linspace(0, 0.9, 400), 1]],
)  # fmt: skip
def test_the_largest_eigenvalue_is_found_whatever_the_others_are(eigenvalues):
    a = matrix(np.asarray(eigenvalues))
    start = jnp.asarray(np.random.default_rng(1).normal(size=len(a)), jnp.float32)
    found = search(a, start, sharpness.FEWEST_AT_FIRST)
    np.testing.assert_allclose(found.value, max(eigenvalues), rtol=0.01)
    again = search(a, found.direction)
    np.testing.assert_allclose(again.value, max(eigenvalues), rtol=0.01)
    assert again.products <= found.products < 60


OVERTAKING = {
    "two change places": [[10.0, 9, 1, 1], [8.0, 9, 1, 1]],
    "the third becomes the first": [[10.0, 9, 8, 1], [10.0, 9, 12, 1]],
    "all fall but the fourth": [[10.0, 9.5, 9, 8.5], [7.0, 6.5, 6, 8.5]],
}


@pytest.mark.parametrize("case", OVERTAKING)
def test_an_eigenvalue_that_overtakes_while_no_direction_turns_is_found(case):
    """A search that begins with the vector of the largest alone stays with it: there is no residual."""
    before, after = (
        jnp.diag(jnp.asarray(np.r_[some, np.linspace(0, 0.9, 96)], jnp.float32)) for some in OVERTAKING[case]
    )
    start = jnp.asarray(np.random.default_rng(0).normal(size=100), jnp.float32)
    found = search(before, start, sharpness.FEWEST_AT_FIRST)
    np.testing.assert_allclose(search(after, found.direction).value, after.max(), rtol=0.01)


def test_what_is_not_finite_ends_the_search():
    found = search(jnp.full((5, 5), jnp.nan), jnp.ones(5))
    assert found.products <= sharpness.FEWEST
    assert not np.isfinite(found.value)
    np.testing.assert_array_equal(found.direction, jnp.ones(5))  # the next epoch's begins there


RULES = {
    "sgd": {"learning_rate": 0.1},
    "momentum": {"learning_rate": 0.03, "momentum": 0.9},
    "adam": {"learning_rate": 0.01},
    "rmsprop": {"learning_rate": 0.01, "weight_decay": 0.001},
    "adagrad": {"learning_rate": 0.03},
}


def study(folder, runs, *, epochs=3, model=small.MODEL, every=1, **execution):
    settings = Settings(batch_size=16, max_epochs=epochs, sharpness=bool(every), sharpness_every=every)
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
    plain, asked = study(tmp_path, runs, every=None), study(tmp_path, runs)
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


@pytest.mark.parametrize("strategy", ["map", pytest.param("vmap", marks=pytest.mark.slow)])
def test_it_is_measured_every_so_many_epochs_whoever_else_trains_and_after_an_interrupt(tmp_path, strategy):
    """Four runs in two slots: one diverges at once, so that another begins later than its neighbour."""
    runs = small.grid(rates=(0.03, 1e30, 0.1, 0.01), momenta=(0.9,))
    options = {"epochs": 5, "every": 3, "slots": 2, "devices": 1, "strategy": strategy}
    whole = by_run(study(tmp_path / "whole", runs, **options).train())
    for history in whole.values():
        due = (np.arange(history.epochs) % 3 == 0) & (history.status != "diverged")
        np.testing.assert_array_equal(np.isfinite(history.curves["sharpness"]), due)
    asked = iter([False, False, False, True])
    with pytest.raises(Interrupted):
        study(tmp_path / "parts", runs, **options).train(Watcher(interrupted=lambda: next(asked)))
    parts = by_run(study(tmp_path / "parts", runs, **options).train())
    other_way = by_run(study(tmp_path / "others", runs[::-1], **options).train())
    for key, history in whole.items():
        for other in (parts[key], other_way[key]):
            rounding = 0 if strategy == "map" else 1e-5  # the last runs of a batched program go on in fewer slots
            np.testing.assert_allclose(other.curves["sharpness"], history.curves["sharpness"], rtol=rounding)


def test_it_takes_a_twentieth_of_the_steps_unless_it_is_said_how_often():
    assert [sharpness.every(Settings(sharpness=True), steps) for steps in (45, 582, 1200, 5000)] == [27, 3, 1, 1]
    assert sharpness.every(Settings(sharpness=True, sharpness_every=3), 45) == 3
    assert sharpness.every(Settings(), 45) == 0
    with pytest.raises(InputError, match=r"^sharpness_every=3: allowed with sharpness only"):
        Settings(sharpness_every=3)
    with pytest.raises(InputError, match=r"^sharpness_every=0: allowed is a whole number from 1"):
        Settings(sharpness=True, sharpness_every=0)


class Convolved(nn.Module):
    conv: Callable[..., jax.Array] | None

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(16, (3, 3), conv_general_dilated=self.conv)(x)
        return nn.Dense(10)(js.max_pool(nn.relu(x), (2, 2), (2, 2)).reshape(len(x), -1))


@pytest.mark.parametrize(
    "kernels", ["cpp", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cuda", "convolution"))]
)
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
