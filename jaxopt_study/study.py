"""A study: data, network, runs and a work directory, and the training of what is not in the store yet."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_study import devices, grid, registry, training, weights, workdir
from jaxopt_study.batches import Batches, batches_of
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
from jaxopt_study.settings import Settings
from jaxopt_study.step import Hyperparameters, MakeOptimizer, RunState
from jaxopt_study.store import Store
from jaxopt_study.sweep import Sweep
from jaxopt_study.training import Interrupted, Watcher

__all__ = ["Execution", "Interrupted", "Study", "Watcher"]

# Chosen, not measured: on CPU the arrays of a batch should stay in the cache, accelerators want large batches.
VAL_BATCH = {"cpu": 64}
VAL_BATCH_ELSEWHERE = 256


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
        if settings.halving:  # who goes on depends on the others: such runs are theirs alone
            self.identity["grid"] = grid.digest(self.fingerprints.values())
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
        with workdir.locked(self.folder):
            pending = self.pending()
            total = len(set(self.fingerprints.values()))
            watcher.begin(total, total - len(pending), self.settings.max_epochs)
            if pending:
                self._train(pending, watcher)
            return self.histories()

    def describe(self) -> dict[str, Any]:
        """What is being run, for config.json."""
        return {
            "identity": self.identity,
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

    def _train(self, pending: list[Run], watcher: Watcher) -> None:
        checkpoints = Checkpoints(self.folder / "checkpoints", self.identity)
        try:
            checkpoints.check_study()
            workdir.write_json(self.folder / "config.json", self.describe())
            batches = self.batches()
            for name in dict.fromkeys(run.optimizer for run in pending):
                runs = [run for run in pending if run.optimizer == name]
                training.train(self.job(name, batches), runs, checkpoints, watcher, self.folder / "stats.json")
            checkpoints.clear()
        finally:
            checkpoints.close()

    def job(self, optimizer: str, batches: Batches) -> training.Job:
        """What training one rule's runs takes."""
        chosen = devices.choose(self.execution.devices)
        strategy = self.strategy(chosen[0].platform)
        program = self.program(optimizer, strategy)
        return training.Job(
            sweep=Sweep(program, batches, chosen),
            total=sum(run.optimizer == optimizer for run in self.runs),
            slots=self.execution.slots,
            in_turn=strategy == "map",
            settings=self.settings,
            template=template(program),
            checkpoint_minutes=self.execution.checkpoint_minutes,
            keep=self._keep,
        )

    def strategy(self, platform: str) -> str:
        """How a device of this platform trains its runs."""
        if self.execution.strategy != "auto":
            return self.execution.strategy
        return "map" if platform == "cpu" else "vmap"

    def batches(self, steps: int | None = None) -> Batches:
        """The data in the order of training; only the first ``steps`` batches and as many of validation, if given."""
        data, size = self.dataset, self.settings.batch_size
        val_size = VAL_BATCH.get(jax.default_backend(), VAL_BATCH_ELSEWHERE)
        train, val = (None, None) if steps is None else (steps * size, steps * val_size)
        return batches_of(
            data.train_images[:train],
            data.train_labels[:train],
            data.val_images[:val],
            data.val_labels[:val],
            batch_size=size,
            val_batch_size=val_size,
            seed=self.settings.data_seed,
        )

    def program(self, optimizer: str, strategy: str) -> Program:
        """The static parts of an epoch for one rule; equal for equal arguments, so that nothing is traced twice."""
        steps = -(-len(self.dataset.train_labels) // self.settings.batch_size)
        return Program(
            network=self.network(),
            loss=LOSSES[self.loss],
            make_optimizer=maker(optimizer, steps),
            hyperparameters=tuple(h.name for h in registry.family(optimizer).hyperparameters),
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

    def _keep(self, run: Run, history: History, best: Any) -> None:
        fingerprint = self.fingerprints[run]
        if best is not None:
            weights.write(self.folder / "weights" / fingerprint, best)
        self.store.write(fingerprint, history)


@functools.cache
def maker(optimizer: str, steps_per_epoch: int) -> MakeOptimizer:
    """The rule as a function of its traced numbers; the same object for the same arguments."""
    family = registry.family(optimizer)

    def make(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        return family.make(hyperparameters, steps_per_epoch)

    return make


def template(program: Program) -> RunState:
    """Shapes and types of a run's state."""
    number = jax.ShapeDtypeStruct((), jnp.float32)
    state: RunState = jax.eval_shape(
        lambda seed, hyperparameters: init_run(seed, hyperparameters, program),
        jax.ShapeDtypeStruct((), jnp.uint32),
        dict.fromkeys(program.hyperparameters, number),
    )
    return state
