"""The driver of a study on a cluster: hands runs out, keeps what comes back, goes on when workers are lost."""

import contextlib
import dataclasses
import functools
import itertools
import math
import time
from typing import Any

import numpy as np
import ray

from jaxopt_study.cluster import connect
from jaxopt_study.cluster.connect import Resources
from jaxopt_study.cluster.shares import ATTEMPTS, Capacity, Shares, seconds_between
from jaxopt_study.cluster.worker import Account, Ended, Epoch, Fault, Hello, Recipe, Reply, Worker, first_line
from jaxopt_study.data import Dataset
from jaxopt_study.data.trees import mapped
from jaxopt_study.engine import stats
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.engine.watcher import Watcher
from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.grids.run import Run
from jaxopt_study.history import CURVES, History
from jaxopt_study.models.own import model_of
from jaxopt_study.optimizers import registry
from jaxopt_study.settings import Machines

STARTS = 3
"""Workers that die before they are ready, one after another, before the study is given up."""
LEAVING = 5.0
"""Seconds that workers have to clear up after themselves."""


@dataclasses.dataclass
class Member:
    """A worker as the driver sees it: its actor, the reply that is awaited, and what it has said of itself."""

    actor: Any
    reply: Any
    hello: Hello | None = None
    active: int = 0
    started: float = dataclasses.field(default_factory=time.monotonic)


class Driver:
    """Trains runs of a study that are not in its store on the connected cluster.

    ``resources`` are a worker's; there are at most so many ``workers``, None for as many as there is room for.
    """

    def __init__(
        self, trainer: Trainer, runs: list[Run], resources: Resources, workers: int | None, watcher: Watcher
    ) -> None:
        self.trainer, self.resources, self.most_workers, self.watcher = trainer, resources, workers, watcher
        ordered = trainer.lengths().longest_first(runs)
        self.runs, self.shares = runs, Shares(ordered, whole=trainer.settings.halving is not None)
        self.members: dict[int, Member] = {}
        self.names = itertools.count()
        self.failed_starts = 0
        self.room, self.room_known_at = 0, -math.inf
        # For stats.json:
        self.started, self.first_ready = time.monotonic(), math.inf
        self.most_ready, self.capacity = 0, Capacity(0, 0, True)
        self.accounts: dict[int, Account] = {}  # the last one of each worker, lost ones too
        self.epochs: dict[Run, int] = {}
        self.epochs_repeated = self.workers_lost = 0
        rules = map(registry.family, dict.fromkeys(run.optimizer for run in trainer.runs))
        recipe = Recipe(
            settings=trainer.settings,
            runs=trainer.runs,
            make_model=trainer.model.factory or functools.partial(model_of, trainer.model),
            objective=trainer.objective,
            execution=trainer.execution,
            families=[family for family in rules if family.identity],
            workers=max(1, min(len(trainer.runs), workers or connect.workers(resources))),
            cores=None if resources.gpus else resources.cores,
        )
        self.recipe, self.dataset = ray.put(recipe), ray.put(in_memory(trainer.dataset))
        self.actor: Any = ray.remote(Worker).options(num_cpus=resources.cores, num_gpus=resources.gpus)

    def run(self) -> None:
        """Trains the runs to their end.

        EnvironmentFault: workers cannot be started, or a file cannot be written. Interrupted: the watcher asked for it;
        OutOfTime: because the time is over.
        """
        try:
            while self.shares.left:
                if stop := self.watcher.stop():
                    raise stop
                self._start_workers()
                self._answer_replies()
                self.watcher.workers(self.ready)
                self.watcher.tick(self)
        finally:
            self._stop_workers()

    @property
    def active(self) -> int:
        """Slots with a run, of all workers."""
        return sum(member.active for member in self.members.values())

    @property
    def ready(self) -> int:
        """Workers that are ready."""
        return sum(member.hello is not None for member in self.members.values())

    def _start_workers(self) -> None:
        """Starts workers where there is room and work; Ray holds back those that there is no room for yet."""
        if time.monotonic() - self.room_known_at > 5.0:
            self.room_known_at, self.room = time.monotonic(), connect.workers(self.resources)
        wanted = min(self.most_workers or max(self.room, 1), self.shares.left)
        while len(self.members) < wanted:
            actor = self.actor.remote(self.recipe, self.dataset)
            name = next(self.names)
            self.members[name] = Member(actor, actor.hello.remote())
            self.shares.join(name)

    def _answer_replies(self) -> None:
        """Waits a moment for replies; whoever has replied gets runs and is asked what becomes of them."""
        by_reply = {member.reply: name for name, member in self.members.items()}
        replies = list(by_reply)
        ray.wait(replies, timeout=1.0)
        for reply in ray.wait(replies, num_returns=len(replies), timeout=0)[0]:
            name = by_reply[reply]
            try:
                message = ray.get(reply)
            except ray.exceptions.RayError as error:
                self._lose(name, error)
                continue
            if isinstance(message, Hello):
                self._welcome(name, message)
            else:
                self._take(name, message)
            self._ask(name)

    def _welcome(self, name: int, hello: Hello) -> None:
        self.members[name].hello, self.failed_starts = hello, 0
        self.first_ready = min(self.first_ready, time.monotonic())
        self.capacity, self.most_ready = hello.capacity, max(self.most_ready, self.ready)

    def _take(self, name: int, reply: Reply) -> None:
        self.members[name].active = reply.active
        self.accounts[name] = reply.account
        for event in reply.events:
            match event:
                case Epoch(run, number) if number <= self.epochs.get(run, 0):
                    self.epochs_repeated += 1  # begun again after a loss; it is told from where it was
                case Epoch(run, number, metrics):
                    self.epochs[run] = number
                    self.watcher.epoch(run, number, metrics)
                case Ended(run, history, best):
                    self._keep(run, history, best)
                    self.shares.ended(name, run)
                case Fault(reason):
                    self._give_up(self.shares.lost(name, blame=True), reason)

    def _keep(self, run: Run, history: History, best: Any) -> None:
        self.trainer.keep(run, history, best)
        self.watcher.end(run, history)

    def _ask(self, name: int) -> None:
        member, now = self.members[name], time.monotonic()
        assert member.hello is not None
        # Those that may be ready in a minute get their share too.
        sharing = sum(other.hello is not None or now - other.started < 60 for other in self.members.values())
        runs = self.shares.give(name, member.hello.capacity, sharing)
        seconds, more = seconds_between(len(self.members)), self.shares.more_to_come(name)
        member.reply = member.actor.work.remote(runs, more, seconds, self.trainer.rivals(runs))

    def _lose(self, name: int, error: Exception) -> None:
        """A worker is dead; another takes its place."""
        member = self.members.pop(name)
        why = reason(error)
        self.workers_lost += 1
        if member.hello is None:
            self.failed_starts += 1
            if self.failed_starts >= STARTS:
                raise EnvironmentFault(f"workers cannot be started: {why}") from error
        unavailable = isinstance(error, ray.exceptions.ActorUnavailableError)  # so does the loss of a machine begin
        blame = member.hello is not None and not unavailable and connect.alive(member.hello.node)
        ray.kill(member.actor)
        self._give_up(self.shares.lost(name, blame=blame), why)
        self.shares.leave(name)

    def _give_up(self, runs: list[Run], why: str) -> None:
        for run in runs:
            curves = {name: np.zeros(0, np.float32) for name in CURVES}
            numbers, text = dict(run.hyperparameters), f"{why} ({ATTEMPTS} times)"
            self._keep(run, History(run.optimizer, numbers, run.seed, "failed", curves, reason=text), None)

    def _stop_workers(self) -> None:
        with contextlib.suppress(ray.exceptions.RayError):
            if leaving := [member.actor.leave.remote() for member in self.members.values()]:
                ray.wait(leaving, num_returns=len(leaving), timeout=LEAVING)
        for member in self.members.values():
            ray.kill(member.actor)

    def stats(self) -> dict[str, float]:
        """The entry for stats.json: times by the clock on the wall, sums over the workers."""
        now, accounts = time.monotonic(), self.accounts.values()
        compile_seconds = max((account.compile_seconds for account in accounts), default=0.0)
        epochs = sum(account.epochs_trained for account in accounts)
        idle = sum(account.idle_seconds for account in accounts)
        return {
            "seconds": now - self.started,
            "compile_seconds": compile_seconds,
            "training_seconds": max(now - min(self.first_ready, now) - compile_seconds, 1e-9),
            "examples": epochs * self.trainer.dataset.examples,
            "epochs_trained": epochs,
            "epochs_computed": sum(account.epochs_computed for account in accounts),
            "runs": len(self.runs) - self.shares.left,
            "slots": self.capacity.slots * self.most_ready,
            "devices": self.capacity.devices * self.most_ready,
            "peak_memory_bytes": max((account.memory_bytes for account in accounts), default=0) * self.most_ready,
            "workers": self.most_ready,
            "workers_lost": self.workers_lost,
            "epochs_repeated": self.epochs_repeated,
            "idle_share": idle / max(sum(account.ready_seconds for account in accounts), 1e-9),
        }


def train(trainer: Trainer, machines: Machines, watcher: Watcher | None = None) -> list[History]:
    """Trains what is not in the store on a cluster, and returns all of the study; as Trainer.train, with its errors.

    The trainer's folder is the driver's; workers need not see it. InputError: the address or the number of cores cannot
    be used. EnvironmentFault, too: the cluster cannot be used.
    """
    watcher = watcher or Watcher()
    with trainer.opened(watcher) as pending:
        if pending:
            with connect.connected(machines.cluster or "local"):
                resources = connect.resources(machines.cpus_per_worker)
                trainer.write_config()
                driver = Driver(trainer, pending, resources, machines.workers, watcher)
                try:
                    driver.run()
                finally:
                    stats.add_part(trainer.folder / "stats.json", driver.stats())
        return trainer.histories


def in_memory(dataset: Dataset) -> Dataset:
    """The data set with plain arrays for memory maps: what Ray's object store holds once a machine."""
    names = ("train_images", "train_labels", "val_images", "val_labels")
    arrays: dict[str, Any] = {name: mapped(np.asarray, getattr(dataset, name)) for name in names}
    return dataset._replace(**arrays)


def reason(error: Exception) -> str:
    """Why a worker died, in a line."""
    text = str(error)
    if isinstance(error, ray.exceptions.RayTaskError):
        return first_line(error.cause)
    if isinstance(error, ray.exceptions.OutOfMemoryError) or "low on memory" in text:
        return "the machine ran out of memory and Ray ended the worker"
    if "worker process has died" in text:
        return "the worker's process died (killed, or out of memory)"
    lines = [line for line in text.splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1 if "creation task" in text else 0].strip()[:200]
