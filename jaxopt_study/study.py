"""A study: data, network, runs and a work directory, and the training of what is not in the store yet."""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import optax

from jaxopt_study import devices, grid, registry, workdir
from jaxopt_study.batches import batches_of
from jaxopt_study.checkpoint import Checkpoints
from jaxopt_study.data import Dataset
from jaxopt_study.epoch import Program, init_run
from jaxopt_study.errors import InputError
from jaxopt_study.execution import STRATEGIES
from jaxopt_study.grid import Run
from jaxopt_study.history import History
from jaxopt_study.losses import LOSSES
from jaxopt_study.models.build import Model, article_model
from jaxopt_study.models.network import Network
from jaxopt_study.scheduler import Events, Parked, Scheduler, Snapshot, Work
from jaxopt_study.settings import Settings
from jaxopt_study.step import Hyperparameters, MakeOptimizer, RunState
from jaxopt_study.store import Store
from jaxopt_study.sweep import Sweep

# Measured on CPU: larger validation batches leave the cache; accelerators want them large.
VAL_BATCH = {"cpu": 64}
VAL_BATCH_ELSEWHERE = 256
AUTO_SLOTS = {"cpu": 32}
AUTO_SLOTS_ELSEWHERE = 64


@dataclasses.dataclass(frozen=True)
class Execution:
    """How a study is computed; its results do not depend on it.

    Attributes:
        slots: runs that train at once; None chooses.
        devices: number of devices; None takes all.
        strategy: ``auto``, ``vmap`` (all runs in one batched program) or ``map`` (a device trains its runs in turn).
        checkpoint_minutes: between two checkpoints.
        save_best_weights: keep each run's variables at its lowest validation loss.
    """

    slots: int | None = None
    devices: int | None = None
    strategy: str = "auto"
    checkpoint_minutes: float = 2.0
    save_best_weights: bool = False


class Watcher(NamedTuple):
    """Who is told of the progress; see scheduler.Events."""

    begin: Callable[[int, int, int], None] = lambda total, stored, max_epochs: None
    epoch: Callable[[Run, int, Mapping[str, float]], None] = lambda run, number, metrics: None
    end: Callable[[Run, History], None] = lambda run, history: None
    tick: Callable[[Scheduler], None] = lambda scheduler: None
    interrupted: Callable[[], bool] = lambda: False


class Interrupted(Exception):  # not an error: what was begun is saved
    """The study was asked to stop and has saved what was under way."""


class Study:
    """Trains runs and keeps them.

    Args:
        settings: what all runs share.
        dataset: the data.
        runs: in the order in which they are to be trained, of any rules; the same run may be named more than once.
        folder: the work directory.
        model: the network; the article's if None.
        execution: how to compute it.

    Raises:
        InputError: the batch is larger than the training part.
    """

    def __init__(
        self,
        settings: Settings,
        dataset: Dataset,
        runs: Sequence[Run],
        folder: Path,
        *,
        model: Model | None = None,
        execution: Execution | None = None,
    ) -> None:
        self.settings, self.dataset, self.folder = settings, dataset, folder
        self.model = model or article_model()
        self.execution = execution or Execution()
        self.runs = list(dict.fromkeys(runs))
        examples = len(dataset.train_labels)
        if settings.batch_size > examples:
            allowed = f"allowed is a whole number from 1 to the {examples} training examples of {dataset.name}"
            raise InputError("--batch_size", settings.batch_size, allowed)
        self.outputs = 1 if len(dataset.classes) == 2 else len(dataset.classes)
        self.loss = "sigmoid" if self.outputs == 1 else "softmax"
        self.identity = {
            "data": dataset.fingerprint,
            "model": self.model.identity,
            "outputs": self.outputs,
            **settings.identity(),
        }
        self.fingerprints = {run: grid.fingerprint(run, self.identity) for run in self.runs}
        self.store = Store(folder / "runs")

    def pending(self) -> list[Run]:
        """The runs that are not in the store, each computation once."""
        first = {self.fingerprints[run]: run for run in reversed(self.runs)}
        return [
            run
            for run in self.runs
            if first[self.fingerprints[run]] == run and self.fingerprints[run] not in self.store
        ]

    def histories(self) -> list[History]:
        """The finished runs among those of the study, under the names by which the study knows them."""
        found = []
        for run in self.runs:
            if self.fingerprints[run] in self.store:
                history = self.store.read(self.fingerprints[run])
                numbers = dict(run.hyperparameters)
                found.append(dataclasses.replace(history, optimizer=run.optimizer, hyperparameters=numbers))
        return found

    def run(self, watcher: Watcher | None = None) -> list[History]:
        """Trains what is not in the store, rule by rule, and returns all of it.

        Raises:
            EnvironmentFault: the work directory or a file in it cannot be used.
            Interrupted: the watcher asked for it.
        """
        watcher = watcher or Watcher()
        begin = time.perf_counter()
        with workdir.locked(self.folder):
            pending = self.pending()
            watcher.begin(len(self.runs), len(self.runs) - len(pending), self.settings.max_epochs)
            if pending:
                workdir.write_json(self.folder / "config.json", self.describe())
                self._train_all(pending, watcher, begin)
            return self.histories()

    def describe(self) -> dict[str, Any]:
        """What is being run, for config.json."""
        return {
            "settings": dataclasses.asdict(self.settings),
            "execution": dataclasses.asdict(self.execution),
            "dataset": {
                "name": self.dataset.name,
                "classes": list(self.dataset.classes),
                "train_examples": len(self.dataset.train_labels),
                "val_examples": len(self.dataset.val_labels),
                "image_shape": list(self.dataset.train_images.shape[1:]),
                "fingerprint": self.dataset.fingerprint,
            },
            "grid": [{"optimizer": r.optimizer, **dict(r.hyperparameters), "seed": r.seed} for r in self.runs],
            "devices": [str(device.device_kind) for device in jax.devices()],
            "versions": workdir.versions(),
            "git_commit": workdir.git_commit(),
        }

    def _train_all(self, pending: list[Run], watcher: Watcher, begin: float) -> None:
        families = list(dict.fromkeys(run.optimizer for run in pending))
        chosen = devices.choose(self.execution.devices)
        strategy = self.execution.strategy
        if strategy == "auto":
            strategy = "map" if chosen[0].platform == "cpu" else "vmap"
        checkpoints = Checkpoints(self.folder / "checkpoints", self.identity)
        programs = {name: self.program(name, strategy) for name in families}
        try:
            begun = checkpoints.load({name: template(name, program) for name, program in programs.items()})
            batches = batches_of(
                self.dataset.train_images,
                self.dataset.train_labels,
                self.dataset.val_images,
                self.dataset.val_labels,
                batch_size=self.settings.batch_size,
                val_batch_size=VAL_BATCH.get(chosen[0].platform, VAL_BATCH_ELSEWHERE),
                seed=self.settings.data_seed,
            )
            for name in families:
                runs = [run for run in pending if run.optimizer == name]
                sweep = Sweep(programs[name], batches, chosen)
                work, slots = self._train_family(sweep, runs, begun, strategy, checkpoints, watcher)
                self._write_stats(sweep, work, slots, len(runs), time.perf_counter() - begin)
                begin = time.perf_counter()
            checkpoints.clear()
        finally:
            checkpoints.close()

    def _train_family(
        self,
        sweep: Sweep,
        runs: list[Run],
        begun: Mapping[Run, Parked],
        strategy: str,
        checkpoints: Checkpoints,
        watcher: Watcher,
    ) -> tuple[Work, int]:
        # Of all runs of the rule, stored ones too: what is resumed runs in the program in which it was begun.
        family = sum(run.optimizer == runs[0].optimizer for run in self.runs)
        auto = AUTO_SLOTS.get(sweep.devices[0].platform, AUTO_SLOTS_ELSEWHERE)
        saved = time.monotonic()

        def due() -> bool:
            return watcher.interrupted() or time.monotonic() - saved > 60 * self.execution.checkpoint_minutes

        def snapshot(taken: Snapshot) -> None:
            nonlocal saved
            if taken.runs:
                checkpoints.save(runs[0].optimizer, taken)
            saved = time.monotonic()
            if watcher.interrupted():
                checkpoints.wait()
                raise Interrupted

        def end(run: Run, history: History, best: Any) -> None:
            self.store.write(self.fingerprints[run], history)
            watcher.end(run, history)

        scheduler = Scheduler(
            sweep,
            runs,
            slots=min(self.execution.slots or auto, family),
            max_epochs=self.settings.max_epochs,
            patience=self.settings.patience,
            in_turn=strategy == "map",
            events=Events(watcher.epoch, end, watcher.tick, due, snapshot),
            parked={run: begun[run] for run in runs if run in begun},
        )
        return scheduler.train(), scheduler.room

    def program(self, optimizer: str, strategy: str) -> Program:
        """The static parts of an epoch for one rule; equal for equal arguments, so that nothing is traced twice."""
        steps = -(-len(self.dataset.train_labels) // self.settings.batch_size)
        return Program(
            network=self.network(),
            loss=LOSSES[self.loss],
            make_optimizer=maker(optimizer, steps),
            diagnostics=self.settings.diagnostics,
            stop_on_nonfinite=self.settings.stop_on_nonfinite,
            keep_best=self.execution.save_best_weights,
            steps=steps,
            batched=STRATEGIES[strategy],
        )

    def network(self) -> Network:
        """The network of the study."""
        height, width, channels = self.dataset.train_images.shape[1:]
        return self.model.build((height, width, channels), self.outputs, self.settings.batch_size)

    def _write_stats(self, sweep: Sweep, work: Work, slots: int, runs: int, seconds: float) -> None:
        """Adds a part of the work to stats.json and brings its totals up to date."""
        path = self.folder / "stats.json"
        parts = workdir.read_json(path)["parts"] if path.exists() else []
        parts.append(
            {
                "seconds": seconds,
                "compile_seconds": sweep.compile_seconds,
                "training_seconds": work.seconds,
                "examples": work.epochs_trained * len(self.dataset.train_labels),
                "epochs_trained": work.epochs_trained,
                "epochs_computed": work.epochs_computed,
                "runs": runs,
                "slots": slots,
                "devices": len(sweep.devices),
                "peak_memory_bytes": sweep.memory_bytes * len(sweep.devices),
            }
        )
        workdir.write_json(path, {**totals(parts), "parts": parts})


def totals(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The figures of stats.json from those of its parts (one a rule and call)."""
    sums = {name: sum(part[name] for part in parts) for name in parts[0]}
    return {
        "seconds": sums["seconds"],
        "compile_seconds": sums["compile_seconds"],
        "examples_per_second": sums["examples"] / max(sums["training_seconds"], 1e-9),
        "goodput": sums["epochs_trained"] / max(sums["epochs_computed"], 1),
        "epochs_trained": sums["epochs_trained"],
        "epochs_computed": sums["epochs_computed"],
        "runs": sums["runs"],
        "slots": max(part["slots"] for part in parts),
        "devices": max(part["devices"] for part in parts),
        "peak_memory_bytes": max(part["peak_memory_bytes"] for part in parts),
    }


@functools.cache
def maker(optimizer: str, steps_per_epoch: int) -> MakeOptimizer:
    """The rule as a function of its traced numbers; the same object for the same arguments."""
    family = registry.family(optimizer)

    def make(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        return family.make(hyperparameters, steps_per_epoch)

    return make


def template(optimizer: str, program: Program) -> RunState:
    """Shapes and types of a run's state."""
    family = registry.family(optimizer)
    numbers = {h.name: jax.ShapeDtypeStruct((), "float32") for h in family.hyperparameters}
    state: RunState = jax.eval_shape(
        lambda seed, hyperparameters: init_run(seed, hyperparameters, program),
        jax.ShapeDtypeStruct((), "uint32"),
        numbers,
    )
    return state
