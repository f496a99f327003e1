"""Losses and metrics of one's own: what is told of a run is what NumPy finds for its predictions, and it is gone by."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

import jaxopt_study as js
from jaxopt_study.analysis.best import best_run
from jaxopt_study.analysis.minima import Monitor
from jaxopt_study.analysis.ranking import ranking
from jaxopt_study.data.dataset import held_back
from jaxopt_study.errors import InputError
from jaxopt_study.report.outcome import unit_of
from jaxopt_study.storage import workdir
from jaxopt_study.training import metrics

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 4)).astype(np.float32)
Y = (np.abs(X[:, 0]) > 0.6).astype(int) + (X[:, 1] > 0)
WEIGHTS = RNG.uniform(0, 3, 96).astype(np.float32)


class Net(nn.Module):
    outputs: int = 3

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.outputs)(nn.tanh(nn.Dense(8)(x)))


def cross_entropy(outputs, labels):
    return -jnp.take_along_axis(jax.nn.log_softmax(outputs), labels[:, None], axis=1)[:, 0]


def worst(outputs, labels):
    """The place of the predicted class, of which the mean falls as the loss does not."""
    return jnp.argmax(outputs, -1) * 1.0 + 0 * labels


def macro_f1(predicted, labels, weights, classes=3):
    scores = []
    for each in range(classes):
        right = weights[(predicted == each) & (labels == each)].sum()
        scores.append(2 * right / max(weights[predicted == each].sum() + weights[labels == each].sum(), 1e-9))
    return np.mean(scores)


def study(folder, **options):
    grid = js.make_grid("adam", learning_rate=[0.01, 0.03])
    given = {"model": Net(), "grid": grid, "workdir": folder, "seeds": 2, "max_epochs": 6, "batch_size": 16}
    return js.make_study(**(given | options))


@pytest.fixture(scope="module")
def weighted(tmp_path_factory):
    """A study of weighted examples, stopped and chosen by its macro-F1, with an own loss."""
    data = js.arrays(X[:64], Y[:64], X[64:], Y[64:], weights=WEIGHTS[:64], val_weights=WEIGHTS[64:])
    measured = {"f1": js.macro_f1, "perplexity": js.perplexity, "place": worst}
    made = study(
        tmp_path_factory.mktemp("w"), data=data, loss=cross_entropy, metrics=measured, monitor="f1", mode="max",
        save_best_weights=True,
    )  # fmt: skip
    made.run()
    return made


def test_the_best_weights_are_those_of_the_best_metric_which_numpy_finds_too(weighted):
    for run in weighted.histories:
        numbers = {"learning_rate": run.hyperparameters["learning_rate"], "seed": run.seed}
        outputs = js.load_model(weighted.folder, numbers, model=Net())
        logits = outputs.network.evaluate(outputs.variables, X[64:])
        np.testing.assert_allclose(outputs(X[64:]), logits, rtol=1e-5)  # an own loss says nothing of probabilities
        found = macro_f1(np.argmax(logits, -1), Y[64:], WEIGHTS[64:])
        assert run.curves["f1"].max() == pytest.approx(found, abs=1e-6)
        at = int(np.argmax(run.curves["f1"]))
        losses = np.asarray(cross_entropy(logits, Y[64:]))
        assert run.curves["val_loss"][at] == pytest.approx(np.average(losses, weights=WEIGHTS[64:]), rel=1e-5)
        assert run.curves["val_accuracy"][at] == pytest.approx(
            np.average(np.argmax(logits, -1) == Y[64:], weights=WEIGHTS[64:]), rel=1e-5
        )
        np.testing.assert_allclose(run.curves["perplexity"], np.exp(run.curves["val_loss"]), rtol=1e-5)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_weights_that_nobody_chooses_are_those_of_the_best_run_by_the_monitor(mode, weighted, tmp_path):
    folder = shutil.copytree(weighted.folder, tmp_path / "w")
    workdir.write_json(folder / "config.json", {**workdir.read_config(folder / "config.json"), "mode": mode})
    best = weighted.histories[best_run(weighted.histories, Monitor("f1", mode))]
    assert getattr(best.curves["f1"], mode)() == getattr(np, mode)([run.curves["f1"] for run in weighted.histories])
    numbers = {"learning_rate": best.hyperparameters["learning_rate"], "seed": best.seed}
    found, wanted = (js.load_model(folder, asked, model=Net()) for asked in (None, numbers))
    np.testing.assert_array_equal(found(X), wanted(X))


def test_the_best_configuration_is_that_of_the_best_metric(weighted):
    best, rates = weighted.best(), {}
    for run in weighted.histories:
        rates.setdefault(run.hyperparameters["learning_rate"], []).append(float(run.curves["f1"].max()))
    assert best.hyperparameters["learning_rate"] == max(rates, key=lambda rate: np.mean(rates[rate]))
    assert best.monitor == "f1"
    assert min(map(min, rates.values())) <= best.value <= max(map(max, rates.values()))
    assert repr(best).startswith(f"<adam (learning_rate {best.hyperparameters['learning_rate']:g}")
    assert f"f1 {best.value:.4f}" in repr(best)


def test_metrics_are_in_the_store_and_on_the_page(weighted):
    page = weighted.report().read_text()
    table = js.load_runs(weighted.folder)
    assert table.column_names[10:14] == ["f1", "perplexity", "place", "optimizer"]
    assert "best_f1" in (weighted.folder / "tables" / "best_runs.csv").read_text().splitlines()[0]
    assert "f1_at_min_val" in (weighted.folder / "summary.csv").read_text().splitlines()[0]
    assert {"adam_f1.png", "adam_place.png"} <= {path.name for path in (weighted.folder / "figures").iterdir()}
    assert "Best f1" in page
    assert unit_of(weighted.describe()) == "cross entropy"  # an own loss is its name


def test_patience_is_that_of_what_is_monitored(tmp_path):
    data = js.arrays(X[:64], Y[:64], X[64:], Y[64:])
    options = {
        "data": data,
        "patience": 1,
        "max_epochs": 8,
        "seeds": 1,
        "metrics": {"always": lambda o, y: 0.0 * y + 1.0},
    }
    by_loss, by_metric = (study(tmp_path, **options, **goal) for goal in ({}, {"monitor": "always", "mode": "min"}))
    for made in (by_loss, by_metric):
        made.run()
    assert [run.epochs for run in by_metric.histories] == [2, 2]
    assert min(run.epochs for run in by_loss.histories) > 2
    assert len(js.load_runs(tmp_path).to_pandas()[["learning_rate", "val_loss"]]) == sum(
        run.epochs for made in (by_loss, by_metric) for run in made.histories
    )


def test_examples_of_weight_0_are_as_if_they_were_not_there(tmp_path):
    """In one batch an epoch; the order of the others in it differs, so that sums are the same to rounding."""
    mask = np.ones(64, np.float32)
    mask[::2] = 0
    poisoned = np.where(mask[:, None] > 0, X[:64], 50.0)
    data = (
        js.arrays(poisoned, Y[:64], X[64:], Y[64:], weights=mask),
        js.arrays(X[1:64:2], Y[1:64:2], X[64:], Y[64:]),
    )
    runs = []
    for each, size in zip(data, (64, 32), strict=True):
        made = study(tmp_path, data=each, seeds=1, max_epochs=3, batch_size=size)
        made.run()
        runs.append(made.histories)
    for masked, without in zip(*runs, strict=True):
        for curve in ("train_loss", "val_loss", "grad_norm"):
            np.testing.assert_allclose(masked.curves[curve], without.curves[curve], rtol=1e-4)


def test_an_edited_loss_or_metric_is_another_run(tmp_path):
    data = js.arrays(X[:64], Y[:64], X[64:], Y[64:])

    def scaled(factor):
        return lambda outputs, labels: factor * cross_entropy(outputs, labels)

    options = [
        {}, {"loss": scaled(1.0)}, {"loss": scaled(2.0)},
        {"metrics": {"m": scaled(1.0)}}, {"metrics": {"m": scaled(2.0)}},
        {"monitor": "val_accuracy"},
    ]  # fmt: skip
    known = [study(tmp_path, data=data, **each).fingerprints.values() for each in (*options, options[2])]
    assert len({name for names in known for name in names}) == sum(map(len, known[:-1]))
    assert list(known[2]) == list(known[-1])


def test_a_metric_may_say_which_way_is_better_and_is_the_same_metric(tmp_path):
    data = js.arrays(X[:64], Y[:64], X[64:], Y[64:])
    plain, known = ({"m": js.Metric(cross_entropy, mode=mode)} for mode in ("", "min"))
    made = study(tmp_path, data=data, metrics={**known, "f1": js.macro_f1}, monitor="m")
    assert made.objective.mode == "min"
    assert made.describe()["metric_modes"] == {"m": "min", "f1": "max"}
    assert study(tmp_path, data=data, metrics=known, monitor="m", mode="max").objective.mode == "max"
    names = [list(study(tmp_path, data=data, metrics=each).fingerprints.values()) for each in (plain, known)]
    assert names[0] == names[1]


def test_f1_of_two_classes_with_one_output_and_of_sequences():
    labels, logits = np.array([0, 1, 1, 0, 1]), np.array([-1.0, 2.0, -0.5, 0.3, 1.0])
    ones = jnp.ones(5)
    found = metrics.value(js.macro_f1, metrics.sums(js.macro_f1, jnp.array(logits)[:, None], labels, ones), ones.sum())
    assert float(found) == pytest.approx(macro_f1((logits > 0).astype(int), labels, np.ones(5), 2))
    several, outputs = RNG.integers(0, 2, (7, 3)), RNG.normal(size=(7, 3))
    totals = metrics.sums(js.macro_f1, jnp.array(outputs), jnp.array(several), jnp.ones(7))
    ones = [2 * (several & (outputs > 0))[:, at].sum() / (several + (outputs > 0))[:, at].sum() for at in range(3)]
    assert float(metrics.value(js.macro_f1, totals, jnp.float32(7))) == pytest.approx(np.mean(ones), abs=1e-6)
    sequences, outputs = RNG.integers(0, 4, (6, 5)), RNG.normal(size=(6, 5, 4))
    for weights in (np.ones(6, np.float32), (RNG.random((6, 5)) > 0.4).astype(np.float32)):
        totals = metrics.sums(js.macro_f1, jnp.array(outputs), sequences, jnp.array(weights))
        found = metrics.value(js.macro_f1, totals, weights.sum())
        every = np.broadcast_to(weights.reshape(6, -1), (6, 5)).ravel()
        told = macro_f1(np.argmax(outputs, -1).ravel(), sequences.ravel(), every, 4)
        assert float(found) == pytest.approx(told, abs=1e-6)


def test_seeds_are_added_where_the_monitor_does_not_decide(tmp_path):
    """Two rates that score alike, and one that stands still."""
    data = js.arrays(X[:64], Y[:64], X[64:], Y[64:])
    grid = js.make_grid("sgd", learning_rate=[1e-6, 0.3, 3.0])
    made = study(
        tmp_path, data=data, grid=grid, metrics={"f1": js.macro_f1}, monitor="f1", mode="max", until="decided",
        max_seeds=4, patience=6,
    )  # fmt: skip
    made.run()
    seeds = dict.fromkeys((1e-06, 0.3, 3.0), 0)
    for run in made.runs:
        seeds[dict(run.hyperparameters)["learning_rate"]] += 1
    assert made.best().monitor == "f1"
    assert max(seeds.values()) > 2
    of_two = [history for history in made.histories if history.seed < 2]
    by_score, by_loss = ranking(of_two, 4, Monitor("f1", "max")), ranking(of_two, 4)
    assert made.questions(of_two, 4) == by_score != by_loss


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"metrics": {"val_loss": worst}}, "metrics='val_loss': allowed is a name such as f1"),
        ({"metrics": {"a b": worst}}, "metrics='a b': allowed is a name such as f1"),
        ({"metrics": [worst]}, "metrics=[<function worst"),
        ({"metrics": {"m": 3}}, "metrics['m']=3: allowed is js.Metric(per_example, value), or"),
        ({"metrics": {"m": lambda outputs, labels: 1.0}}, "metrics['m']=an array [] of 2 examples: allowed is [2]"),
        ({"metrics": {"m": lambda outputs: outputs}}, "metrics['m']=a function: it fails with TypeError"),
        ({"metrics": {"m": js.Metric(worst, lambda x: x[None])}}, "metrics['m']=an array [1]: allowed is"),
        (
            {"data": js.arrays(X, X[:, 0]), "model": Net(1), "metrics": {"m": js.macro_f1}},
            "macro_f1=labels that are numbers to predict: allowed are classes",
        ),
        (
            {"data": js.arrays(X, X[:, 0]), "model": Net(1), "metrics": {"m": js.perplexity}},
            "perplexity=labels that are numbers to predict: allowed are classes",
        ),
        ({"metrics": [js.macro_f1]}, "metrics=[Metric(per_example=<function _hits>, value="),
        ({"grid": "adam"}, "grid='adam': allowed is what js.make_grid returned"),
        ({"grid": optax.adam(0.1)}, "grid=GradientTransformationExtraArgs(init=<function chain"),
        ({"monitor": "f1"}, "monitor='f1': allowed are val_loss, val_accuracy"),
        ({"monitor": "m", "metrics": {"m": worst}}, "mode=None: allowed are min and max: whether m"),
        (
            {"data": js.arrays(X, X[:, 0]), "model": Net(1), "monitor": "val_accuracy"},
            "monitor=val_accuracy: allowed are val_loss and metrics of your own: there is no accuracy of the",
        ),
        (
            {"loss": lambda outputs, labels: jnp.square(outputs).mean(-1), "data": js.arrays(X, {"a": Y, "b": Y}),
             "monitor": "val_accuracy"},
            "monitor=val_accuracy: allowed are val_loss and metrics of your own: there is no accuracy of the",
        ),
        ({"metrics": {"b1": worst}}, "metrics='b1': allowed is a name that no number of adam and no axis of the"),
        ({"metrics": {"max_norm": worst}}, "metrics='max_norm': allowed is a name that no number of adam and no axis"),
        (
            {"metrics": {"outputs": worst}, "model": Net, "model_axes": {"outputs": [3]}},
            "metrics='outputs': allowed is a name that no number of adam and no axis",
        ),
        ({"mode": "up"}, "mode='up': allowed are min and max"),
        ({"metrics": {"m": js.Metric(worst, mode="up")}}, "metrics['m'].mode='up': allowed are min and max"),
        ({"loss": 3}, "loss=3: allowed are sigmoid, softmax, squared_error, multi_label, or a function"),
        ({"loss": lambda outputs, labels: outputs.mean()}, "loss=<lambda>, which returns [] for 2 examples: allowed"),
        ({"loss": lambda outputs, labels: outputs @ labels}, "loss=<lambda>: it fails with TypeError"),
        ({"loss": "squared_error"}, "loss=squared_error: allowed for 3 classes are softmax, or a function"),
        ({"model": Net(2)}, "model=Net with output shape (2, 2) for 2 examples: allowed is (2, 3), for"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_a_line(options, told, tmp_path):
    with pytest.raises(InputError) as refused:
        study(tmp_path, **{"data": js.arrays(X[:64], Y[:64], X[64:], Y[64:])} | options)
    assert str(refused.value).startswith(told)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_loss_of_guessing_weighs_examples_as_the_losses_that_are_compared_with_it(share, tmp_path):
    """The lowest loss that a network of one number could have, were it trained to its end."""
    targets = X[:, 0] ** 2
    data = js.arrays(
        X[:64], targets[:64], X[64:], targets[64:], weights=WEIGHTS[:64], val_weights=(X[64:, 1] > 0) * WEIGHTS[64:]
    )
    made = study(tmp_path, data=data, model=Net(1), test_share=share)
    kept = held_back(data.val_labels, share, data.val_weights)[0] if share else np.arange(32)
    constant = (WEIGHTS[:64] * targets[:64]).sum() / WEIGHTS[:64].sum()
    weights = data.val_weights[kept]
    losses = np.square(data.val_labels[kept] - constant)
    assert made.guessing == pytest.approx((weights * losses).sum() / weights.sum(), rel=1e-6)
    assert made.guessing != pytest.approx(losses.mean(), rel=0.05)
