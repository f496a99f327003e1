"""MLflow: a run each, numbers as parameters, curves and the best values as metrics."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from jaxopt_study.grids.run import Run
from jaxopt_study.history import History
from jaxopt_study.watch.callbacks import best_of, config_of, measured, missing_package, run_name


class MLflow:
    """Writes runs to a folder or a tracking server, for ``mlflow ui``. One that is there, ended, stays as it is."""

    def __init__(self, place: str | Path, experiment: str = "jaxopt_study") -> None:
        try:
            from mlflow import MlflowClient, entities
        except ImportError as error:
            raise missing_package("MLflow", "mlflow") from error
        if "://" not in str(place):  # it wants to be told that files are meant
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        if isinstance(place, Path):
            place = place.absolute()  # it takes a relative one such as adam:v2/.. for a URL
        self._client, self._entities = MlflowClient(str(place)), entities
        found = self._client.get_experiment_by_name(experiment)
        self._experiment = found.experiment_id if found else self._client.create_experiment(experiment)
        known = self._client.search_runs([self._experiment], max_results=50_000)
        self._ids = {each.info.run_name: each.info.run_id for each in known}
        self._ended = {each.info.run_name for each in known if each.info.end_time}

    def on_epoch(self, run: Run, epoch: int, metrics: Mapping[str, float]) -> None:
        """See Callback."""
        self._log(run, epoch, measured(metrics))

    def on_run_end(self, run: Run, history: History) -> None:
        """See Callback."""
        name = run_name(run)
        if name in self._ids and name not in self._ended:  # else it failed before its first epoch
            self._log(run, history.epochs, best_of(history))
            self._client.set_terminated(self._ids[name])
            self._ended.add(name)

    def _log(self, run: Run, epoch: int, values: Mapping[str, float]) -> None:
        name, params, now = run_name(run), [], int(time.time() * 1000)
        if name in self._ended:
            return
        if name not in self._ids:
            self._ids[name] = self._client.create_run(self._experiment, run_name=name).info.run_id
            params = [self._entities.Param(key, str(value)) for key, value in config_of(run).items()]
        logged = [self._entities.Metric(key, value, now, epoch) for key, value in values.items()]
        self._client.log_batch(self._ids[name], logged, params)
