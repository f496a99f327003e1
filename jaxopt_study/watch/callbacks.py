"""Watching runs while they train: a small protocol for callbacks, and TensorBoard through it.

A callback hears of every epoch of every run and of the end of every run: ``study.run(MLflow("mlruns"))``. Those for
MLflow, Weights & Biases and trackio are in :mod:`jaxopt_study.watch`, a file each, and show how one is made. A callback
runs between two epochs of all runs: it should not take long. Of finished runs it hears by :func:`replay`:
``replay(MLflow("mlruns"), study.finished)``, or without a study ``replay(..,
by_run(read_runs("workdir/momentum_grid").values()))`` (``read_runs`` is of ``jaxopt_study.storage.store``);
``python -m experiments.report --to=mlflow`` does so.
"""

import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jaxopt_study.analysis.minima import at_minimum, summary
from jaxopt_study.errors import EnvironmentFault, InputError
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
            metrics: the curves of the run (``history.CURVES`` and those asked for) in this epoch; may be NaN or
                infinite.
        """

    def on_run_end(self, run: Run, history: History) -> None:
        """A run has ended, one way or another, and is in the store."""


def check(callbacks: object) -> Sequence[Callback]:
    """Returns what are callbacks; refuses, with an InputError, what could not be told of a run when it has trained."""
    if isinstance(callbacks, str | type) or not isinstance(callbacks, Sequence):
        raise InputError("callbacks", repr(callbacks), "allowed is a list of callbacks")
    for each in callbacks:
        heard = (getattr(each, name, None) for name in ("on_epoch", "on_run_end"))
        if isinstance(each, type) or not all(map(callable, heard)):
            allowed = "allowed is an object with on_epoch(run, epoch, metrics) and on_run_end(run, history)"
            raise InputError("callbacks", repr(each), allowed)
    return callbacks


def replay(callback: Callback, runs: Mapping[Run, History]) -> None:
    """Tells a callback of finished runs, one after the other, as it would have heard of them while they trained."""
    for run, history in runs.items():
        for at in range(history.epochs):
            callback.on_epoch(run, at + 1, {name: float(curve[at]) for name, curve in history.curves.items()})
        callback.on_run_end(run, history)


def by_run(histories: Iterable[History]) -> dict[Run, History]:
    """Finished runs of a store by what they are called, for :func:`replay`."""
    return {
        Run(each.optimizer, tuple(each.hyperparameters.items()), each.seed, each.data_seed): each for each in histories
    }


def run_name(run: Run, usual: Mapping[str, float] | None = None) -> str:
    """``momentum/learning_rate=0.01,momentum=0.9,seed=0``: one name a run, fit for a path.

    Numbers are written as the float32 they are computed with; those that only guard a division are left out where they
    are ``usual``, the defaults of a rule of the registry if not given.
    """
    if usual is None:
        usual = {h.name: h.default for h in registry.family(run.optimizer).hyperparameters}
    shown = {n: v for n, v in run.hyperparameters if n not in GUARDS or v != usual.get(n)}
    numbers = [f"{name}={np.float32(value)!s}" for name, value in shown.items()]
    rule = re.sub(r"[/\\]|^\.+", "_", run.optimizer)  # one folder, and not the one above
    of_data = [] if run.data_seed is None else [f"data_seed={run.data_seed}"]
    return "/".join([rule, ",".join([*numbers, f"seed={run.seed}", *of_data])])


def config_of(run: Run) -> dict[str, Any]:
    """What tells a run from others: optimizer, numbers and seeds."""
    of_data = {} if run.data_seed is None else {"data_seed": run.data_seed}
    return {"optimizer": run.optimizer, **dict(run.hyperparameters), "seed": run.seed, **of_data}


def measured(metrics: Mapping[str, float]) -> dict[str, float]:
    """Those of an epoch that were measured: a loss that is NaN has diverged, any other curve was not measured."""
    return {name: value for name, value in metrics.items() if name.endswith("_loss") or not math.isnan(value)}


def best_of(history: History) -> dict[str, float]:
    """Its lowest losses, highest accuracy and metrics of the user's own there, where they are finite, by the names of
    summary.csv."""
    row = summary(history)._asdict()
    best = {name: row[name] for name in ("min_val_loss", "min_train_loss", "max_val_accuracy")}
    best |= {f"{name}_at_min_val": at_minimum(history, name) for name in history.metrics}
    return {name: value for name, value in best.items() if math.isfinite(value)}


def missing_package(package: str, extra: str) -> EnvironmentFault:
    """What to say where the package of a sink is not installed."""
    return EnvironmentFault(f"{package} is not installed: run pip install 'jaxopt-study[{extra}]'")


def _usual(rule: str, runs: Iterable[Run]) -> dict[str, float]:
    """The defaults of a rule, or of one that is not of this process what all of its runs share."""
    if rule in registry.OPTIMIZERS:
        return {h.name: h.default for h in registry.family(rule).hyperparameters}
    first, *others = [dict(run.hyperparameters) for run in runs if run.optimizer == rule]
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


class TensorBoard:
    """Writes event files, a folder a run, with the curves as scalars and the numbers for the HParams tab.

    ``tensorboard --logdir=FOLDER`` shows them. An interrupted run goes on in its folder; :meth:`fill` writes what was
    trained when nobody listened.

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
        self._names: dict[Run, str] = {}
        self._flushed = time.monotonic()

    def on_epoch(self, run: Run, epoch: int, metrics: Mapping[str, float]) -> None:
        """Writes the epoch's scalars; see Callback."""
        if run not in self._open:
            self._begin(run, epoch)
        self._write(run, epoch, summary=self._scalars(measured(metrics)))
        if time.monotonic() - self._flushed > self.FLUSH_SECONDS:
            self._flushed = time.monotonic()
            for writer in self._open.values():
                writer.flush()

    def on_run_end(self, run: Run, history: History) -> None:
        """Writes the best values and closes the run's file; see Callback."""
        if run not in self._open:  # it failed before its first epoch
            return
        _, _, end = self._hparams({}, {})
        self._write(run, history.epochs, summary=self._scalars(best_of(history)))
        self._write(run, history.epochs, summary=end)
        self._open.pop(run).close()

    def fill(self, runs: Mapping[Run, History]) -> int:
        """Writes those of some finished runs whose files are missing or not whole, and returns how many these are."""
        usual = {rule: _usual(rule, runs) for rule in {run.optimizer for run in runs}}
        self._names |= {run: run_name(run, usual[run.optimizer]) for run in runs}
        missing = {run: history for run, history in runs.items() if history.epochs and not self._is_whole(run, history)}
        for run in missing:
            for path in self._files(run):
                path.unlink()
        replay(self, missing)
        return len(missing)

    def _files(self, run: Run) -> list[Path]:
        return sorted(self._folder(run).glob("events.*"))

    def _folder(self, run: Run) -> Path:
        return self.folder / (self._names.get(run) or run_name(run))

    def _is_whole(self, run: Run, history: History) -> bool:
        """Whether the files of a run have all of its epochs and its end."""
        values = [(e.step, v.tag) for path in self._files(run) for e in self._read(path) for v in e.summary.value]
        epochs = {step for step, tag in values if tag == "val_loss"}
        return any("session_end" in tag for _, tag in values) and epochs >= set(range(1, history.epochs + 1))

    def _read(self, path: Path) -> Iterator[Any]:
        """The events of a file up to where it was cut off: each after its length and a checksum, and before another."""
        data, at = path.read_bytes(), 0
        while at + 12 <= len(data):
            begin = at + 12
            at = begin + int.from_bytes(data[at : at + 8], "little") + 4
            if at > len(data):
                return
            yield self._events.Event.FromString(data[begin : at - 4])

    def _begin(self, run: Run, epoch: int) -> None:
        folder = self._folder(run)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._open[run] = self._writer(str(folder / "events"))
        except OSError as error:
            raise EnvironmentFault(f"cannot write {folder}: {reason(error)}") from error
        if epoch > 1:  # epochs after the checkpoint that were written before the interruption are hidden
            self._write(run, epoch, session_log=self._events.SessionLog(status=self._events.SessionLog.START))
        _, begin, _ = self._hparams(config_of(run), {})
        self._write(run, epoch, summary=begin)

    def _scalars(self, values: Mapping[str, float]) -> Any:
        summaries = self._summaries.Summary
        return summaries(value=[summaries.Value(tag=name, simple_value=value) for name, value in values.items()])

    def _write(self, run: Run, epoch: int, **what: Any) -> None:
        event = self._events.Event(wall_time=time.time(), step=epoch, **what)
        try:
            self._open[run].write_event(event)
        except OSError as error:
            raise EnvironmentFault(f"cannot write {self._folder(run)}: {reason(error)}") from error
