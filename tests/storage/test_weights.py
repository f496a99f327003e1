"""Weights come with the network, the data and the loss that they were trained with, or not at all."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import jaxopt_study as js
from jaxopt_study.errors import EnvironmentFault, InputError

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4)).astype(np.float32)
ADAM = js.make_grid("adam", learning_rate=[0.1])


def square(x):
    return x * x


class Net(nn.Module):
    act: object = nn.tanh
    width: int = 4

    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(self.act(nn.Dense(self.width)(x)))


def study(folder, column=0, *, classes=("low", "high"), grid=ADAM, **options):
    data = js.arrays(X, (X[:, column] > 0).astype(int), classes=list(classes))
    given = {"model": Net(), "data": data, "grid": grid, "max_epochs": 1, "workdir": folder, "save_best_weights": True}
    return js.make_study(**given | options)


def as_earlier_versions_wrote(folder) -> None:
    for path in folder.glob("weights/*/digest.json"):
        path.write_text(json.dumps({"sha256": json.loads(path.read_bytes())["sha256"]}))


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    made = study(folder, model=Net, model_axes={"act": [square, nn.tanh], "width": [2, 3]})
    made.run()
    return made


@pytest.mark.parametrize("earlier", [False, True])
def test_a_network_gets_the_weights_that_were_trained_in_it(several, earlier):
    if earlier:
        as_earlier_versions_wrote(several.folder)
    losses = {known: several.finished[run].curves["val_loss"][0] for run, known in several.fingerprints.items()}
    val = several.dataset
    for run, known in several.fingerprints.items():
        act, width = (dict(run.hyperparameters)[name] for name in ("act", "width"))
        network = Net((square, nn.tanh)[int(act)], int(width))
        found = js.load_model(several.folder, model=network)
        assert found.run == known
        told = found(val.val_images)[np.arange(len(val.val_labels)), val.val_labels]
        np.testing.assert_allclose(-np.log(told).mean(), losses[known], rtol=1e-4)
        with pytest.raises(InputError, match="allowed is the network that was trained"):
            js.load_model(several.folder, known, model=Net(nn.relu, int(width)))
    with pytest.raises(InputError, match="allowed are those that were"):
        js.load_model(several.folder, model=Net(nn.tanh, 7))


def test_weights_of_other_shapes_are_another_networks_and_not_damaged(several, tmp_path):
    from jaxopt_study.storage.weights import _read

    folder = several.folder / "weights" / next(iter(several.fingerprints.values()))
    wanted = {"params": {"Dense_0": {"kernel": jnp.zeros((4, 9))}}, "stats": {}}
    with pytest.raises(InputError, match=r"model=weights .*\[4, 9\]: allowed is the run's network"):
        _read(folder.absolute(), wanted)


@pytest.mark.parametrize("earlier", [False, True])
def test_of_two_studies_in_a_directory_the_last_is_asked_and_weights_have_their_own_classes(tmp_path, earlier):
    first = study(tmp_path, classes=("neg", "pos"))
    second = study(tmp_path, 1, classes=("cat", "dog"), grid=js.make_grid("adam", learning_rate=[0.001]))
    for each in (first, second):
        each.run()
    ((before,), (after,)) = (list(each.fingerprints.values()) for each in (first, second))
    if earlier:
        as_earlier_versions_wrote(tmp_path)
        with pytest.raises(InputError, match="of other data, network or settings"):
            js.load_model(tmp_path, before, model=Net())
    else:
        assert js.load_model(tmp_path, before, model=Net()).classes == ("neg", "pos")
    for asked in (None, after, {"learning_rate": 0.001}):
        found = js.load_model(tmp_path, asked, model=Net())
        assert (found.run, found.classes) == (after, ("cat", "dog"))
    with pytest.raises(InputError, match="0 of 1 of this study and network fit"):
        js.load_model(tmp_path, {"learning_rate": 0.1}, model=Net())


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("", "run='': allowed is a fingerprint"),
        ("../runs", "run='../runs': allowed is a fingerprint"),
        (3, "run=3: allowed is a fingerprint"),
        ({"learning_rate": "x"}, r"run\['learning_rate'\]='x': allowed is a number"),
        ({"act": "gelu"}, r"run\['act'\]='gelu': allowed are square, tanh"),
        ({"width": None}, r"run\['width'\]=None: allowed is a number"),
    ],
)
def test_what_names_no_run_is_refused_in_a_line(several, asked, told):
    with pytest.raises(InputError, match=told):
        js.load_model(several.folder, asked, model=Net(nn.tanh, 3))


def test_a_choice_is_asked_for_by_its_name_and_examples_have_the_shape_trained_on(several):
    predict = js.load_model(several.folder, {"act": "tanh", "width": 3}, model=Net(nn.tanh, 3))
    assert predict(X[:0]).shape == (0, 2)
    for inputs in ([[1, 2, 3, 4]], X[:, :2], X[0], {"a": X}):
        with pytest.raises(InputError, match=r"inputs=.*allowed are arrays \[N, 4\]"):
            predict(inputs)


def test_a_run_whose_metric_was_never_a_number_has_no_best_weights_and_it_is_said(tmp_path, capsys):
    never = js.Metric(lambda outputs, labels: outputs[:, 0], lambda mean: mean * jnp.nan, mode="max")
    made = study(tmp_path, metrics={"recall": never}, monitor="recall", max_epochs=2)
    made.run()
    assert "recall was never a number in 1 of 1 runs" in " ".join(capsys.readouterr().err.split())
    assert "recall was never a number in 1 of 1 runs" in made.best().note
    assert not (tmp_path / "weights").exists()
    with pytest.raises(EnvironmentFault, match="its recall was never a number"):
        js.load_model(tmp_path, model=Net())


def test_weights_asked_for_after_the_training_are_said_not_to_be_there(tmp_path, capsys):
    study(tmp_path, save_best_weights=False).run()
    capsys.readouterr()
    again = study(tmp_path)
    again.run()
    said = " ".join(capsys.readouterr().err.split())
    assert "1 of the stored runs have no best weights, and are not trained again for them: a new work directory" in said
    with pytest.raises(EnvironmentFault, match=r"trained without --save_best_weights, .* a new work directory"):
        js.load_model(tmp_path, model=Net())
    (tmp_path / "runs" / f"{next(iter(again.fingerprints.values()))}.parquet").unlink()
    study(tmp_path).run()
    assert js.load_model(tmp_path, model=Net()).run == next(iter(again.fingerprints.values()))
