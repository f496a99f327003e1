"""Which run sits in which slot: runs that end leave their slot to the next, stragglers close ranks.

The runs that are expected to train longest go first, so that none is left over when the others are done.

Slots lie on the devices in order, as many on each; one holds a run or None.
The host is one epoch behind: it reads the report of an epoch while the next one runs. A run whose end it has not read
yet is known to have ended on the device, so nothing is trained past it.
"""

import contextlib
import dataclasses
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_study.engine import memory
from jaxopt_study.engine.halving import Halving, came
from jaxopt_study.engine.lengths import Lengths
from jaxopt_study.engine.placement import closed_ranks, free_slot
from jaxopt_study.engine.sweep import Sweep
from jaxopt_study.engine.watcher import Interrupted, OutOfTime, Watcher
from jaxopt_study.grids.run import Run, Signature, of_study
from jaxopt_study.history import History
from jaxopt_study.settings import Settings
from jaxopt_study.storage.checkpoint import Checkpoints
from jaxopt_study.storage.parked import Parked
from jaxopt_study.training.early_stopping import RUNNING, STATUS_NAMES, Limits, Stopping
from jaxopt_study.training.epoch import EpochReport
from jaxopt_study.training.rules import Hyperparameters

PyTree = Any


@dataclasses.dataclass
class Work:
    """What was done: runs that ended, epochs of runs, epochs that the devices had room for, seconds of the loop without
    compilation."""

    runs: int = 0
    epochs_trained: int = 0
    epochs_computed: int = 0
    seconds: float = 0.0


class Flight(NamedTuple):
    """An epoch under way, and the runs that sat in the slots when it was launched."""

    report: EpochReport
    slots: list[Run | None]


class Scheduler:
    """Trains runs of one group in a number of slots.

    Those that the checkpoints hold go on from there, then come the others as ``lengths`` orders them, which learns of
    those that end. ``totals`` count the runs of each rule in the whole grid, to be trained still or not;
    of those that are not, ``ended`` are compared with these at rungs. What is under way is saved every
    ``checkpoint_minutes``. ``keep(run, history, best)`` puts a finished run away; ``best`` is its best variables or
    None. ``start`` gives what a run begins with that does not begin with its seed.
    """

    def __init__(
        self,
        sweep: Sweep,
        runs: Sequence[Run],
        *,
        slots: int,
        totals: Mapping[Signature, int],
        lengths: Lengths,
        settings: Settings,
        checkpoints: Checkpoints,
        checkpoint_minutes: float,
        keep: Callable[[Run, History, PyTree], None],
        watcher: Watcher,
        start: Callable[[Run], Parked] | None = None,
        ended: Mapping[Run, History] | None = None,
    ) -> None:
        self.sweep, self.totals, self.settings, self.keep, self.watcher = sweep, totals, settings, keep, watcher
        self.lengths, self.template, self.start = lengths, runs[0], start
        self.checkpoints, self.checkpoint_seconds = checkpoints, 60 * checkpoint_minutes
        self.in_turn = sweep.program.strategy.in_turn  # only running slots cost anything
        self.closed, self.work, self.tick_seconds = True, Work(), 0.0
        self.left, self.ended = list(runs), dict(ended or {})
        self._resume(slots)

    def _resume(self, slots: int) -> None:
        """Begins, in so many slots, with what the newest checkpoint holds of the runs that are left."""
        saved = self.checkpoints.load(self.left, self.sweep.own_shapes())
        self.parked = {run: saved[run] for run in self.left if run in saved}
        trained = {run: len(parked.rows) for run, parked in self.parked.items()}
        self.halving = Halving(self.settings.max_epochs, self.settings.halving, self.totals)
        self.waiting = self.halving.resume(trained)
        self.pending = deque(run for run in self.left if run not in self.waiting)
        self.rows: dict[Run, list[np.ndarray]] = {}
        self.flight: Flight | None = None
        self.saved = time.monotonic()
        self._empty(slots)
        if trained:
            self.watcher.resumed(trained)
            at = self.sweep.curves.index("val_loss")
            for parked in self.parked.values():
                self.watcher.known(parked.rows[:, at])
            self._promote()

    def _empty(self, slots: int) -> None:
        self.most = slots
        self.slots: list[Run | None] = [None] * self.sweep.padded(slots)
        self.states = self.sweep.idle(len(self.slots))

    @property
    def active(self) -> int:
        """Slots with a run."""
        return sum(run is not None for run in self.slots)

    def train(self) -> None:
        """Trains all runs to their end; where memory runs out, goes on from the last checkpoint in half the slots.

        EnvironmentFault: not even one run a device fits, or a checkpoint cannot be used. Interrupted: the watcher
        asked; OutOfTime: so it did, and an epoch at least was trained.
        """
        with self._timed():
            while self._more() or self.pending or self.active or self.waiting:
                try:
                    stop = self.watcher.stop()
                    if stop is OutOfTime and self.flight is None and not self.work.epochs_trained:
                        stop = None  # or a study whose compilation takes all of its time would never get anywhere
                    due = stop or time.monotonic() - self.saved > self.checkpoint_seconds
                    if due or self._ends_for_certain() or not (self.pending or self.active):
                        self._read()
                    if due:
                        self._save(stop)
                    if self.pending or self.active:
                        self._fill_slots()
                        numbers, limits = self.sweep.put((self._hyperparameters(), self._limits()))
                        epoch = self.sweep.compiled("epoch", len(self.slots))
                        self.states, report = epoch(self.states, numbers, limits, self.sweep.batches)
                        launched = Flight(report, list(self.slots))
                        self._read()
                        self.flight = launched
                    elif self.waiting:
                        self._promote()
                except jax.errors.JaxRuntimeError as error:
                    if not memory.ran_out(error):
                        raise
                    self._resume(memory.fewer(self.most, error))
            self._read()

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        """Counts the seconds within, but those of compilation."""
        begin, compiled = time.perf_counter(), self.sweep.compile_seconds
        try:
            yield
        finally:
            self.work.seconds = time.perf_counter() - begin - (self.sweep.compile_seconds - compiled)

    def _more(self) -> bool:
        """Takes in what the watcher adds; whether there was anything."""
        added = self.watcher.more()
        self.closed = added is None
        self.left.extend(added or ())
        self.pending.extend(added or ())
        return bool(added)

    def _save(self, stop: type[Interrupted] | None) -> None:
        """Saves what is under way, when no epoch is, and raises what the watcher asked for."""
        if snapshot := self.snapshot():
            self.checkpoints.save(snapshot)
        self.saved = time.monotonic()
        if stop:
            self.checkpoints.wait()
            raise stop

    def snapshot(self) -> dict[Run, Parked]:
        """What is under way, copied to the host: the runs in slots, then those that wait half-trained."""
        states = jax.tree.map(lambda x: np.array(x, copy=True), jax.device_get(self.states))
        in_slots = {}
        for slot, run in enumerate(self.slots):
            if run is not None:
                rows = np.array(self.rows[run], np.float32).reshape(-1, len(self.sweep.curves))
                state = jax.tree.map(lambda x, s=slot: x[s], states)
                in_slots[run] = Parked(rows, self.sweep.own_state(run, state))
        return in_slots | self.parked

    def _ends_for_certain(self) -> bool:
        """Whether a run reaches its last epoch in the one under way, so that it pays to wait for its slot."""
        if self.flight is None:
            return False
        slots, until = zip(self.slots, self.flight.slots, strict=True), self.halving.until
        return any(run and run == before and len(self.rows[run]) + 1 >= until(run) for run, before in slots)

    def _read(self) -> None:
        """Takes in the report of the epoch under way, if there is one."""
        if self.flight is None:
            return
        flight, self.flight = self.flight, None
        begin = time.perf_counter()
        report = jax.device_get(flight.report)
        self.tick_seconds = time.perf_counter() - begin
        self._count(report.trained)
        for slot in np.flatnonzero(report.trained):
            run = flight.slots[slot]
            assert run is not None
            self.rows[run].append(report.metrics[slot])
            metrics = dict(zip(self.sweep.curves, report.metrics[slot].tolist(), strict=True))
            self.watcher.epoch(run, len(self.rows[run]), metrics)
            if report.status[slot] != RUNNING:
                self._leave(run, STATUS_NAMES[int(report.status[slot])])
        self.watcher.tick(self)

    def _count(self, trained: np.ndarray) -> None:
        by_device = trained.reshape(len(self.sweep.devices), -1)
        busiest = by_device.sum(1).max() if self.in_turn else by_device.shape[1]
        self.work.epochs_trained += int(trained.sum())
        self.work.epochs_computed += int(busiest) * len(by_device)

    def _leave(self, run: Run, status: str) -> None:
        """Frees a run's slot: it has ended, or waits for the others at a rung."""
        slot = self.slots.index(run)
        self.slots[slot] = None
        rows = np.stack(self.rows.pop(run))
        if status == "finished" and not self.halving.at_last(run):
            # The epoch that ends at a rung is read before the next one is launched: this is the state after it.
            state = jax.tree.map(lambda x: np.asarray(x[slot]), self.states)
            self.parked[run] = Parked(rows, self.sweep.own_state(run, state._replace(status=np.int32(RUNNING))))
            self.waiting.append(run)
        else:
            stopping, best = jax.tree.map(lambda x: np.asarray(x[slot]), (self.states.stopping, self.states.best))
            self._end(run, rows, status, stopping, best)

    def _end(self, run: Run, rows: np.ndarray, status: str, stopping: Stopping, best: PyTree) -> None:
        of_run = run.optimizer, dict(run.hyperparameters), run.seed, status, rows, self.sweep.curves, run.data_seed
        history = History.from_rows(*of_run)
        self.keep(run, history, best if best and stopping.best_epoch else None)  # else they are the first weights
        self.ended[run] = history
        self.lengths.add(run, history)
        self.left.remove(run)
        self.work.runs += 1
        self.watcher.end(run, history)

    def _promote(self) -> None:
        """At a rung, when all runs of a rule have come to it: the best go on, the others end as ``halved``."""
        monitor, sign = self.sweep.program.monitor, -1 if self.sweep.program.maximize else 1
        at = self.sweep.curves.index(monitor)
        costs = {run: sign * came(history, monitor) for run, history in self.ended.items()}
        costs |= {run: sign * parked.rows[:, at] for run, parked in self.parked.items()}
        end, go_on = self.halving.climb(self.waiting, self.left, costs)
        for run in end:
            parked = self.parked.pop(run)
            self._end(run, parked.rows, "halved", parked.state.stopping, parked.state.best)
        self.pending.extend(go_on)
        self.waiting = [run for run in self.waiting if run in self.parked and run not in go_on]
        self._empty(self.most)

    def _fill_slots(self) -> None:
        """Gives free slots to waiting runs, the longest first, on the emptiest device; when none wait, closes ranks."""
        fresh, resumed, room = np.zeros(len(self.slots), bool), {}, min(self.most, len(self.slots))
        if self.active < room:
            ordered = self.lengths.longest_first(self.pending)
            self.pending = deque(sorted(ordered, key=lambda run: run not in self.parked))
        while self.pending and self.active < room:
            run, slot = self.pending.popleft(), free_slot(self.slots, len(self.sweep.devices))
            self.slots[slot] = run
            parked = self.parked.pop(run, None) or (self.start(run) if self.start else None)
            self.rows[run] = [] if parked is None else list(parked.rows)
            if parked is None:
                fresh[slot] = True
            else:
                resumed[slot] = self.sweep.slot_state(run, parked.state)
        if fresh.any():
            seeds = np.array([run.seed if run else 0 for run in self.slots], np.uint32)
            self.states = self.sweep.fill(self.states, *self.sweep.put((self._hyperparameters(), seeds, fresh)))
        if resumed:
            self.states = self.sweep.insert(self.states, resumed)
        if not self.pending and self.active:
            self._close_ranks()

    def _close_ranks(self) -> None:
        """Evens out the devices, and drops slots where an empty one costs as much as a full one."""
        size = len(self.slots)
        if not self.in_turn and self.closed:
            size = min(size, self.sweep.padded(1 << (self.active - 1).bit_length()))
        moved = closed_ranks(self.slots, len(self.sweep.devices), size)
        if moved is not None:
            self.states = self.sweep.move(self.states, moved)
            self.slots = [self.slots[slot] if slot >= 0 else None for slot in moved]

    def _limits(self) -> Limits:
        """Of the runs in the slots, on the host."""
        runs = [run or self.template for run in self.slots]
        epochs: Any = np.array([self.halving.until(run) for run in runs], np.int32)
        patience: Any = np.array([of_study(run, "patience") or self.settings.patience for run in runs], np.int32)
        return Limits(epochs, patience)

    def _hyperparameters(self) -> Hyperparameters:
        return self.sweep.stacked([run or self.template for run in self.slots])
