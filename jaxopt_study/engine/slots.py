"""Which run sits in which slot: runs that end leave their slot to the next, stragglers close ranks.

Slots lie on the devices in order, as many on each; one holds a run or None.
The host is one epoch behind: it reads the report of an epoch while the next one runs. A run whose end it has not read
yet is known to have ended on the device, so nothing is trained past it.
"""

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_study.engine.halving import Rungs
from jaxopt_study.engine.sweep import Sweep
from jaxopt_study.grids.run import Run, stack
from jaxopt_study.history import CURVES, History
from jaxopt_study.storage.checkpoint import Parked, Snapshot
from jaxopt_study.training.early_stopping import RUNNING, STATUS_NAMES, Limits
from jaxopt_study.training.epoch import EpochReport

PyTree = Any


@dataclasses.dataclass
class Work:
    """What was done: epochs of runs, epochs that the devices had room for, seconds of the loop without compilation."""

    epochs_trained: int = 0
    epochs_computed: int = 0
    seconds: float = 0.0


class Events(NamedTuple):
    """What the caller wants to hear of.

    Attributes:
        epoch: ``(run, number of the epoch, {curve: value})`` after every epoch of every run.
        end: ``(run, history, best)``, once a run; ``best`` is its best variables or None.
        tick: ``(scheduler)``, whenever a report has been read.
        snapshot_due: asked before every epoch; if it says so, the device is let finish and
        snapshot: gets what is under way; may raise to interrupt.
        more: asked before every epoch for runs to add to those that wait, with their states if they were begun before;
            None when none will come any more.
    """

    epoch: Callable[[Run, int, Mapping[str, float]], None]
    end: Callable[[Run, History, PyTree], None]
    tick: Callable[["Scheduler"], None]
    snapshot_due: Callable[[], bool]
    snapshot: Callable[[Snapshot], None]
    more: Callable[[], Mapping[Run, Parked | None] | None] = lambda: None


class _Flight(NamedTuple):
    """An epoch under way, and the runs that sat in the slots when it was launched."""

    report: EpochReport
    slots: list[Run | None]


class Scheduler:
    """Trains runs of one rule in a number of slots.

    Args:
        sweep: the compiled engine.
        runs: those to train, in this order.
        slots: how many at once.
        max_epochs: of every run.
        patience: of every run, in epochs.
        total: runs of the whole grid, those that are not to be trained any more too.
        halving: if given, only the best 1 / halving of the runs go on at every rung of epochs (see halving).
        in_turn: whether a device trains its slots in turn, so that only running ones cost anything.
        events: see Events.
        parked: runs among ``runs`` that were begun before.
    """

    def __init__(
        self,
        sweep: Sweep,
        runs: Sequence[Run],
        *,
        slots: int,
        max_epochs: int,
        patience: int,
        total: int,
        halving: int | None = None,
        in_turn: bool,
        events: Events,
        parked: Mapping[Run, Parked],
    ) -> None:
        self.sweep = sweep
        self.events = events
        self.in_turn = in_turn
        self.patience = patience
        self.rungs = Rungs(max_epochs, halving, total)
        self.parked = dict(parked)
        self.waiting = self.rungs.resume({run: len(state.rows) for run, state in parked.items()})
        self.pending = deque([run for run in runs if run in parked] + [run for run in runs if run not in parked])
        self.pending = deque(run for run in self.pending if run not in self.waiting)
        self.rows: dict[Run, list[np.ndarray]] = {}
        self.most = slots
        self.closed = True
        self.slots: list[Run | None] = [None] * sweep.padded(self.most)
        self.template = runs[0]
        self.states = sweep.idle(len(self.slots))
        self.work = Work()
        self.tick_seconds = 0.0

    @property
    def active(self) -> int:
        """Slots with a run."""
        return sum(run is not None for run in self.slots)

    def train(self) -> Work:
        """Trains all runs to their end."""
        begin, compiled = time.perf_counter(), self.sweep.compile_seconds
        flight: _Flight | None = None
        while self._more() or self.pending or self.active or self.waiting:
            due = self.events.snapshot_due()
            if flight is not None and (due or self._ends_for_certain(flight)):
                self._read(flight)
                flight = None
            if due:
                self.events.snapshot(self.snapshot())
            if not (self.pending or self.active):
                self._promote()
                continue
            self._fill_slots()
            bounds: list[Any] = [np.full(len(self.slots), x, np.int32) for x in (self.rungs.next, self.patience)]
            numbers, limits = self.sweep.put((self._hyperparameters(), Limits(*bounds)))
            self.states, report = self.sweep.epoch(self.states, numbers, limits)
            launched = _Flight(report, list(self.slots))
            if flight is not None:
                self._read(flight)
            flight = launched
        if flight is not None:
            self._read(flight)
        self.work.seconds = time.perf_counter() - begin - (self.sweep.compile_seconds - compiled)
        return self.work

    def _more(self) -> bool:
        """Takes in what the caller adds; whether there was anything."""
        added = self.events.more()
        self.closed = added is None
        self.pending.extend(added or ())
        self.parked.update({run: parked for run, parked in (added or {}).items() if parked is not None})
        return bool(added)

    def snapshot(self) -> Snapshot:
        """What is under way, copied to the host; for use when no epoch is under way."""
        states = jax.tree.map(lambda x: np.array(x, copy=True), jax.device_get(self.states))
        runs, parked = [], []
        for slot, run in enumerate(self.slots):
            if run is None:
                continue
            epochs = int(states.epoch[slot])
            runs.append(run)
            parked.append(Parked(self._rows_of(run)[:epochs], jax.tree.map(lambda x, s=slot: x[s], states)))
        waiting = list(self.parked.items())
        return Snapshot(runs + [run for run, _ in waiting], parked + [state for _, state in waiting])

    def _ends_for_certain(self, flight: _Flight) -> bool:
        """Whether a run reaches its last epoch in the one under way, so that it pays to wait for its slot."""
        now = [run for run, before in zip(self.slots, flight.slots, strict=True) if run is not None and run == before]
        return any(len(self.rows[run]) + 1 >= self.rungs.next for run in now)

    def _read(self, flight: _Flight) -> None:
        begin = time.perf_counter()
        report = jax.device_get(flight.report)
        self.tick_seconds = time.perf_counter() - begin
        self._count(report.trained)
        for slot in np.flatnonzero(report.trained):
            run = flight.slots[slot]
            assert run is not None
            self.rows[run].append(report.metrics[slot])
            self.events.epoch(run, len(self.rows[run]), dict(zip(CURVES, report.metrics[slot].tolist(), strict=True)))
            if report.status[slot] != RUNNING:
                self._leave(run, STATUS_NAMES[int(report.status[slot])])
        self.events.tick(self)

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
        if status == "finished" and not self.rungs.at_last:
            # The epoch that ends at a rung is read before the next one is launched: this is the state after it.
            state = jax.tree.map(lambda x: np.asarray(x[slot]), self.states)
            self.parked[run] = Parked(rows, state._replace(status=np.int32(RUNNING)))
            self.waiting.append(run)
        else:
            best = jax.tree.map(lambda x: np.asarray(x[slot]), self.states.best) or None
            self.events.end(run, _history(run, rows, status), best)

    def _promote(self) -> None:
        """At a rung, when all runs have come to it: the best go on, the others end as ``halved``."""
        losses = {run: float(self.parked[run].state.stopping.best_loss) for run in self.waiting}
        for run in self.rungs.climb(losses):
            parked = self.parked.pop(run)
            self.events.end(run, _history(run, parked.rows, "halved"), parked.state.best or None)
        self.pending.extend(run for run in self.waiting if run in self.parked)
        self.waiting = []
        self.slots = [None] * self.sweep.padded(self.most)
        self.states = self.sweep.idle(len(self.slots))

    def _fill_slots(self) -> None:
        """Gives free slots to waiting runs, the emptiest device first; when none wait, closes ranks."""
        fresh, resumed = np.zeros(len(self.slots), bool), {}
        while self.pending and self.active < min(self.most, len(self.slots)):
            run, slot = self.pending.popleft(), free_slot(self.slots, len(self.sweep.devices))
            self.slots[slot] = run
            parked = self.parked.pop(run, None)
            self.rows[run] = [] if parked is None else list(parked.rows)
            if parked is None:
                fresh[slot] = True
            else:
                resumed[slot] = parked.state
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

    def _hyperparameters(self) -> dict[str, np.ndarray]:
        return stack([run or self.template for run in self.slots])

    def _rows_of(self, run: Run) -> np.ndarray:
        return np.array(self.rows[run], np.float32).reshape(-1, len(CURVES))


def _history(run: Run, rows: np.ndarray, status: str) -> History:
    return History.from_rows(run.optimizer, dict(run.hyperparameters), run.seed, status, rows)


def free_slot(slots: Sequence[Run | None], devices: int) -> int:
    """The first free slot of a device that has the fewest runs; there must be one."""
    per_device, load = len(slots) // devices, _load(slots, devices)
    free = (slot for slot, run in enumerate(slots) if run is None)
    return min(free, key=lambda slot: (load[slot // per_device], slot))


def closed_ranks(slots: Sequence[Run | None], devices: int, size: int) -> np.ndarray | None:
    """Spreads the runs evenly over the devices in ``size`` slots, which must have room for them.

    Returns:
        For each of those slots the slot whose run it gets, or -1; None if the runs sit evenly already and there are no
        slots to spare.
    """
    load = _load(slots, devices)
    if load.max() - load.min() < 2 and size == len(slots):
        return None
    source = np.full((devices, size // devices), -1)
    for i, slot in enumerate(slot for slot, run in enumerate(slots) if run is not None):
        source[i % devices, i // devices] = slot
    return source.ravel()


def _load(slots: Sequence[Run | None], devices: int) -> np.ndarray:
    """How many runs each device has."""
    load: np.ndarray = np.array([run is not None for run in slots]).reshape(devices, -1).sum(1)
    return load
