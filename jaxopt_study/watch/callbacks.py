"""Watching runs while they train: a small protocol for callbacks, and TensorBoard through it.

A callback hears of every epoch of every run and of the end of every run. One for Weights & Biases, a run each under its
own name, is a few lines::

    import wandb
    from jaxopt_study.watch.callbacks import run_name

    class WeightsAndBiases:
        def __init__(self, project):
            self.project, self.open = project, {}

        def on_epoch(self, run, epoch, metrics):
            if run not in self.open:
                self.open[run] = wandb.init(
                    project=self.project,
                    name=run_name(run),
                    config={"optimizer": run.optimizer, "seed": run.seed, **dict(run.hyperparameters)},
                    reinit="create_new",
                )
            self.open[run].log(dict(metrics), step=epoch)

        def on_run_end(self, run, history):
            self.open.pop(run).finish()

    study.run(WeightsAndBiases("optimizers"))

MLflow, trackio and others go the same way. A callback runs between two epochs of all runs: it should not take long.
"""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jaxopt_study.analysis.minima import summary
from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.files import reason
from jaxopt_study.grids.run import Run
from jaxopt_study.history import History
from jaxopt_study.optimizers import registry
from jaxopt_study.plots.labels import GUARDS


class Callback(Protocol):
    """Who wants to hear of runs."""

    def on_epoch(self, run: Run, epoch: int, metrics: Mapping[str, float]) -> None:
        """A run has trained an epoch.

        Args:
            run: which.
            epoch: its own epoch, counted from 1; a run that is resumed goes on counting.
            metrics: the curves of ``history.CURVES`` in this epoch; may be NaN or infinite.
        """

    def on_run_end(self, run: Run, history: History) -> None:
        """A run has ended, one way or another, and is in the store."""


def run_name(run: Run) -> str:
    """``momentum/learning_rate=0.01,momentum=0.9,seed=0``: one name a run, fit for a path.

    Numbers are written as the float32 they are computed with; those that only guard a division are left out where they
    are the default.
    """
    usual = {h.name: h.default for h in registry.family(run.optimizer).hyperparameters}
    shown = {n: v for n, v in run.hyperparameters if n not in GUARDS or v != usual[n]}
    numbers = [f"{name}={np.float32(value)!s}" for name, value in shown.items()]
    return "/".join([run.optimizer, ",".join([*numbers, f"seed={run.seed}"])])


class TensorBoard:
    """Writes event files, a folder a run, with the curves as scalars and the numbers for the HParams tab.

    ``tensorboard --logdir=FOLDER`` shows them. Runs that were finished before are not written again; an interrupted
    run goes on in its folder.

    Args:
        folder: of all runs; made with the first epoch.

    Raises:
        EnvironmentFault: tensorboardX is not installed.
    """

    FLUSH_SECONDS = 10.0

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboardX import event_file_writer
            from tensorboardX.proto import event_pb2, summary_pb2
            from tensorboardX.summary import hparams
        except ImportError as error:
            message = "TensorBoard files are written by tensorboardX, which is not installed: "
            raise EnvironmentFault(message + "run pip install 'jaxopt-study[tensorboard]'") from error
        self.folder = folder
        # Not its SummaryWriter, which takes two threads and a pipe for every run that is open.
        self._writer = event_file_writer.EventsWriter
        self._hparams, self._events, self._summaries = hparams, event_pb2, summary_pb2
        self._open: dict[Run, Any] = {}
        self._flushed = time.monotonic()

    def on_epoch(self, run: Run, epoch: int, metrics: Mapping[str, float]) -> None:
        """Writes the epoch's scalars; see Callback."""
        if run not in self._open:
            self._begin(run, epoch)
        self._write(run, epoch, summary=self._scalars(metrics))
        if time.monotonic() - self._flushed > self.FLUSH_SECONDS:
            self._flushed = time.monotonic()
            for writer in self._open.values():
                writer.flush()

    def on_run_end(self, run: Run, history: History) -> None:
        """Writes the lowest losses and closes the run's file; see Callback."""
        row = summary(history)
        both = {"min_val_loss": row.min_val_loss, "min_train_loss": row.min_train_loss}
        lowest = {name: loss for name, loss in both.items() if math.isfinite(loss)}
        _, _, end = self._hparams({}, {})
        self._write(run, history.epochs, summary=self._scalars(lowest))
        self._write(run, history.epochs, summary=end)
        self._open.pop(run).close()

    def _begin(self, run: Run, epoch: int) -> None:
        folder = self.folder / run_name(run)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._open[run] = self._writer(str(folder / "events"))
        except OSError as error:
            raise EnvironmentFault(f"cannot write {folder}: {reason(error)}") from error
        if epoch > 1:  # epochs after the checkpoint that were written before the interruption are hidden
            self._write(run, epoch, session_log=self._events.SessionLog(status=self._events.SessionLog.START))
        numbers = {"optimizer": run.optimizer, **dict(run.hyperparameters), "seed": run.seed}
        _, begin, _ = self._hparams(numbers, {})
        self._write(run, epoch, summary=begin)

    def _scalars(self, values: Mapping[str, float]) -> Any:
        summaries = self._summaries.Summary
        return summaries(value=[summaries.Value(tag=name, simple_value=value) for name, value in values.items()])

    def _write(self, run: Run, epoch: int, **what: Any) -> None:
        event = self._events.Event(wall_time=time.time(), step=epoch, **what)
        try:
            self._open[run].write_event(event)
        except OSError as error:
            raise EnvironmentFault(f"cannot write {self.folder / run_name(run)}: {reason(error)}") from error
