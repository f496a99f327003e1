"""What is written for MLflow, read back from its files; Weights & Biases and trackio by what they are called with."""

import dataclasses
import math
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from experiments import report
from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.grids.run import make_run
from jaxopt_study.history import CURVES, History
from jaxopt_study.watch.callbacks import best_of, replay, run_name
from jaxopt_study.watch.mlflow import MLflow
from jaxopt_study.watch.trackio import Trackio
from jaxopt_study.watch.wandb import WeightsAndBiases

RUNS = [make_run("momentum", {"learning_rate": rate, "momentum": 0.9}, 1) for rate in (0.1, 0.01)]
NUMBERS = {"learning_rate": 0.1, "momentum": 0.9, "optimizer": "momentum", "seed": 1}


def history(run, losses=(0.9, 0.4, 0.6)):
    curves = {name: np.full(len(losses), 0.5, np.float32) for name in CURVES}
    curves |= {"val_loss": np.array(losses, np.float32), "oscillation": np.array([math.nan, 0.1, 0.2], np.float32)}
    return History(run.optimizer, dict(run.hyperparameters), run.seed, "finished", curves)


@pytest.fixture
def finished():
    return {run: history(run) for run in RUNS}


def test_metrics_of_ones_own_are_among_the_best_values_at_the_lowest_loss():
    run = history(RUNS[0])
    assert run.curves["val_loss"][1] == min(run.curves["val_loss"])
    scored = dataclasses.replace(run, curves={**run.curves, "f1": np.array([0.1, 0.7, 0.9])})
    assert best_of(scored) == {**best_of(run), "f1_at_min_val": 0.7}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # files are what MLflow would rather have in a database
def test_mlflow_has_a_run_each_with_parameters_curves_and_the_best_values(finished, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # the second time all is there
        replay(MLflow(Path("adam:v2") / "mlruns", "mine"), finished)
    client = MlflowClient(str(tmp_path / "adam:v2" / "mlruns"))
    found = {
        each.info.run_name: each for each in client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    }
    assert set(found) == {run_name(run) for run in RUNS}
    run = found[run_name(RUNS[0])]
    assert run.info.status == "FINISHED"
    assert run.data.params == {name: str(value) for name, value in NUMBERS.items()}
    assert run.data.metrics["min_val_loss"] == pytest.approx(0.4)
    losses = client.get_metric_history(run.info.run_id, "val_loss")
    assert [(each.step, pytest.approx(each.value)) for each in losses] == [(1, 0.9), (2, 0.4), (3, 0.6)]
    assert [each.step for each in client.get_metric_history(run.info.run_id, "oscillation")] == [2, 3]


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_mlflow_goes_on_with_a_run_that_was_interrupted(finished, tmp_path):
    from mlflow import MlflowClient

    run = RUNS[0]
    MLflow(tmp_path / "mlruns").on_epoch(run, 1, {"val_loss": 0.9})
    again = MLflow(tmp_path / "mlruns")
    again.on_epoch(run, 2, {"val_loss": 0.4})
    again.on_run_end(run, finished[run])
    client = MlflowClient(str(tmp_path / "mlruns"))
    (one,) = client.search_runs([client.get_experiment_by_name("jaxopt_study").experiment_id])
    assert [each.step for each in client.get_metric_history(one.info.run_id, "val_loss")] == [1, 2]


class Told:
    """A run of wandb's, or trackio itself, that keeps what it is told."""

    def __init__(self):
        self.inits, self.logged, self.summary, self.ended = [], [], {}, 0

    def init(self, **settings):
        self.inits.append(settings)
        return self

    def log(self, values, step):
        self.logged.append((step, values))

    def finish(self):
        self.ended += 1


@pytest.fixture
def told(monkeypatch):
    told = Told()
    module = types.SimpleNamespace(init=told.init, log=told.log, finish=told.finish)
    for name in ("wandb", "trackio"):
        monkeypatch.setitem(sys.modules, name, module)
    return told


def test_weights_and_biases_is_offline_and_has_numbers_in_config_and_the_best_in_summary(told, finished, tmp_path):
    replay(WeightsAndBiases("mine", tmp_path / "files"), finished)
    assert [each["mode"] for each in told.inits] == ["offline", "offline"]
    assert told.inits[0]["config"] == NUMBERS
    assert told.inits[0]["name"] == run_name(RUNS[0])
    assert [step for step, _ in told.logged] == [1, 2, 3, 1, 2, 3]
    assert "oscillation" not in told.logged[0][1]
    assert told.summary["min_val_loss"] == pytest.approx(0.4)
    assert told.ended == 2
    assert (tmp_path / "files").is_dir()


def test_trackio_has_one_run_open_at_a_time_and_the_best_values_in_its_last_step(told, finished):
    replay(Trackio("mine"), finished)
    assert [each["config"]["learning_rate"] for each in told.inits] == [0.1, 0.01]
    assert [step for step, _ in told.logged] == [1, 2, 3, 1, 2, 3]
    assert ["min_val_loss" in values for _, values in told.logged[:3]] == [False, False, True]
    assert told.ended == 2


@pytest.mark.parametrize(
    ("package", "make"),
    [("mlflow", lambda: MLflow("x")), ("wandb", lambda: WeightsAndBiases("x")), ("trackio", lambda: Trackio("x"))],
)
def test_a_package_that_is_not_installed_is_named_with_the_command_that_installs_it(package, make, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EnvironmentFault, match=rf"is not installed: run pip install 'jaxopt-study\[{package}\]'"):
        make()


def test_a_sink_is_named_like_its_service(told, tmp_path):
    assert [type(report.sink(name, tmp_path, "mine")).__name__ for name in ("wandb", "trackio")] == [
        "WeightsAndBiases",
        "Trackio",
    ]
