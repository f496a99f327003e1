"""The training of what a study has not stored yet, and its store."""

import contextlib
import dataclasses
import functools
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_study import files
from jaxopt_study.data.dataset import Batches
from jaxopt_study.data.trees import size
from jaxopt_study.engine import devices, memory, own_code, stats, strategy
from jaxopt_study.engine.config import trained_with
from jaxopt_study.engine.definition import Definition
from jaxopt_study.engine.groups import part, rule_of, shared
from jaxopt_study.engine.lengths import Lengths
from jaxopt_study.engine.slots import Scheduler
from jaxopt_study.engine.sweep import Sweep
from jaxopt_study.engine.watcher import Interrupted, Watcher
from jaxopt_study.errors import Damaged, EnvironmentFault
from jaxopt_study.grids.run import Group, Run, group, said, signature
from jaxopt_study.history import TEST_CURVES, History
from jaxopt_study.storage import belonging, weights, workdir
from jaxopt_study.storage.checkpoint import Checkpoints
from jaxopt_study.storage.store import Store
from jaxopt_study.training.metrics import TEST

ALL = "process_all"
"""The folder with what was begun before several processes did, in any number of them."""


class Trainer(Definition):
    """A study in its work directory: trains runs and keeps them. Arguments are those of a :class:`Definition`."""

    @functools.cached_property
    def store(self) -> Store:
        """The finished runs."""
        return Store(self.folder / "runs")

    @functools.cached_property
    def trained(self) -> dict[str, History]:
        """The finished runs that are in memory, by their fingerprints."""
        return {}

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

    def lengths(self) -> Lengths:
        """How long its runs are expected to train, by those that are finished."""
        lengths = Lengths(self.runs, self.budget)
        for run, history in self.finished.items():
            lengths.add(run, history)
        return lengths

    def rivals(self, runs: Sequence[Run]) -> dict[Run, History]:
        """Of the finished runs those that successive halving compares with these, of the same rules."""
        rules = {(group(run), signature(run)) for run in runs} if self.settings.halving else set()
        others = [run for run in self.computations if (group(run), signature(run)) in rules]
        return {run: self.trained[known] for run in others if (known := self.fingerprints[run]) in self.trained}

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
                for number, (key, runs) in enumerate(self.by_group(pending).items()):
                    if number and (stop := watcher.stop()):  # before something is compiled for the group
                        raise stop
                    begin = time.perf_counter()
                    sweep = self.sweep(key, batches_of_size(self.batch_size(key), data_seed=key.data_seed))
                    totals = shared(self.totals[key], processes)
                    slots = memory.slots_for(sweep, sum(totals.values()), self.execution.slots)
                    sweep.compiled("epoch", sweep.padded(slots))  # loads what decomposes matrices, if anything does
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
                        ended=self.rivals(runs),
                    )
                    examples = self.dataset_of(key).examples
                    try:
                        with devices.cores_apart(sweep.devices):
                            scheduler.train()
                    except Interrupted:
                        stats.add(stats_path, scheduler, examples=examples, seconds=time.perf_counter() - begin)
                        raise
                    stats.add(stats_path, scheduler, examples=examples, seconds=time.perf_counter() - begin)
            return self.histories

    @contextlib.contextmanager
    def opened(self, watcher: Watcher, process: int = 0, processes: int = 1) -> Iterator[list[Run]]:
        """Holds the work directory, unless it is one process of several, and gives the pending runs of its part.

        EnvironmentFault: another process holds it, or a file in it cannot be used. InputError: what is to be
        trained was edited.
        """
        with workdir.locked(self.folder) if processes == 1 else contextlib.nullcontext():
            mine = part(self.computations, process, processes)
            self.mend()
            pending = [run for run in mine if self.fingerprints[run] not in self.trained]
            with own_code.unedited(self) if pending else contextlib.nullcontext():
                watcher.begin(len(mine), len(mine) - len(pending), {run: self.budget(run) for run in pending})
                for history in self.trained.values():
                    watcher.known(history.curves["val_loss"])
                if process == 0 and (count := self._without_weights()):
                    watcher.tell(
                        f"{count} of the stored runs have no best weights, and are not trained again for them: a new "
                        "work directory would have those of all"
                    )
                yield pending
            if processes == 1:
                with contextlib.suppress(EnvironmentFault), contextlib.closing(self._checkpoints("")) as left:
                    left.tidy()

    def _without_weights(self) -> int:
        """How many stored runs have no weights that are asked for. That they were not kept is no reason to spend what
        all of them took once more, unasked: so it is said."""
        folder, asked = self.folder / "weights", self.execution.save_best_weights
        return sum(
            asked and self.judged(history) and not (folder / known).is_dir() for known, history in self.trained.items()
        )

    def judged(self, history: History) -> bool:
        """Whether what a run is judged by was ever a number; else no epoch is its best, and it has no best weights."""
        return bool(np.isfinite(history.curves.get(self.objective.monitor, np.zeros(0))).any())

    def mend(self) -> None:
        """Reads the store anew, and mends it, for who holds the work directory; EnvironmentFault: it cannot."""
        curves = (TEST_CURVES if self.settings.test_share else ()) + ("sharpness",) * self.settings.sharpness
        own = list(self.objective.metrics)
        curves += (*own, *(f"{TEST}{name}" for name in own if self.settings.test_share))
        stored = self.store.mend((name for run in self.runs for name, _ in run.hyperparameters), curves)
        self.trained = {known: stored[known] for known in self.fingerprints.values() if known in stored}

    @contextlib.contextmanager
    def checkpoints(self, process: int = 0, processes: int = 1) -> Iterator[Checkpoints]:
        """The checkpoints of a process; of this study nothing is left in them when all has been trained."""
        if processes == 1:
            self.gather_begun()
        with contextlib.ExitStack() as opened:

            def of(name: str, before: Checkpoints | None = None) -> Checkpoints:
                found = self._checkpoints(name, process if processes > 1 else None, before)
                return opened.enter_context(contextlib.closing(found))

            checkpoints = of("") if processes == 1 else of(f"process_{process}", of(ALL))
            checkpoints.check_study()
            yield checkpoints
            checkpoints.clear()

    def gather_begun(self, process: int | None = None) -> None:
        """Puts what others have begun, one process or several, where this one or all of them look for it.

        For who holds the work directory; ``process`` is its number where there are several, which all wait for it.
        EnvironmentFault: it is of another study, or cannot be read or written.
        """
        top = self.folder / "checkpoints"
        mine = "" if process is None else ALL
        if folders := [folder for folder in (top, *sorted(top.glob("process_*"))) if folder != top / mine]:
            with contextlib.closing(self._checkpoints(mine, process)) as checkpoints:
                checkpoints.adopt(folders)

    def _checkpoints(self, name: str, process: int | None = None, before: Checkpoints | None = None) -> Checkpoints:
        return Checkpoints(
            self.folder / "checkpoints" / name,
            self.identity,
            self.fingerprint,
            said=said(self.runs),
            is_stored=self.store.__contains__,
            process=process,
            before=before,
        )

    def write_config(self) -> None:
        """Writes config.json anew, and keeps what others put into it for the same data, network and settings."""
        old = workdir.usable(workdir.written_config, self.folder / "config.json")
        kept = old if old.get("identity") == json.loads(json.dumps(self.identity)) else {}
        config = {**kept, **self.described(old)}
        if self.experiments:
            config["experiments"] = {**kept.get("experiments", {}), **self.experiments}
        workdir.write_json(self.folder / "config.json", config)

    def described(self, old: Mapping[str, Any]) -> dict[str, Any]:
        """What is being run, for a config.json that takes the place of an ``old`` one."""
        rules = belonging.own_rules(old, self.identity, self.fingerprints)
        return {**self.describe(), **({belonging.OWN_RULES: rules} if rules else {})}

    def sweep(self, key: Group, batches: Batches) -> Sweep:
        """What trains one group's runs; ``batches`` are of its size."""
        return self._sweep(key, self.strategy, batches)

    def _sweep(self, key: Group, strategy: str, batches: Batches) -> Sweep:
        return Sweep(self.program(key, strategy), batches, devices.choose(self.execution.devices), self.span)

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
        first = self.groups[0]
        batch = self.batch_size(first)
        batches = self.batches(batch, min(strategy.steps_for(slots), self.dataset.examples // batch))

        def timer_of(name: str) -> Callable[[], float]:
            return strategy.epoch_timer(self._sweep(first, name, batches), self.runs[0], slots)

        shape = [self.example, self.outputs, batch, slots, len(chosen)]
        about = {"model": self.model.identity, "shape": shape, "diagnostics": self.settings.diagnostics}
        about |= {"sharpness": True} if self.settings.sharpness else {}
        params = jax.eval_shape(lambda: self.network(batch, first.model).init(jax.random.key(0)).params)
        costly = {known.optimizer for known in self.totals[first] if not rule_of(known, 1).is_light(params)}
        about |= {"rules": sorted(costly)} if costly else {}
        return strategy.fastest(names, timer_of, about, files.cache_folder() / "choices")

    def keep(self, run: Run, history: History, best: Any) -> None:
        """Puts a finished run into the store, with its best variables if there are any."""
        fingerprint = self.fingerprints[run]
        if best is not None:
            weights.write(self.folder / "weights" / fingerprint, best, trained_with(self, run))
        self.store.write(fingerprint, history)
        self.trained[fingerprint] = history
