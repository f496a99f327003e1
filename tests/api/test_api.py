"""A user's own network, data and optimizer, from arrays to the report."""

import dataclasses
import json
import os
import pickle
import subprocess
import sys
from types import SimpleNamespace

import jax
import numpy as np
import optax
import own_studies
import plot_runs
import pytest
from flax import nnx

import jaxopt_study as js
from experiments.command import outputs, results
from jaxopt_study.data.arrays import arrays
from jaxopt_study.errors import InputError
from jaxopt_study.grids import run as runs
from jaxopt_study.identity import identity
from jaxopt_study.models.build import article_model
from jaxopt_study.models.own import functions, model_of, nnx_model
from jaxopt_study.optimizers import registry, triangular
from jaxopt_study.optimizers.foreign import rule, scheduled
from jaxopt_study.settings import Execution
from jaxopt_study.storage import store
from jaxopt_study.storage.weights import load_model

ONE = Execution(devices=1, strategy="vmap")


class Noisy(nnx.Module):
    def __init__(self, rngs):
        self.dense, self.norm = nnx.Linear(4, 2, rngs=rngs), nnx.BatchNorm(4, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)

    def __call__(self, x):
        return self.dense(self.dropout(self.norm(x)))


def numbers(examples=40):
    x = np.random.default_rng(0).normal(size=(examples, 4)).astype(np.float32)
    y = np.stack([x.sum(1), x[:, 0]], 1)
    return arrays(x[:-10], y[:-10], x[-10:], y[-10:])


def test_the_identity_of_an_nnx_model_is_taken_of_the_code_given():
    models = [nnx_model(lambda rngs, n=n: Noisy(rngs), "noisy", code=Noisy) for n in range(2)]
    assert models[0].identity == models[1].identity == models[0].factory().identity
    assert models[0].identity != nnx_model(lambda rngs: Noisy(rngs), "noisy").identity


def test_a_regression_with_an_nnx_module_and_batch_sizes_as_an_axis(tmp_path):
    execution = dataclasses.replace(ONE, save_best_weights=True)
    grid = js.make_grid("momentum", learning_rate=[0.01, 0.1], max_norm=1.0, weight_decay=0.1)
    asked = {"model": Noisy, "data": numbers(), "grid": grid, "max_epochs": 3, "workdir": tmp_path}
    asked |= {"execution": execution}
    study = js.make_study(**asked, batch_size=[8, 16])
    assert [(part.batch_size, part.runs) for part in study.plan()] == [(8, 2), (16, 2)]
    table = study.run()
    assert len(table["epoch"]) == 4 * 3
    assert set(np.asarray(table["batch_size"])) == {8.0, 16.0}
    first, last = (np.mean([h.curves["val_loss"][at] for h in study.histories]) for at in (0, -1))
    assert last < first
    page = study.report().read_text(encoding="utf-8")
    assert "squared_error" in page
    assert 'id="claims"' not in page
    assert np.isnan(table["val_accuracy"]).all()
    assert "accuracy" not in page.partition('id="settings"')[0]
    constant = np.square(asked["data"].val_labels - asked["data"].train_labels.mean(0)).mean()
    assert f"<dt>Loss of guessing</dt><dd>{constant:.4f}</dd>" in page
    outputs.write(results.read([tmp_path]), tmp_path / "again")
    assert (tmp_path / "again" / "report.html").read_text(encoding="utf-8").count("<figure") == page.count("<figure")
    assert not (tmp_path / "again" / "claims.csv").exists()
    history, data = study.histories[0], asked["data"]
    predict = load_model(tmp_path, study.fingerprints[study.runs[0]], model=Noisy)
    error = np.square(predict(data.val_images) - data.val_labels).mean()
    np.testing.assert_allclose(error, history.curves["val_loss"].min(), rtol=1e-5)
    with pytest.raises(InputError, match="allowed is the network that was trained"):
        load_model(tmp_path, study.fingerprints[study.runs[0]])
    assert js.make_study(**asked, batch_size=16).pending() == []


def test_runs_may_be_listed_and_what_was_trained_is_not_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "read_run", lambda path: pytest.fail(f"{path} was read"))
    listed = runs.product("momentum", {"learning_rate": (0.01,), "momentum": (0.5,)}, 2)
    asked = {"model": Noisy, "data": numbers(), "grid": listed, "batch_size": 8, "max_epochs": 2, "workdir": tmp_path}
    study = js.make_study(**asked, execution=ONE, own=False)
    heard = []
    study.callbacks = [SimpleNamespace(on_epoch=lambda *_: None, on_run_end=lambda run, _: heard.append(run))]
    table = study.run()
    assert study.runs == listed == sorted(heard)
    assert len(table["epoch"]) == 4
    assert [history.seed for history in study.histories] == [0, 1]
    assert study.plan()[0].stored == 2
    assert json.loads((tmp_path / "config.json").read_text())["own"] is False


def test_a_study_says_which_configuration_is_best_and_shows_it(tmp_path):
    grids = [js.make_grid("sgd", learning_rate=[0.1, 0.2]), js.make_grid("adam", learning_rate=0.1)]
    asked = {"model": own_studies.Net(), "data": own_studies.data(), "batch_size": 8, "seeds": 2}
    study = js.make_study(**asked, grid=grids, workdir=tmp_path)
    assert "6 runs: none trained yet" in repr(study)
    assert study._repr_html_().startswith("<p>&lt;Net on arrays")
    with pytest.raises(InputError, match="call run"):
        study.best()
    for run in study.runs:  # a better rate, a worse one, and a rule that has learnt nothing
        numbers = dict(run.hyperparameters)
        history = plot_runs.run(run.optimizer, seed=run.seed, low=numbers["learning_rate"], **numbers)
        history.curves["val_loss"][:] += 2.0 * (run.optimizer == "adam")
        study.store.write(study.fingerprints[run], history)
    best = study.best()
    assert (best.optimizer, dict(best.hyperparameters), best.seeds) == ("sgd", {"learning_rate": 0.1}, 2)
    losses = [0.12 + 0.01 * seed + 0.6 * 0.5**5 for seed in (0, 1)]
    assert best.val_loss == pytest.approx(np.mean(losses), rel=1e-6)
    assert best.val_low < best.val_loss < best.val_high
    assert best.epoch == 6
    assert "sgd (learning_rate 0.1): validation loss 0.1438 (95% interval" in repr(best)
    assert "<td>sgd (learning_rate 0.1)</td>" in best._repr_html_()
    assert study.best("adam").note == "no interval: 2 of 2 seeds worse than guessing"
    with pytest.raises(InputError, match="did you mean sgd"):
        study.best("sgdd")
    assert "6 runs: 4 finished, 2 worse than guessing" in repr(study)
    assert "<td>sgd</td>" in study._repr_html_()
    assert repr(study.histories[0]).startswith(
        "<sgd, learning_rate 0.1, seed 0: finished, 6 epochs, lowest validation loss"
    )


@pytest.mark.parametrize(
    "given",
    [article_model(notebook=True), own_studies.Net(5), functions(own_studies.data, own_studies.mine, "two")],
    ids=["article", "linen", "functions"],
)
def test_a_worker_of_a_cluster_makes_the_same_model(given):
    model = model_of(given)
    assert pickle.loads(pickle.dumps(model.factory))().identity == model.identity


def test_schedules_vary_in_their_numbers(tmp_path):
    cosine = scheduled(optax.sgd, optax.cosine_decay_schedule, static={"decay_steps": 3}, in_epochs=["decay_steps"])
    cycle = scheduled("sgd", triangular)
    model = functions(lambda key, x: jax.random.normal(key, (4, 2)), lambda params, x: x @ params, "linear")
    grids = [
        js.make_grid(cosine, init_value=[0.01, 0.1], alpha=0.1),
        js.make_grid(cycle, base_learning_rate=0.01, max_learning_rate=[0.1, 0.2], step_size=2),
    ]
    study = js.make_study(
        model=model, data=numbers(), grid=grids, batch_size=8, max_epochs=3, workdir=tmp_path, execution=ONE
    )
    study.run()
    assert len({tuple(h.curves["val_loss"]) for h in study.histories}) == 4
    with pytest.raises(InputError, match=r"decay_steps=nothing: it cannot vary within a program \(it is branched on\)"):
        scheduled(optax.adam, optax.cosine_decay_schedule)


def test_the_numbers_of_an_optimizer_are_those_that_can_be_traced():
    family = rule(optax.adafactor)
    assert {"decay_rate", "learning_rate", "momentum"} <= family.known().keys()
    assert dict(family.fixed).keys() >= {"min_dim_size_to_factor"}
    assert [each.name for each in rule(own_studies.mine).hyperparameters] == ["learning_rate", "pull"]


def test_an_edited_factory_is_another_rule():
    def one(learning_rate):
        return optax.sgd(learning_rate)

    def other(learning_rate):
        return optax.sgd(learning_rate * 2)

    assert rule(one, name="mine") == registry.family("mine")
    with pytest.raises(InputError, match="name=mine: there is another rule"):
        rule(other, name="mine")
    assert identity(lambda x: x + 1) == identity(lambda x: x + 1) != identity(lambda x: x + 2)


def test_what_a_function_names_is_part_of_its_identity():
    def network(width):
        return lambda x: own_studies.Net(width)(x)

    assert identity(network(3)) != identity(network(4))
    assert identity(own_studies.Net(3)) != identity(own_studies.Net(4))


def test_common_numbers_change_fingerprints_only_where_they_do_something():
    def fingerprint(**more):
        return runs.fingerprint(runs.make_run("sgd", {"learning_rate": 0.1, **more}, 0), {"batch_size": 32})

    assert fingerprint() == fingerprint(weight_decay=0.0) == fingerprint(batch_size=32)
    assert (
        len({fingerprint(), fingerprint(weight_decay=0.1), fingerprint(max_norm=1.0), fingerprint(batch_size=8)}) == 4
    )


def test_clipping_comes_before_decay_and_decay_before_the_rule():
    made = registry.build(registry.family("sgd"), {"learning_rate": 1.0, "max_norm": 1.0, "weight_decay": 0.5}, 1)
    params = jax.numpy.float32(4.0)
    updates, _ = made.update(jax.numpy.float32(10.0), made.init(params), params)
    assert float(updates) == -(1.0 + 0.5 * 4.0)


CORES = """
import sys, warnings
import jaxopt_study as js
from jaxopt_study.engine import devices
devices.cpu_cores = lambda: 3
if {early}:
    import jax.numpy; jax.numpy.zeros(3)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always", UserWarning)
    grid = js.make_grid("sgd", learning_rate=[0.1])
    js.make_study(model=js.article_model(), data=js.load("digits"), grid=grid, workdir={folder!r})
import jax
print(jax.local_device_count(), *[str(each.message) for each in told if "cores" in str(each.message)])
"""


@pytest.mark.parametrize("early", [False, True])
def test_every_core_is_a_device_or_a_warning_says_why_not(early, tmp_path):
    code = CORES.format(early=early, folder=str(tmp_path))
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=True
    ).stdout
    if early:
        assert told.startswith("1 JAX was used before the study was made, so that it has 1 of 3 cores")
    else:
        assert told == "3\n"
