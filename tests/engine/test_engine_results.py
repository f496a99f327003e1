"""What a run computes: the same as a plain loop, whatever its neighbours, slots, devices and strategy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small
from compared import assert_close, assert_identical, by_run
from flax import linen as nn

import jaxopt_study as js
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.grids.run import make_run
from jaxopt_study.history import CURVES
from jaxopt_study.models.build import Model
from jaxopt_study.models.linen import from_linen
from jaxopt_study.settings import Settings
from jaxopt_study.training import early_stopping
from jaxopt_study.training import epoch as engine
from jaxopt_study.training.step import STRATEGIES


@functools.partial(jax.jit, static_argnums=0)
def gradient(module, params, stats, x, y, key):
    """The loss of a batch, the new statistics, and the gradient."""

    def loss_of(params):
        logits, new = module.apply(
            {"params": params, "batch_stats": stats}, x, True, rngs={"dropout": key}, mutable=["batch_stats"]
        )
        return optax.sigmoid_binary_cross_entropy(logits[:, 0], y.astype(jnp.float32)).mean(), new["batch_stats"]

    return jax.value_and_grad(loss_of, has_aux=True)(params)


@functools.cache
def plain_loop(seed: int, learning_rate: float, momentum: float, epochs: int) -> dict[str, list[float]]:
    """Flax, Optax and Python loops, one example of each thing that the engine does."""
    data = small.dataset()
    module = small.SmallNet()
    order = np.random.default_rng(0).permutation(len(data.train_labels))
    images, labels = data.train_images[order] / np.float32(255), data.train_labels[order]
    key = jax.random.fold_in(jax.random.key(0), jnp.uint32(seed))
    variables = module.init({"params": key}, jnp.zeros((1, 4, 4, 1)), False)
    params, stats = variables["params"], variables["batch_stats"]
    optimizer = optax.sgd(learning_rate, momentum)
    opt_state = optimizer.init(params)

    curves = {name: [] for name in CURVES}
    signs = None

    def norm_of(tree):
        return np.linalg.norm(np.asarray(jax.flatten_util.ravel_pytree(tree)[0], np.float64))

    for epoch in range(epochs):
        losses, flips, sizes, start = [], [], [], jax.flatten_util.ravel_pytree(params)[0]
        norms = []
        for step, first in enumerate(range(0, len(labels), 16)):
            x, y = images[first : first + 16], labels[first : first + 16]
            step_key = jax.random.key(1)
            for part in (seed, epoch, step):  # said here once more, so that the engine's own has to be this
                step_key = jax.random.fold_in(step_key, part)
            (loss, stats), grads = gradient(module, params, stats, x, y, step_key)
            updates, opt_state = optimizer.update(grads, opt_state)
            params = optax.apply_updates(params, updates)
            flat = np.asarray(jax.flatten_util.ravel_pytree(updates)[0])
            flips.append(np.mean(np.sign(flat) * signs < 0) if signs is not None else 0.0)
            signs = np.sign(flat)
            sizes.append(np.abs(flat).mean())
            norms.append((norm_of(grads), norm_of(updates), norm_of(params)))
            losses.append(float(loss))
        logits = module.apply({"params": params, "batch_stats": stats}, data.val_images / np.float32(255), False)[:, 0]
        y = data.val_labels
        values = {
            "train_loss": np.mean(losses),
            "val_loss": float(optax.sigmoid_binary_cross_entropy(logits, y.astype(np.float32)).mean()),
            "val_accuracy": float(((logits > 0) == (y == 1)).mean()),
            "oscillation": np.mean(flips),
            "update_size": np.mean(sizes),
            "distance": float(jnp.linalg.norm(jax.flatten_util.ravel_pytree(params)[0] - start)),
        }
        values |= dict(zip(("grad_norm", "update_norm", "param_norm"), np.mean(norms, 0), strict=True))
        for name, value in values.items():
            curves[name].append(value)
    return curves


@pytest.mark.gpu
@pytest.mark.parametrize("strategy", ["map", "vmap"])
def test_every_run_of_a_grid_equals_a_plain_loop(tmp_path, strategy):
    runs = small.grid(rates=(0.003, 0.03), momenta=(0.0, 0.9), seeds=2)
    found = by_run(small.study(tmp_path, runs, epochs=4, strategy=strategy, devices=2).train())
    assert len(found) == 8
    for (rate, momentum, seed), history in found.items():
        for name, expected in plain_loop(seed, rate, momentum, 4).items():
            atol = 0.02 if name == "oscillation" else 2e-6
            np.testing.assert_allclose(history.curves[name], expected, rtol=5e-5, atol=atol, err_msg=name)


def test_refilled_slots_and_other_neighbours_give_the_same_bit_for_bit(tmp_path):
    runs = small.grid(seeds=2)
    one_way = by_run(small.study(tmp_path / "a", runs, slots=4, devices=2).train())
    other_way = by_run(small.study(tmp_path / "b", runs[::-1], slots=4, devices=2).train())
    some = by_run(small.study(tmp_path / "c", runs[3:8], slots=4, devices=2).train())
    assert len(one_way) == 12
    for key, history in one_way.items():
        assert_identical(history, other_way[key])
    for key, history in some.items():
        assert_identical(history, one_way[key])


def test_a_run_alone_or_on_more_devices_is_the_same_to_rounding(tmp_path):
    runs = small.grid(rates=(0.001, 0.03), seeds=2)
    together = by_run(small.study(tmp_path / "a", runs, slots=8, devices=1).train())
    spread = by_run(small.study(tmp_path / "b", runs, slots=5, devices=4).train())
    alone = by_run(small.study(tmp_path / "c", runs[2:3], devices=1).train())
    assert len(together) == 8
    for key, history in together.items():
        assert_close(history, spread[key])
    for key, history in alone.items():
        assert_close(history, together[key])


@pytest.mark.parametrize("steps", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_how_many_steps_a_chunk_has_changes_nothing(steps, tmp_path, monkeypatch):
    """Also where the steps of an epoch, four here, are not a multiple of it."""
    runs, chunks, chunk_of = small.grid(rates=(0.003, 0.03)), set(), engine.chunk_of
    monkeypatch.setattr(engine, "chunk_of", lambda inputs, of: chunks.add(of.strategy.chunk) or chunk_of(inputs, of))
    usual = by_run(small.study(tmp_path / "a", runs, strategy="map", devices=1).train())
    monkeypatch.setitem(STRATEGIES, "map", STRATEGIES["map"]._replace(chunk=steps))
    chunks.clear()
    for key, history in by_run(small.study(tmp_path / "b", runs, strategy="map", devices=1).train()).items():
        assert_close(history, usual[key])
    assert chunks == {steps}  # a run with a device to itself would take one step at a time whatever is said


@pytest.mark.parametrize(("slots", "chunk"), [(1, 1), (2, 8)])
def test_a_run_that_has_a_device_to_itself_takes_a_step_at_a_time(slots, chunk, tmp_path, monkeypatch):
    chunks = []
    chunk_of = engine.chunk_of
    monkeypatch.setattr(engine, "chunk_of", lambda inputs, of: chunks.append(of.strategy.chunk) or chunk_of(inputs, of))
    how = {"settings": {"diagnostics": False}, "save_best_weights": True}  # a program that no other test has traced
    study = small.study(tmp_path, small.grid(seeds=2), strategy="map", slots=slots, devices=1, **how)
    study.sweep(study.groups[0], study.batches(16)).compiled("epoch", slots)
    assert chunks == [chunk]


def test_no_more_steps_a_chunk_than_there_is_room_for_their_batches(tmp_path, monkeypatch):
    study = small.study(tmp_path, small.grid(), strategy="map")
    images = study.batches(16).train[0]
    program = study.program(study.groups[0], "map")
    assert engine.chunk_of(images, program) == len(images) == 4
    batch = images[0].size * 4  # as float32
    for room, steps in ((3 * batch, 3), (2 * batch - 1, 1), (0, 1)):
        monkeypatch.setattr(engine, "CHUNK_BYTES", room)
        assert engine.chunk_of(images, program) == steps


@pytest.mark.slow  # each is compared with a plain loop, too
def test_strategies_agree(tmp_path):
    runs = small.grid(rates=(0.003, 0.03))
    in_turn = by_run(small.study(tmp_path / "a", runs, strategy="map").train())
    together = by_run(small.study(tmp_path / "b", runs, strategy="vmap", slots=3, devices=2).train())
    for key, history in in_turn.items():
        assert_close(history, together[key])


@pytest.mark.gpu
@pytest.mark.parametrize("strategy", ["map", pytest.param("vmap", marks=pytest.mark.slow)])
def test_a_diverging_neighbour_is_reported_and_changes_nothing(tmp_path, strategy):
    runs = small.grid(rates=(0.003, 0.03), momenta=(0.5,))
    bad = make_run("momentum", {"learning_rate": 1e30, "momentum": 0.5}, 0)
    without = by_run(small.study(tmp_path / "a", runs, strategy=strategy, devices=1, slots=3).train())
    with_bad = by_run(small.study(tmp_path / "b", [bad, *runs], strategy=strategy, devices=1, slots=3).train())
    diverged = with_bad.pop((1e30, 0.5, 0))
    assert diverged.status == "diverged"
    assert diverged.diverged_epoch == diverged.epochs == 1
    assert not np.isfinite(diverged.curves["train_loss"][-1])
    for key, history in without.items():
        (assert_identical if strategy == "map" else assert_close)(history, with_bad[key])


def test_without_stop_on_nonfinite_a_diverged_run_goes_on_and_is_marked(tmp_path):
    bad = make_run("momentum", {"learning_rate": 1e30, "momentum": 0.5}, 0)
    settings = Settings(batch_size=16, max_epochs=9, patience=3, stop_on_nonfinite=False)
    (history,) = Trainer(settings, small.dataset(), [bad], tmp_path, model=small.MODEL).train()
    assert (history.status, history.diverged_epoch, history.epochs) == ("diverged", 1, 3)


@pytest.mark.gpu
def test_seeds_change_weights_and_dropout_but_not_the_order_of_the_data(tmp_path):
    first, second = small.study(tmp_path, small.grid((0.01,), (0.9,), seeds=2)).train()
    assert not np.array_equal(first.curves["train_loss"], second.curves["train_loss"])
    assert np.abs(first.curves["train_loss"][-1] - second.curves["train_loss"][-1]) < 0.3


def reference_stop(losses: list[float], patience: int, max_epochs: int) -> tuple[int, str]:
    """Keras's EarlyStopping, read as prose."""
    best, best_epoch = np.inf, 0
    for epoch, loss in enumerate(losses, start=1):
        if not np.isfinite(loss):
            return epoch, "diverged"
        if loss < best:
            best, best_epoch = loss, epoch
        if epoch - best_epoch >= patience:
            return epoch, "stopped"
        if epoch == max_epochs:
            return epoch, "finished"
    return len(losses), "running"


@pytest.mark.parametrize("seed", range(20))
def test_the_stopping_rule_is_patience_on_the_validation_loss(seed):
    rng = np.random.default_rng(seed)
    losses = rng.normal(0, 1, 40).astype(np.float32)
    if seed % 3 == 0:
        losses[rng.integers(40)] = np.nan
    patience, max_epochs = int(rng.integers(1, 12)), int(rng.integers(1, 40))
    limits = early_stopping.Limits(jnp.int32(max_epochs), jnp.int32(patience))
    stopping, status, epoch = early_stopping.start(), early_stopping.RUNNING, 0
    while status == early_stopping.RUNNING:
        loss = jnp.float32(losses[epoch])
        epoch += 1
        stopping, _ = early_stopping.observe(stopping, jnp.int32(epoch), loss)
        finite = jnp.isfinite(loss)
        status = int(early_stopping.verdict(stopping, jnp.int32(epoch), finite, limits, stop_on_nonfinite=True))
    assert (epoch, early_stopping.STATUS_NAMES[status]) == reference_stop(losses.tolist(), patience, max_epochs)


def test_batch_larger_than_the_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match="batch_size=71: allowed is a whole number from 1 to the 70 training"):
        Trainer(Settings(batch_size=71), small.dataset(), small.grid(), tmp_path, model=small.MODEL)


def test_results_do_not_depend_on_how_they_are_computed_so_neither_do_fingerprints(tmp_path):
    runs = small.grid()
    studies = [small.study(tmp_path, runs, slots=slots, strategy=s) for slots, s in ((1, "map"), (9, "vmap"))]
    assert studies[0].fingerprints == studies[1].fingerprints
    other = small.study(tmp_path, runs, epochs=7)
    assert not set(other.fingerprints.values()) & set(studies[0].fingerprints.values())


def steep(scale: float) -> Model:
    """A network whose loss is large nowhere and whose gradients are about ``scale``."""

    class Steep(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, train: bool) -> jax.Array:
            y = nn.Dense(1)(x.reshape(x.shape[0], -1))
            return y + scale * (y - jax.lax.stop_gradient(y))

    return Model(f"steep {scale}", lambda shape, *_: from_linen(Steep(), shape))


def sum_of_all_squares(learning_rate: float) -> optax.GradientTransformation:
    """Sign descent that remembers the sum of all squares, and moves on whatever that is."""

    def update(grads, state, params=None):
        state += sum(jnp.sum(jnp.square(g)) for g in jax.tree.leaves(grads))
        return jax.tree.map(lambda g: -learning_rate * jnp.sign(g), grads), state

    return optax.GradientTransformation(lambda params: jnp.float32(0), update)


RULES = {
    "rmsprop": {"learning_rate": 0.01, "decay": 0.9, "eps": 1e-7},
    "adam": {"learning_rate": 0.01, "b1": 0.9, "b2": 0.999, "eps": 1e-7},
    "adagrad": {"learning_rate": 0.01, "initial_accumulator_value": 0.1, "eps": 1e-7},
}


@pytest.mark.parametrize(("scale", "diagnostics"), [(1e10, True), (1e22, False)])
def test_a_rule_that_stands_still_since_squares_overflow_has_diverged(tmp_path, scale, diagnostics):
    js.rule(sum_of_all_squares)
    runs = [make_run(name, numbers, 0) for name, numbers in RULES.items()]
    runs.append(make_run("sum_of_all_squares", {"learning_rate": 0.01}, 0))
    settings = Settings(batch_size=16, max_epochs=2, patience=9, diagnostics=diagnostics)
    for history in Trainer(settings, small.dataset(), runs, tmp_path, model=steep(scale)).train():
        assert np.isfinite([history.curves["train_loss"], history.curves["val_loss"]]).all(), history.optimizer
        found = (history.status, history.diverged_epoch, history.epochs)
        assert found == (("diverged", 1, 1) if scale > 1.85e19 else ("finished", None, 2)), history.optimizer


CLIPS = {
    "clip_by_global_norm": optax.clip_by_global_norm,
    "clip_by_block_rms": optax.clip_by_block_rms,
    "clip": optax.clip,
}
"""The last of which clips every number by itself, so that it moves on whatever the norm is."""


@pytest.mark.parametrize(
    ("scale", "diagnostics", "clips"),
    [(1e10, True, ["clip_by_global_norm"]), (1e22, True, [*CLIPS]), (1e22, False, ["clip_by_global_norm"])],
)
def test_a_rule_that_stands_still_since_a_norm_overflows_has_diverged(tmp_path, scale, diagnostics, clips):
    for name in clips:
        js.rule(lambda learning_rate, clip=CLIPS[name]: optax.chain(clip(1.0), optax.sgd(learning_rate)), name)
    runs = [make_run(name, {"learning_rate": 1e-3}, 0) for name in clips]
    settings = Settings(batch_size=16, max_epochs=2, patience=9, diagnostics=diagnostics)
    for history in Trainer(settings, small.dataset(), runs, tmp_path, model=steep(scale)).train():
        assert np.isfinite([history.curves["train_loss"], history.curves["val_loss"]]).all(), history.optimizer
        stuck = scale > 1.85e19 and history.optimizer != "clip"
        found = (history.status, history.diverged_epoch, history.epochs)
        assert found == (("diverged", 1, 1) if stuck else ("finished", None, 2)), history.optimizer


def test_a_run_that_stands_still_for_another_reason_has_not_diverged(tmp_path):
    runs = [make_run("sgd", {"learning_rate": 1e-30}, 0)]
    (history,) = Trainer(
        Settings(batch_size=16, max_epochs=2), small.dataset(), runs, tmp_path, model=steep(1.0)
    ).train()
    assert history.curves["val_loss"][0] == history.curves["val_loss"][1]
    assert history.status == "finished"


def careful(learning_rate: float) -> optax.GradientTransformation:
    return optax.chain(optax.zero_nans(), optax.sgd(learning_rate))


@pytest.mark.parametrize("lost", [True, False])
def test_either_loss_that_is_not_finite_ends_a_run_whatever_its_weights(tmp_path, lost):
    class Lost(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, train: bool) -> jax.Array:
            y = nn.Dense(1)(x.reshape(x.shape[0], -1))
            return y * jnp.nan if train is lost else y

    js.rule(careful)
    model = Model(f"lost {lost}", lambda shape, *_: from_linen(Lost(), shape))
    runs = [make_run("careful", {"learning_rate": 0.01}, 0)]
    (history,) = Trainer(Settings(batch_size=16, max_epochs=3), small.dataset(), runs, tmp_path, model=model).train()
    assert np.isnan(history.curves["train_loss"][0]) == lost
    assert np.isnan(history.curves["val_loss"][0]) != lost
    assert (history.status, history.diverged_epoch, history.epochs) == ("diverged", 1, 1)
