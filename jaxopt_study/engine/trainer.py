"""What a study computes: data, network, runs and a work directory, and the training of what is not stored yet."""

import contextlib
import dataclasses
import functools
import json
import math
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxopt_study import files
from jaxopt_study.analysis.guessing import loss_of_guessing
from jaxopt_study.data import Dataset
from jaxopt_study.data.dataset import Batches, batches_of, held_back
from jaxopt_study.data.trees import mapped, size
from jaxopt_study.engine import config, devices, memory, stats, strategy
from jaxopt_study.engine.branching import Branch
from jaxopt_study.engine.groups import by_group, part, rule_of, shared
from jaxopt_study.engine.lengths import Lengths
from jaxopt_study.engine.slots import Scheduler
from jaxopt_study.engine.sweep import Sweep
from jaxopt_study.engine.watcher import Interrupted, Watcher
from jaxopt_study.errors import Damaged, InputError
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Group, Run
from jaxopt_study.history import TEST_CURVES, History
from jaxopt_study.models.build import Model, article_model
from jaxopt_study.models.network import Example, Network, example_of
from jaxopt_study.models.variants import Values, Variants
from jaxopt_study.optimizers import registry
from jaxopt_study.settings import Execution, Settings
from jaxopt_study.storage import weights, workdir
from jaxopt_study.storage.checkpoint import Checkpoints
from jaxopt_study.storage.store import Store
from jaxopt_study.training.metrics import TEST
from jaxopt_study.training.objective import Objective
from jaxopt_study.training.rules import Rules
from jaxopt_study.training.sharpness import every
from jaxopt_study.training.step import STRATEGIES, Program

# On CPU 32 and 64 were level and 128 to 512 slower (16 runs, 32 pixels). On a GPU more would take more memory than the
# training: activations of 64 examples to evaluate are as large as of 32 to train on, with all that gradients need.
VAL_BATCH = 64


class Trainer:
    """Trains runs and keeps them.

    Args:
        settings: what all runs share.
        dataset: the data.
        runs: in the order in which they are to be trained, of any rules; the same run may be named more than once.
        folder: the work directory.
        model: the network; the article's if None.
        models: networks by the values of their axes, of runs that have any, instead of one.
        execution: how to compute it.
        objective: the loss, metrics of the user's own, and what runs are judged by.
        own: whether it is somebody's own, so that its report says nothing of the article.
        datasets: of runs with a data seed, by it: ``dataset``, or the same split otherwise.
        branch_of: what the runs go on from; None where they begin with their seeds.
        may_part: whether rules may have programs of their own, see :attr:`apart`.

    Raises:
        InputError: a batch is larger than the training part, or the loss does not fit the labels.
    """

    def __init__(
        self,
        settings: Settings,
        dataset: Dataset,
        runs: Sequence[Run],
        folder: Path,
        *,
        model: Model | None = None,
        models: Variants | None = None,
        execution: Execution | None = None,
        objective: Objective | None = None,
        own: bool = False,
        datasets: Mapping[int, Dataset] | None = None,
        branch_of: Branch | None = None,
        may_part: bool = True,
    ) -> None:
        self.settings, self.dataset, self.folder, self.own = settings, dataset, folder, own
        self.branch_of, self.may_part = branch_of, may_part
        self.experiments: Mapping[str, Any] = {}  # those of the command that trains it, for config.json
        self.datasets = dict(datasets or {})
        self.data = {seed: each.fingerprint for seed, each in self.datasets.items()}
        self.variants = models or Variants({(): model or article_model()}, {})
        self.model = next(iter(self.variants.models.values()))
        self.execution = execution or Execution()
        self.runs = list(dict.fromkeys(runs))
        self.rules = {name: registry.family(name).identity for name in dict.fromkeys(r.optimizer for r in self.runs)}
        self.objective = objective or Objective()
        labels = dataset.train_labels, len(dataset.classes), dataset.task
        self.loss, self.outputs, self.loss_function = self.objective.fitted(*labels)
        examples = dataset.examples
        if settings.halving and any(grid.of_study(run, "max_epochs") for run in self.runs):
            allowed = "not allowed where runs have max_epochs of their own: it compares them at the same epochs"
            raise InputError("--halving", settings.halving, allowed)
        self.totals = {
            group: Counter(map(grid.signature, of_group)) for group, of_group in self.by_group(self.runs).items()
        }
        if branch_of:  # whose parents' rule is in the program, too
            for of_group in self.totals.values():
                of_group.setdefault(grid.signature(branch_of.parents[0]), 0)
        self.groups = list(self.totals)
        largest = max(map(self.batch_size, self.groups), default=settings.batch_size)
        if largest > examples:
            allowed = f"allowed is a whole number from 1 to the {examples} training examples of {dataset.name}"
            raise InputError("--batch_size", largest, allowed)
        self.val_labels = dataset.val_labels
        if settings.test_share:
            kept, _ = held_back(dataset.val_labels, settings.test_share)
            self.val_labels = mapped(lambda x: x[kept], dataset.val_labels)
        known = [each.identity for each in self.variants.models.values()]
        network = known[0] if len(known) == 1 else f"{known[0].split()[0]} {grid.digest(known)}"
        data = dataset.fingerprint
        self.identity = {"data": data, "model": network, "outputs": self.outputs, **settings.identity()}
        usual = self.loss if callable(self.objective.loss) else Objective().fitted(*labels).name
        self.identity |= self.objective.identity(self.loss, usual)
        if branch_of:
            self.identity["branch"] = branch_of.identity()
        self.fingerprints = {run: self.fingerprint(run) for run in self.runs}
        if settings.halving:  # who goes on depends on the others: such runs are theirs alone
            self.identity["grid"] = grid.digest(self.fingerprints.values())
            self.fingerprints = {run: self.fingerprint(run) for run in self.runs}
        self.store = Store(folder / "runs")
        self.trained: dict[str, History] = {}

    def by_group(self, runs: Sequence[Run]) -> dict[Group, list[Run]]:
        """The runs of each program. Where they are batched all rules of a program are computed for all of its runs:
        there those that cost more than some arithmetic have one of their own."""
        return by_group(runs, self.apart)

    @functools.cached_property
    def apart(self) -> frozenset[grid.Signature]:
        """The rules whose runs are batched with none of another rule."""
        batched = self.execution.strategy == "vmap"
        batched |= self.execution.strategy == "auto" and jax.default_backend() != "cpu"
        if not (batched and self.may_part):
            return frozenset()
        params = jax.eval_shape(lambda: self.network(self.settings.batch_size).init(jax.random.key(0)).params)
        rules = dict.fromkeys(map(grid.signature, self.runs))
        return frozenset(rule for rule in rules if not rule_of(rule, 1).is_light(params))

    def add(self, runs: Sequence[Run]) -> None:
        """Adds runs of configurations that the study has, of other seeds. They train in the programs of the first."""
        self.runs = list(dict.fromkeys([*self.runs, *runs]))
        self.fingerprints |= {run: self.fingerprint(run) for run in runs}

    def fingerprint(self, run: Run) -> str:
        """Of a run of the study, or like one of it."""
        models = {values: each.identity for values, each in self.variants.models.items()}
        return grid.fingerprint(run, self.identity, self.data, models)

    @property
    def computations(self) -> list[Run]:
        """The runs, each computation once: under the first of its names."""
        first = {self.fingerprints[run]: run for run in reversed(self.runs)}
        return [run for run in self.runs if first[self.fingerprints[run]] == run]

    def pending(self) -> list[Run]:
        """The runs that are not in the store, or not whole, each computation once."""
        return [run for run in self.computations if not self.is_stored(run)]

    def is_stored(self, run: Run) -> bool:
        """Whether a run, of the study or like one of it, is in the store, and whole; a word if it is not."""
        fingerprint = self.fingerprints.get(run) or self.fingerprint(run)
        if fingerprint not in self.store:
            return False
        try:
            if fingerprint not in self.trained:
                self.trained[fingerprint] = self.store.read(fingerprint)
        except Damaged as error:
            warnings.warn(str(error), stacklevel=2)
            return False
        return True

    @property
    def finished(self) -> dict[Run, History]:
        """The finished runs of the study, each as the study names it; those trained before are read from the store."""
        finished = {}
        for run in self.runs:
            fingerprint = self.fingerprints[run]
            if fingerprint not in self.trained and fingerprint in self.store:
                self.trained[fingerprint] = self.store.read(fingerprint)
            if fingerprint in self.trained:
                history, numbers = self.trained[fingerprint], dict(run.hyperparameters)
                finished[run] = dataclasses.replace(
                    history, optimizer=run.optimizer, hyperparameters=numbers, data_seed=run.data_seed
                )
        return finished

    def budget(self, run: Run) -> int:
        """The most epochs of a run."""
        return grid.of_study(run, "max_epochs") or self.settings.max_epochs

    def span(self, run: Run) -> int:
        """The epochs that a schedule over the whole run has, when its rule begins."""
        return self.budget(run) - (self.branch_of.epoch - self.branch_of.begun(run) if self.branch_of else 0)

    def lengths(self) -> Lengths:
        """How long its runs are expected to train, by those that are finished."""
        lengths = Lengths(self.runs, self.budget)
        for run, history in self.finished.items():
            lengths.add(run, history)
        return lengths

    @property
    def histories(self) -> list[History]:
        """The finished runs, in the order of the study's."""
        return list(self.finished.values())

    def train(self, watcher: Watcher | None = None, *, process: int = 0, processes: int = 1) -> list[History]:
        """Trains what is not in the store, group by group, and returns all of it that is finished.

        Args:
            watcher: who is told.
            process: number of this one; only the first writes config.json.
            processes: that share each group's runs; each has checkpoints and a stats file of its own, and somebody
                else holds the work directory for all of them.

        Raises:
            EnvironmentFault: the work directory or a file in it cannot be used.
            Interrupted: the watcher asked for it; OutOfTime: because the time is over.
        """
        watcher = watcher or Watcher()
        stats_path = self.folder / ("stats.json" if processes == 1 else f"stats_{process}.json")
        with self.opened(watcher, process, processes) as pending:
            if not pending:
                return self.histories
            with self.checkpoints(process, processes) as checkpoints:
                if process == 0:
                    self.write_config()
                batches_of_size = functools.lru_cache(maxsize=1)(self.batches)
                for number, (group, runs) in enumerate(self.by_group(pending).items()):
                    if number and (stop := watcher.stop()):  # before something is compiled for the group
                        raise stop
                    begin = time.perf_counter()
                    sweep = self.sweep(group, batches_of_size(self.batch_size(group), data_seed=group.data_seed))
                    totals = shared(self.totals[group], processes)
                    slots = memory.slots_for(sweep, sum(totals.values()), self.execution.slots)
                    scheduler = Scheduler(
                        sweep,
                        runs,
                        slots=slots,
                        totals=totals,
                        lengths=self.lengths(),
                        settings=self.settings,
                        checkpoints=checkpoints,
                        checkpoint_minutes=self.execution.checkpoint_minutes,
                        keep=self.keep,
                        watcher=watcher,
                        start=self.branch_of.starts(sweep, sweep.padded(slots), watcher) if self.branch_of else None,
                    )
                    examples = self.dataset.examples
                    try:
                        scheduler.train()
                    except Interrupted:
                        stats.add(stats_path, scheduler, examples=examples, seconds=time.perf_counter() - begin)
                        raise
                    stats.add(stats_path, scheduler, examples=examples, seconds=time.perf_counter() - begin)
            return self.histories

    @contextlib.contextmanager
    def opened(self, watcher: Watcher, process: int = 0, processes: int = 1) -> Iterator[list[Run]]:
        """Holds the work directory, unless it is one process of several, and gives the pending runs of its part.

        EnvironmentFault: another process holds it, or a file in it cannot be used. InputError: a rule was edited.
        """
        for name, known in self.rules.items():
            if registry.family(name).identity != known:
                raise InputError("optimizer", name, "it was edited since the study was made; allowed is a new study")
        with workdir.locked(self.folder) if processes == 1 else contextlib.nullcontext():
            mine = part(self.computations, process, processes)
            self.mend()
            pending = [run for run in mine if self.fingerprints[run] not in self.trained]
            watcher.begin(len(mine), len(mine) - len(pending), {run: self.budget(run) for run in pending})
            yield pending

    def mend(self) -> None:
        """Reads the store anew, and mends it, for who holds the work directory; EnvironmentFault: it cannot."""
        curves = (TEST_CURVES if self.settings.test_share else ()) + ("sharpness",) * self.settings.sharpness
        own = list(self.objective.metrics)
        curves += (*own, *(f"{TEST}{name}" for name in own if self.settings.test_share))
        stored = self.store.mend((name for run in self.runs for name, _ in run.hyperparameters), curves)
        self.trained = {known: stored[known] for known in self.fingerprints.values() if known in stored}

    @contextlib.contextmanager
    def checkpoints(self, process: int = 0, processes: int = 1) -> Iterator[Checkpoints]:
        """The checkpoints of a process, which are those of this study; they are removed when all has been trained."""
        several = processes > 1
        folder = self.folder / "checkpoints" / (f"process_{process}" if several else "")
        checkpoints = Checkpoints(folder, self.identity, process=process if several else None)
        try:
            checkpoints.check_study()
            yield checkpoints
            checkpoints.clear()
        finally:
            checkpoints.close()

    def describe(self) -> dict[str, Any]:
        """What is being run, for config.json."""
        return config.describe(self)

    @functools.cached_property
    def guessing(self) -> float:
        """The validation loss of guessing; infinite where it is not known, as of a loss of the user's own."""
        if callable(self.objective.loss):
            return math.inf
        labels = self.dataset.train_labels, self.val_labels
        return loss_of_guessing(self.loss, len(self.dataset.classes), *labels)

    @functools.cached_property
    def example(self) -> Example:
        """What an example is."""
        return example_of(self.dataset.train_images)

    def write_config(self) -> None:
        """Writes config.json anew, and keeps what others put into it for the same data, network and settings."""
        old = workdir.usable(workdir.written_config, self.folder / "config.json")
        kept = old if old.get("identity") == json.loads(json.dumps(self.identity)) else {}
        config = {**kept, **self.describe()}
        if self.experiments:
            config["experiments"] = {**kept.get("experiments", {}), **self.experiments}
        workdir.write_json(self.folder / "config.json", config)

    def batch_size(self, group: Group) -> int:
        """Training examples in a step of a group's runs."""
        return group.batch_size or self.settings.batch_size

    def sweep(self, group: Group, batches: Batches) -> Sweep:
        """What trains one group's runs; ``batches`` are of its size."""
        return self._sweep(group, self.strategy, batches)

    def _sweep(self, group: Group, strategy: str, batches: Batches) -> Sweep:
        return Sweep(self.program(group, strategy), batches, devices.choose(self.execution.devices), self.span)

    @functools.cached_property
    def strategy(self) -> str:
        """The name of the strategy by which it is computed. The first time may take a minute."""
        chosen = devices.choose(self.execution.devices)
        platform = chosen[0].platform
        if self.execution.strategy != "auto":
            return self.execution.strategy
        names = strategy.usual_first(platform)
        epochs = sum(map(self.budget, self.runs))
        if len(names) == 1 or strategy.is_short(size(self.dataset.train_images) * epochs):
            return names[0]
        slots = min(self.execution.slots or memory.most(platform), len(self.runs))
        group = self.groups[0]
        batch = self.batch_size(group)
        batches = self.batches(batch, min(strategy.steps_for(slots), self.dataset.examples // batch))

        def timer_of(name: str) -> Callable[[], float]:
            return strategy.epoch_timer(self._sweep(group, name, batches), self.runs[0], slots)

        shape = [self.example, self.outputs, batch, slots, len(chosen)]
        about = {"model": self.model.identity, "shape": shape, "diagnostics": self.settings.diagnostics}
        about |= {"sharpness": True} if self.settings.sharpness else {}
        return strategy.fastest(names, timer_of, about, files.cache_folder() / "choices")

    def batches(self, size: int, steps: int | None = None, *, data_seed: int | None = None) -> Batches:
        """The data in the order of training, in batches of ``size``; only the first ``steps`` of them and the same
        share of the validation data, if given. The order, and the split, are those of ``data_seed``, if given."""
        dataset, seed = self.dataset, self.settings.data_seed
        if data_seed is not None:
            dataset, seed = self.datasets[data_seed], data_seed
        share = self.settings.test_share
        return batches_of(dataset, batch_size=size, val_batch_size=VAL_BATCH, seed=seed, steps=steps, test_share=share)

    def program(self, group: Group, strategy: str) -> Program:
        """The static parts of an epoch for one group; equal for equal arguments, so that nothing is traced twice."""
        size = self.batch_size(group)
        steps = -(-self.dataset.examples // size)
        return Program(
            network=self.network(size, group.model),
            loss=self.loss_function,
            rules=Rules(tuple(rule_of(known, steps) for known in self.totals[group])),
            diagnostics=self.settings.diagnostics,
            stop_on_nonfinite=self.settings.stop_on_nonfinite,
            keep_best=self.execution.save_best_weights,
            steps=steps,
            strategy=STRATEGIES[strategy],
            precision=devices.precision(self.settings.matmul_precision, jax.default_backend()),
            sharpness=every(self.settings, steps),
            metrics=tuple(self.objective.metrics.items()),
            monitor=self.objective.monitor,
            maximize=self.objective.mode == "max",
            weighted=self.dataset.train_weights is not None,
        )

    def network(self, batch_size: int, values: Values = ()) -> Network:
        """The network for batches of this size, with these values of its axes; the first if there are none."""
        model = self.variants.models.get(values, self.model)
        return model.build(self.example, self.outputs, batch_size)

    def keep(self, run: Run, history: History, best: Any) -> None:
        """Puts a finished run into the store, with its best variables if there are any."""
        fingerprint = self.fingerprints[run]
        if best is not None:
            weights.write(self.folder / "weights" / fingerprint, best)
        self.store.write(fingerprint, history)
        self.trained[fingerprint] = history
