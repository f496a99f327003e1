"""One worker of a cluster: the engine of one machine, in a thread, that is given runs while it trains."""

import contextlib
import functools
import os
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import ray
from filelock import FileLock

from jaxopt_study.cluster.shares import Capacity
from jaxopt_study.data import Dataset
from jaxopt_study.engine import devices, memory
from jaxopt_study.engine.groups import shared
from jaxopt_study.engine.slots import Scheduler
from jaxopt_study.engine.sweep import Sweep
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.engine.watcher import AtWork, Watcher
from jaxopt_study.grids.run import Group, Run, group
from jaxopt_study.history import History
from jaxopt_study.models.build import Model
from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.family import Family
from jaxopt_study.settings import Execution, Settings, own_switches
from jaxopt_study.storage.checkpoint import Checkpoints
from jaxopt_study.training.objective import Objective


class Recipe(NamedTuple):
    """What a worker needs to make the driver's study, beside the data.

    Attributes:
        settings: of the study.
        runs: all of them, in the same order.
        make_model: makes the network; it goes over the wire, the network does not.
        objective: of the study.
        execution: how to compute it.
        families: rules of the runs that are not this project's own.
        workers: that share a group's runs.
        cores: CPU devices that a worker makes, and cores that it keeps to; None for workers with a GPU.
    """

    settings: Settings
    runs: list[Run]
    make_model: Callable[[], Model]
    objective: Objective
    execution: Execution
    families: list[Family]
    workers: int
    cores: int | None


class Hello(NamedTuple):
    """Of a worker that is ready: its node and process, and what it can hold."""

    node: str
    process: int
    capacity: Capacity


class Epoch(NamedTuple):
    """A run has trained an epoch; ``metrics`` by the names of its curves."""

    run: Run
    number: int
    metrics: Mapping[str, float]


class Ended(NamedTuple):
    """A run has come to its end; ``best`` is its best variables or None."""

    run: Run
    history: History
    best: Any


class Fault(NamedTuple):
    """The worker could not go on with the runs that it has, and has dropped them."""

    reason: str


class Account(NamedTuple):
    """What a worker has done since it was there.

    Attributes:
        ready_seconds: since it was ready.
        idle_seconds: of these, without anything to train.
        compile_seconds: of these, for compilation.
        epochs_trained: of runs.
        epochs_computed: that its devices had room for.
        memory_bytes: that its largest program needs.
    """

    ready_seconds: float = 0.0
    idle_seconds: float = 0.0
    compile_seconds: float = 0.0
    epochs_trained: int = 0
    epochs_computed: int = 0
    memory_bytes: int = 0


class Reply(NamedTuple):
    """What happened since the last one: events in their order, slots with a run now, and the worker's account."""

    events: list[Epoch | Ended | Fault]
    active: int
    account: Account


class Worker:
    """Trains runs of the driver's study, on views of the machine's object store; to be made a Ray actor."""

    def __init__(self, recipe: Recipe, dataset: Dataset) -> None:
        self.recipe = recipe
        self.folder = tempfile.TemporaryDirectory(prefix="jaxopt_study-worker-")
        self.change = threading.Condition()
        self.queue: list[Run] = []
        self.ended: dict[Run, History] = {}
        self.more_may_come = self.halted = False
        self.events: list[Epoch | Ended | Fault] = []
        self.account = Account()
        self.before = Account()  # as it was when the training under way began
        self.active = 0
        self.idle_seconds = self.ready_since = 0.0
        self.waits_since: float | None = None
        self.capacity: Future[Capacity] = Future()  # known when the study is made
        # Its affinity is inherited by the threads that it starts: JAX's, not Ray's.
        self.thread = threading.Thread(target=self._live, args=(dataset,), daemon=True)
        self.thread.start()

    def hello(self) -> Hello:
        """Waits until the study is made; raises what kept it from being made."""
        capacity = self.capacity.result()
        return Hello(ray.get_runtime_context().get_node_id(), os.getpid(), capacity)

    def work(self, runs: list[Run], more: bool, seconds: float, ended: Mapping[Run, History]) -> Reply:
        """Takes runs in, waits until there is something to tell, at most ``seconds``, and tells it.

        The runs are of one group, of that under way if there is one; ``more``: others of it may come. ``ended`` are
        those that they are compared with.
        """
        with self.change:
            if not self.halted:
                self.queue.extend(runs)
                self.ended.update(ended)
                self.more_may_come = more
                self.change.notify_all()
                self.change.wait_for(lambda: any(not isinstance(event, Epoch) for event in self.events), seconds)
            if self.halted:  # the driver takes back all that it has given
                self.queue.clear()
                self.halted = False
                self.change.notify_all()
            events, self.events = self.events, []
            now = time.monotonic()
            idle = self.idle_seconds + (now - self.waits_since if self.waits_since else 0.0)
            account = self.account._replace(ready_seconds=now - self.ready_since, idle_seconds=idle)
            return Reply(events, self.active, account)

    def leave(self) -> None:
        """Removes what it has on its machine's disk; the driver ends the process then."""
        self.folder.cleanup()

    @own_switches()
    def _live(self, dataset: Dataset) -> None:
        try:
            capacity = self._begin(dataset)
        except Exception as error:
            self.capacity.set_exception(error)
            return
        self.ready_since = time.monotonic()
        self.capacity.set_result(capacity)
        while True:
            runs = self._next()
            try:
                self._train(runs)
            except Exception as error:
                traceback.print_exc()  # to the worker's log
                with self.change:
                    self.halted = True
                    self.active = 0
                    self._tell(Fault(first_line(error)))
                    self.change.notify_all()

    def _begin(self, dataset: Dataset) -> Capacity:
        self.cores = keep_to_cores(self.recipe.cores) if self.recipe.cores else None
        devices.configure(cpu_devices=self.recipe.cores)
        settings, runs, make_model, objective, execution, families, *_ = self.recipe
        for family in families:
            registry.add(family)
        folder = Path(self.folder.name)
        made: Any = {"model": make_model(), "execution": execution, "objective": objective, "may_part": False}
        self.trainer = Trainer(settings, dataset, runs, folder, **made)
        self.sweep = functools.lru_cache(maxsize=1)(self._sweep)
        self.batches = functools.lru_cache(maxsize=1)(self.trainer.batches)
        chosen = devices.choose(execution.devices)
        slots = execution.slots or memory.most(chosen[0].platform)
        return Capacity(slots, len(chosen), self.trainer.strategy == "map")

    def _next(self) -> list[Run]:
        """Waits for runs."""
        with self.change:
            self.waits_since = time.monotonic()
            self.change.wait_for(lambda: self.queue and not self.halted)
            self.idle_seconds += time.monotonic() - self.waits_since
            self.waits_since = None
            runs, self.queue = self.queue, []
            return runs

    def _train(self, runs: list[Run]) -> None:
        watcher = Watcher(epoch=self._epoch, tick=self._tick, more=self._more)
        trainer = self.trainer
        checkpoints = Checkpoints(trainer.folder / "checkpoints", trainer.identity, trainer.fingerprint)
        sweep = self.sweep(group(runs[0]))
        self.before = self.account._replace(compile_seconds=self.account.compile_seconds - sweep.compile_seconds)
        # Slots for its part of the group's runs; of runs that are compared at rungs it has all.
        parts = 1 if self.trainer.settings.halving else self.recipe.workers
        totals = shared(self.trainer.totals[group(runs[0])], parts)
        scheduler = Scheduler(
            sweep,
            runs,
            slots=memory.slots_for(sweep, sum(totals.values()), self.recipe.execution.slots),
            totals=totals,
            lengths=self.trainer.lengths(),
            settings=self.recipe.settings,
            checkpoints=checkpoints,
            checkpoint_minutes=self.recipe.execution.checkpoint_minutes,
            keep=lambda run, history, best: self._tell(Ended(run, history, best)),
            watcher=watcher,
            ended={run: history for run, history in self.ended.items() if group(run) == group(runs[0])},
        )
        scheduler.train()
        self.active = 0

    def _sweep(self, key: Group) -> Sweep:
        return self.trainer.sweep(key, self.batches(self.trainer.batch_size(key)))

    def _more(self) -> list[Run] | None:
        with self.change:
            if self.halted or not (self.queue or self.more_may_come):
                return None
            runs, self.queue = self.queue, []
            return runs

    def _epoch(self, run: Run, number: int, metrics: Mapping[str, float]) -> None:
        self._tell(Epoch(run, number, dict(metrics)))

    def _tick(self, scheduler: AtWork) -> None:
        assert isinstance(scheduler, Scheduler)  # here and nowhere else the driver is another process
        sweep, work, before = scheduler.sweep, scheduler.work, self.before
        with self.change:
            self.active = scheduler.active
            self.account = Account(
                compile_seconds=before.compile_seconds + sweep.compile_seconds,
                epochs_trained=before.epochs_trained + work.epochs_trained,
                epochs_computed=before.epochs_computed + work.epochs_computed,
                memory_bytes=max(before.memory_bytes, sweep.peak_bytes()),
            )
            self.change.notify_all()  # whoever waits hears of all the runs that ended in this epoch at once

    def _tell(self, event: Epoch | Ended | Fault) -> None:
        with self.change:
            self.events.append(event)


def keep_to_cores(count: int) -> FileLock | None:
    """Keeps this thread, and those that it will start, to so many cores that no other worker of the machine keeps to.

    Returns:
        What holds them until it is released or the process ends; None if the machine has no such set of cores left.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    mine = sorted(os.sched_getaffinity(0))
    for first in range(0, len(mine) - count + 1, count):
        cores = mine[first : first + count]
        path = Path(tempfile.gettempdir()) / f"jaxopt_study-{os.getuid()}-cores-{cores[0]}-{count}"
        lock = FileLock(path, blocking=False, fallback_to_soft=False)
        with contextlib.suppress(OSError):  # another worker's, or a file that cannot be locked
            lock.acquire()
        if lock.is_locked:
            os.sched_setaffinity(0, cores)
            return lock
    return None


def first_line(error: Exception) -> str:
    """What an exception says, in a line."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
