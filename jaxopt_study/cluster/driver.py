"""The driver of a study on a cluster: hands runs out, keeps what comes back, goes on when workers are lost."""

import contextlib
import dataclasses
import functools
import math
import time
from typing import Any

import numpy as np
import ray

from jaxopt_study.cluster import connect
from jaxopt_study.cluster.connect import Place
from jaxopt_study.cluster.messages import (
    Ended,
    Epoch,
    Fault,
    Hello,
    Recipe,
    Reply,
)
from jaxopt_study.cluster.shares import ATTEMPTS, Shares, seconds_between
from jaxopt_study.cluster.tally import Tally
from jaxopt_study.cluster.worker import Worker
from jaxopt_study.data import Dataset
from jaxopt_study.engine import stats
from jaxopt_study.engine.groups import Interrupted, Watcher
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.grids.run import Run
from jaxopt_study.history import CURVES, History
from jaxopt_study.models.own import model_of
from jaxopt_study.optimizers import registry
from jaxopt_study.settings import Machines

STARTS = 3
"""Workers that come to nothing, one after another, before the study is given up."""
LEAVING = 5.0
"""Seconds that workers have to clear up after themselves."""


@dataclasses.dataclass
class Member:
    """A worker as the driver sees it: its actor, the reply that is awaited, and what it has said of itself."""

    actor: Any
    reply: Any
    hello: Hello | None = None
    active: int = 0
    begun: float = dataclasses.field(default_factory=time.monotonic)


class Driver:
    """Trains the given runs of a study on the connected cluster.

    Args:
        study: its store is where results go.
        runs: of it, not in the store.
        place: what a worker takes.
        workers: at most; None for as many as there is room for.
        watcher: who is told.
    """

    def __init__(
        self,
        study: Trainer,
        runs: list[Run],
        place: Place,
        workers: int | None,
        watcher: Watcher,
    ) -> None:
        self.study, self.place, self.asked, self.watcher = study, place, workers, watcher
        self.shares = Shares(runs, whole=study.settings.halving is not None)
        self.members: dict[int, Member] = {}
        self.names = iter(range(1 << 62))
        self.barren = 0
        self.epochs: dict[Run, int] = {}
        self.tally = Tally()
        self.room = 0
        self.looked = -math.inf
        cores = None if place.gpus else place.cores
        rules = dict.fromkeys(run.optimizer for run in study.runs)
        recipe = Recipe(
            settings=study.settings,
            runs=study.runs,
            make_model=study.model.factory or functools.partial(model_of, study.model),
            loss=study.loss,
            execution=study.execution,
            families=[family for family in map(registry.family, rules) if family.identity],
            workers=max(1, min(len(study.runs), workers or connect.workers(place))),
            cores=cores,
        )
        self.recipe, self.dataset = ray.put(recipe), ray.put(in_memory(study.dataset))
        self.actor: Any = ray.remote(Worker).options(num_cpus=place.cores, num_gpus=place.gpus)

    def run(self) -> None:
        """Trains the runs to their end.

        Raises:
            EnvironmentFault: workers cannot be started, or a file cannot be written.
            Interrupted: the watcher asked for it.
        """
        try:
            while self.shares.left:
                if self.watcher.interrupted():
                    raise Interrupted
                self._recruit()
                self._listen()
                self.watcher.workers(self.there)
                self.watcher.tick(self)
        finally:
            self._dismiss()

    @property
    def active(self) -> int:
        """Slots with a run, of all workers."""
        return sum(member.active for member in self.members.values())

    @property
    def there(self) -> int:
        """Workers that are ready."""
        return sum(member.hello is not None for member in self.members.values())

    def _recruit(self) -> None:
        """Starts workers where there is room and work; Ray holds back those that there is no room for yet."""
        if time.monotonic() - self.looked > 5.0:
            self.looked, self.room = time.monotonic(), connect.workers(self.place)
        wanted = min(self.asked or max(self.room, 1), self.shares.left)
        while len(self.members) < wanted:
            actor = self.actor.remote(self.recipe, self.dataset)
            name = next(self.names)
            self.members[name] = Member(actor, actor.hello.remote())
            self.shares.join(name)

    def _listen(self) -> None:
        """Waits a moment for replies and answers them."""
        by_reply = {member.reply: name for name, member in self.members.items()}
        replies = list(by_reply)
        ray.wait(replies, timeout=1.0)
        ready, _ = ray.wait(replies, num_returns=len(replies), timeout=0)
        for reply in ready:
            name = by_reply[reply]
            try:
                told = ray.get(reply)
            except ray.exceptions.RayError as error:
                self._bury(name, error)
                continue
            self._hear(name, told)
            self._ask(name)

    def _hear(self, name: int, told: Hello | Reply) -> None:
        member = self.members[name]
        if isinstance(told, Hello):
            member.hello, self.barren = told, 0
            self.tally.joined(told.capacity, self.there)
            return
        member.active = told.active
        self.tally.accounts[name] = told.account
        for event in told.events:
            match event:
                case Epoch():
                    self._epoch(event)
                case Ended(run, history, best):
                    self.study.keep(run, history, best)
                    self.shares.ended(name, run)
                    self.watcher.end(run, history)
                case Fault(reason):
                    self._give_up(self.shares.lost(name, blame=True), reason)

    def _epoch(self, event: Epoch) -> None:
        # A run that begins again after a loss is told from where it was.
        if event.number <= self.epochs.get(event.run, 0):
            self.tally.repeated += 1
        else:
            self.epochs[event.run] = event.number
            self.watcher.epoch(event.run, event.number, dict(zip(CURVES, event.metrics, strict=True)))

    def _ask(self, name: int) -> None:
        """Gives a worker runs and asks what becomes of them."""
        member = self.members[name]
        assert member.hello is not None
        given = self.shares.give(name, member.hello.capacity, self._expected())
        seconds = seconds_between(len(self.members))
        member.reply = member.actor.work.remote(given, self.shares.more_to_come(name), seconds)

    def _expected(self) -> int:
        """Workers to share with: those that are there, and those that may be there in a minute."""
        now = time.monotonic()
        return sum(member.hello is not None or now - member.begun < 60 for member in self.members.values())

    def _bury(self, name: int, error: Exception) -> None:
        """A worker is dead; another takes its place."""
        member = self.members.pop(name)
        line = reason(error)
        self.tally.lost += 1
        if member.hello is None:
            self.barren += 1
            if self.barren >= STARTS:
                raise EnvironmentFault(f"workers cannot be started: {line}") from error
        gone = isinstance(error, ray.exceptions.ActorUnavailableError)  # so does the loss of a machine begin
        blame = member.hello is not None and not gone and connect.alive(member.hello.node)
        ray.kill(member.actor)
        self._give_up(self.shares.lost(name, blame=blame), line)
        self.shares.leave(name)

    def _give_up(self, runs: list[Run], why: str) -> None:
        for run in runs:
            empty = {name: np.zeros(0, np.float32) for name in CURVES}
            text = f"{why} ({ATTEMPTS} times)"
            history = History(run.optimizer, dict(run.hyperparameters), run.seed, "failed", empty, reason=text)
            self.study.keep(run, history, None)
            self.watcher.end(run, history)

    def _dismiss(self) -> None:
        with contextlib.suppress(ray.exceptions.RayError):
            left = [member.actor.leave.remote() for member in self.members.values()]
            if left:
                ray.wait(left, num_returns=len(left), timeout=LEAVING)
        for member in self.members.values():
            ray.kill(member.actor)


def train(trainer: Trainer, machines: Machines, watcher: Watcher | None = None) -> list[History]:
    """Trains what is not in the store on a cluster, and returns all of the study; as Trainer.train.

    Args:
        trainer: its folder is the driver's; workers need not see it.
        machines: the cluster's address, and what a worker takes.
        watcher: who is told of the progress.

    Raises:
        InputError: the address or the number of cores cannot be used.
        EnvironmentFault: the cluster, the work directory or a file in it cannot be used.
        Interrupted: the watcher asked for it.
    """
    watcher = watcher or Watcher()
    with trainer.opened(watcher) as pending:
        if pending:
            with connect.connected(machines.cluster or "local"):
                place = connect.place(machines.cpus_per_worker)
                trainer.write_config()
                driver = Driver(trainer, pending, place, machines.workers, watcher)
                try:
                    driver.run()
                finally:
                    part = driver.tally.part(len(pending) - driver.shares.left, len(trainer.dataset.train_labels))
                    stats.add_part(trainer.folder / "stats.json", part)
        return trainer.histories


def in_memory(dataset: Dataset) -> Dataset:
    """The data set with plain arrays for memory maps: what Ray's object store holds once a machine."""
    return dataset._replace(
        train_images=np.asarray(dataset.train_images),
        train_labels=np.asarray(dataset.train_labels),
        val_images=np.asarray(dataset.val_images),
        val_labels=np.asarray(dataset.val_labels),
    )


def reason(error: Exception) -> str:
    """Why a worker died, in a line."""
    text = str(error)
    if isinstance(error, ray.exceptions.RayTaskError):
        return f"{type(error.cause).__name__}: {error.cause}".splitlines()[0][:200]
    if isinstance(error, ray.exceptions.OutOfMemoryError) or "low on memory" in text:
        return "the machine ran out of memory and Ray ended the worker"
    if "worker process has died" in text:
        return "the worker's process died (killed, or out of memory)"
    lines = [line for line in text.splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1 if "creation task" in text else 0].strip()[:200]
