"""Axes of the network: a program a value, and runs that are those of a study with that network alone."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import jaxopt_study as js
from experiments.command import results
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
    read = results.read([several.folder])  # as experiments.report does
    assert (len(read.histories), read.foreign, read.pending) == (4, 0, [])
    assert {(h.hyperparameters["width"], h.hyperparameters["activation"]) for h in read.histories} == {
        (2, 0), (2, 1), (5, 0), (5, 1),
    }  # fmt: skip


def test_a_store_has_the_networks_that_it_has_and_trains_new_ones_alone(tmp_path):
    study(tmp_path, model=Net(2)).run()
    wider = study(tmp_path, model_axes={"width": [2, 3]})
    assert len(wider.pending()) == 1
    wider.run()
    read = results.read([tmp_path])  # the run that was trained without an axis has the name that the grid gives it
    assert [h.hyperparameters["width"] for h in read.histories] == [2, 3]
    assert len(study(tmp_path, model=Other, model_axes={"width": [2, 3]}).pending()) == 2


def test_precisions_are_an_axis_with_a_program_each_and_runs_those_of_a_study_of_one(tmp_path, capsys):
    both = study(tmp_path / "both", model=Net(2), matmul_precision=["float32", "bfloat16"], patience=2)
    assert (
        "matmul_precision: 0 is float32, 1 is float32x3, 2 is tensorfloat32, 3 is bfloat16" in capsys.readouterr().err
    )
    assert [part.model for part in both.plan()] == ["matmul_precision float32", "matmul_precision bfloat16"]
    programs = [both.program(group, "map") for group in both.groups]
    assert [program.precision for program in programs] == ["float32", "bfloat16"]
    texts = [lowered(both, group) for group in both.groups]
    assert ["HIGHEST" in text for text in texts] == [True, False]
    assert all("dot_general" in text for text in texts)
    both.run()
    fingerprints = list(both.fingerprints.values())
    for name, fingerprint in zip(("float32", "bfloat16"), fingerprints, strict=True):
        alone = study(tmp_path / name, model=Net(2), matmul_precision=name, patience=2)
        assert list(alone.fingerprints.values()) == [fingerprint]
    assert list(study(tmp_path / "none", model=Net(2), patience=2).fingerprints.values()) == fingerprints[:1]
    grid = js.make_grid("sgd", learning_rate=[0.1], matmul_precision=["float32", "bfloat16"])
    assert list(study(tmp_path / "grid", model=Net(2), patience=2, grid=grid).fingerprints.values()) == fingerprints
    with pytest.raises(InputError, match=r"matmul_precision=bfloat: .* each one of float32, float32x3, tensorfloat32"):
        js.make_grid("sgd", learning_rate=[0.1], matmul_precision=["bfloat"])
    read = results.read([tmp_path / "both"])
    assert ([h.hyperparameters["matmul_precision"] for h in read.histories], read.foreign) == ([0, 3], 0)
    table = js.load_runs(tmp_path / "both").to_pandas()
    assert table.groupby("matmul_precision").size().to_dict() == {0.0: 2, 3.0: 2}
    assert "matmul_precision: 0 is float32" in both.report().read_text()


def lowered(of, group):
    sweep = of.sweep(group, of.batches(of.batch_size(group)))
    return sweep.calls.epoch.lower(*sweep.arguments(sweep.padded(1))).as_text()


def test_a_branch_goes_on_in_the_precision_of_its_run(tmp_path):
    both = study(tmp_path, model=Net(2), matmul_precision=["float32", "bfloat16"], max_epochs=3)
    both.run()
    branch = both.branch(both.runs[1], 1, GRID)
    assert [branch.precision(group) for group in branch.groups] == ["bfloat16"]


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
        ({"matmul_precision": ["float32", "float16"]}, "matmul_precision=float16: allowed are float32, float32x3"),
        ({"matmul_precision": 3}, "matmul_precision=3: allowed are float32, float32x3"),
        ({"matmul_precision": []}, "matmul_precision=[]: allowed is one, or a list of them"),
        (
            {"model": lambda matmul_precision: Net(matmul_precision), "model_axes": {"matmul_precision": [2, 3]}},
            "model_axes=matmul_precision: allowed is a name that no run",
        ),
        ({"model_axes": {"width": [2]}, "cluster": "local"}, "model_axes=['width']: not allowed with cluster"),
    ],
)
def test_what_cannot_be_an_axis_is_refused_in_a_line(options, told, tmp_path):
    with pytest.raises(InputError) as refused:
        study(tmp_path, **options)
    assert str(refused.value).startswith(told)
    assert "\n" not in str(refused.value)
