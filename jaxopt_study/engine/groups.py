"""Training what a study lacks: rule by rule, with checkpoints, and with fewer slots where memory runs out."""

import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax

from jaxopt_study.engine import memory, stats
from jaxopt_study.engine.slots import Events, Scheduler
from jaxopt_study.engine.sweep import Sweep
from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.grids.run import Group, Run, group
from jaxopt_study.history import History
from jaxopt_study.settings import Settings
from jaxopt_study.storage.checkpoint import Checkpoints, Parked, Snapshot
from jaxopt_study.training.step import RunState


class Interrupted(Exception):  # not an error: what was begun is saved
    """The study was asked to stop and has saved what was under way."""


class AtWork(Protocol):
    """Who trains: a scheduler, or the driver of a cluster."""

    @property
    def active(self) -> int:
        """Slots with a run."""


class Watcher(NamedTuple):
    """Who is told of the progress; see scheduler.Events.

    On a cluster ``workers`` gets the number of those that are ready.
    """

    begin: Callable[[int, int, int], None] = lambda total, stored, max_epochs: None
    epoch: Callable[[Run, int, Mapping[str, float]], None] = lambda run, number, metrics: None
    end: Callable[[Run, History], None] = lambda run, history: None
    tick: Callable[["AtWork"], None] = lambda at_work: None
    interrupted: Callable[[], bool] = lambda: False
    more: Callable[[Group], Mapping[Run, Parked | None] | None] = lambda group: None
    workers: Callable[[int], None] = lambda count: None


class Job(NamedTuple):
    """A part of a study that one program trains; see grid.Group.

    Attributes:
        sweep: compiled for the rule.
        total: its runs in the whole grid, stored ones too, so that what is resumed runs in the program it was begun in.
        slots: as asked for; None chooses.
        in_turn: whether a device trains its runs in turn.
        settings: of the study.
        template: shapes of a run's state.
        checkpoint_minutes: between two checkpoints.
        keep: ``(run, history, best)``, puts a finished run away.
    """

    sweep: Sweep
    total: int
    slots: int | None
    in_turn: bool
    settings: Settings
    template: RunState
    checkpoint_minutes: float
    keep: Callable[[Run, History, Any], None]


def train_group(job: Job, runs: list[Run], checkpoints: Checkpoints, watcher: Watcher, stats_path: Path) -> None:
    """Trains runs of one rule to their end; where memory runs out, goes on from the last checkpoint in half the slots.

    Raises:
        EnvironmentFault: not even one run a device fits.
        Interrupted: the watcher asked for it.
    """
    begin = time.perf_counter()
    slots = min(job.slots, job.total) if job.slots else memory.slots_for(job.sweep, job.total)
    left = list(runs)
    while True:
        scheduler = Scheduler(
            job.sweep,
            left,
            slots=slots,
            max_epochs=job.settings.max_epochs,
            patience=job.settings.patience,
            total=job.total,
            halving=job.settings.halving,
            in_turn=job.in_turn,
            events=events(job, left, checkpoints, watcher),
            parked=begun(job, left, checkpoints),
        )
        try:
            work = scheduler.train()
            break
        except jax.errors.JaxRuntimeError as error:
            if not memory.ran_out(error):
                raise
            slots = fewer(slots, error)
    seconds = time.perf_counter() - begin
    (steps, size, *_), (rest, *_) = job.sweep.batches.train[1].shape, job.sweep.batches.rest[1].shape
    examples = steps * size + rest
    stats.add(stats_path, job.sweep, work, examples=examples, slots=slots, runs=len(runs), seconds=seconds)


def begun(job: Job, runs: list[Run], checkpoints: Checkpoints) -> dict[Run, Parked]:
    """Those of the runs that a checkpoint holds."""
    parked = checkpoints.load({group(runs[0]): job.template})
    return {run: parked[run] for run in runs if run in parked}


def events(job: Job, left: list[Run], checkpoints: Checkpoints, watcher: Watcher) -> Events:
    """What happens around the training: finished runs are kept, the rest is saved every few minutes."""
    saved = time.monotonic()
    optimizer, mine = left[0].optimizer, group(left[0])

    def due() -> bool:
        return watcher.interrupted() or time.monotonic() - saved > 60 * job.checkpoint_minutes

    def snapshot(taken: Snapshot) -> None:
        nonlocal saved
        if taken.runs:
            checkpoints.save(optimizer, taken)
        saved = time.monotonic()
        if watcher.interrupted():
            checkpoints.wait()
            raise Interrupted

    def end(run: Run, history: History, best: Any) -> None:
        job.keep(run, history, best)
        left.remove(run)
        watcher.end(run, history)

    def more() -> Mapping[Run, Parked | None] | None:
        added = watcher.more(mine)
        left.extend(added or ())
        return added

    return Events(watcher.epoch, end, watcher.tick, due, snapshot, more)


def fewer(slots: int, error: Exception) -> int:
    """Half the slots, with a warning.

    Raises:
        EnvironmentFault: there was but one.
    """
    if slots == 1:
        raise EnvironmentFault("the device has not enough memory for a single run") from error
    message = f"out of memory with {slots} slots; going on with {slots // 2} from the last checkpoint"
    warnings.warn(message, stacklevel=2)
    return slots // 2
