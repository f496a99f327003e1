"""Axes of the network: a program a value, and runs that are those of a study with that network alone."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import jaxopt_study as js
from jaxopt_study.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
DATA = js.arrays(X[:36], Y[:36], X[36:], Y[36:])
GRID = js.make_grid("sgd", learning_rate=[0.1])


class Net(nn.Module):
    width: int = 2
    activation: object = nn.relu

    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(self.activation(nn.Dense(self.width)(x)))


class Other(nnx.Module):
    def __init__(self, rngs, width=3):
        self.dense, self.head = nnx.Linear(4, width, rngs=rngs), nnx.Linear(width, 1, rngs=rngs)

    def __call__(self, x):
        return self.head(jnp.tanh(self.dense(x)))


def study(folder, **options):
    return js.make_study(**{"model": Net, "data": DATA, "grid": GRID, "max_epochs": 2, "workdir": folder} | options)


def test_runs_are_those_of_a_study_of_one_network_bit_for_bit(tmp_path, capsys):
    axes = {"width": [2, 5], "activation": [nn.relu, nn.tanh]}
    several = study(tmp_path / "several", model_axes=axes)
    assert "activation: 0 is relu, 1 is tanh" in capsys.readouterr().err
    assert [part.model for part in several.plan()] == [
        "width 2, activation relu", "width 2, activation tanh", "width 5, activation relu", "width 5, activation tanh",
    ]  # fmt: skip
    several.run()
    alone = study(tmp_path / "alone", model=Net(5, nn.tanh))
    alone.run()
    (history,) = alone.histories
    (same,) = [h for h in several.histories if (h.hyperparameters["width"], h.hyperparameters["activation"]) == (5, 1)]
    assert len(set(several.fingerprints.values())) == 4
    assert set(alone.fingerprints.values()) < set(several.fingerprints.values())
    for curve in ("train_loss", "val_loss", "grad_norm"):
        np.testing.assert_array_equal(same.curves[curve], history.curves[curve])
    table = js.load_runs(tmp_path / "several").to_pandas()
    assert sorted(map(tuple, table[["width", "activation"]].drop_duplicates().values)) == [
        (2, 0),
        (2, 1),
        (5, 0),
        (5, 1),
    ]
    assert "activation: 0 is relu, 1 is tanh" in several.report().read_text()
    assert (several.folder / "figures" / "sgd_by_width.png").exists()


def test_a_store_has_the_networks_that_it_has_and_trains_new_ones_alone(tmp_path):
    study(tmp_path, model=Net(2)).run()
    wider = study(tmp_path, model_axes={"width": [2, 3]})
    assert len(wider.pending()) == 1
    assert len(study(tmp_path, model=Other, model_axes={"width": [2, 3]}).pending()) == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model_axes": {}}, "model_axes={}: allowed is a dictionary such as"),
        ({"model_axes": {"width": 3}}, "model_axes['width']=3: allowed is a list of values"),
        ({"model_axes": {"width": [2, 2]}}, "model_axes={'width': [2, 2]}: allowed are values that give different"),
        ({"model_axes": {"depth": [1]}}, "model=Net(depth=1): it fails with TypeError"),
        ({"model_axes": {"width": list(range(1, 102))}}, "model_axes=101 networks: allowed are up to 100"),
        ({"model": Net(), "model_axes": {"width": [2]}}, "model=Net: allowed with model_axes is what makes it"),
        (
            {"model": lambda seed: Net(seed), "model_axes": {"seed": [2]}},
            "model_axes=seed: allowed is a name that no run",
        ),
        ({"model_axes": {"width": [2]}, "cluster": "local"}, "model_axes=['width']: not allowed with cluster"),
    ],
)
def test_what_cannot_be_an_axis_is_refused_in_a_line(options, told, tmp_path):
    with pytest.raises(InputError) as refused:
        study(tmp_path, **options)
    assert str(refused.value).startswith(told)
    assert "\n" not in str(refused.value)
