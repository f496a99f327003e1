"""What a study would take on many workers: a simulation of the driver's shares, run by run."""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxopt_study.cluster.shares import Capacity, room


class Costs(NamedTuple):
    """Seconds of a worker and of the driver.

    Attributes:
        start: from the beginning until a worker trains, compilation included.
        epoch: of one run that trains alone on a device; runs that take turns take it each.
        batched: what one more run in a batched program adds, as a part of ``epoch``; not used where runs take turns.
        answer: of the driver for a reply: reading it, writing the run, handing out the next.
        poll: between two replies of a worker that has only epochs to tell.
    """

    start: float
    epoch: float
    batched: float
    answer: float
    poll: float


class Outcome(NamedTuple):
    """What came of a simulated study.

    Attributes:
        workers: that took part.
        makespan: seconds until the last run is stored.
        idle_share: of the time of the workers' devices; the start is not counted.
        driver_load: share of the time in which the driver is busy; near 1 it holds the workers up.
    """

    workers: int
    makespan: float
    idle_share: float
    driver_load: float


def simulate(epochs: Sequence[int], workers: int, capacity: Capacity, costs: Costs) -> Outcome:
    """Hands runs out as the driver does and trains them at the given speed.

    A worker's runs share its devices: with ``n`` runs in its hands, each goes on at the speed that ``n`` allow. All are
    of one group.

    Args:
        epochs: that each run trains until it stops, in the order in which they are handed out.
        workers: how many.
        capacity: of a worker.
        costs: in seconds.
    """
    state = _State(epochs, capacity, costs)
    for worker in range(workers):
        heapq.heappush(state.events, (costs.start, worker, 0))
        state.held.append([])
        state.seen.append(costs.start)
        state.version.append(0)
    busy = 0.0
    free = 0.0  # when the driver has time again
    end = costs.start
    while state.events:
        now, worker, version = heapq.heappop(state.events)
        if version != state.version[worker]:
            continue
        busy += state.advance(worker, now)
        free = max(free, now) + costs.answer
        done = state.finish(worker)
        end = max(end, free) if done else end
        busy += state.advance(worker, free)  # what is left of its runs goes on while the driver is busy
        state.give(worker, workers, free)
    polls = workers * (end - costs.start) / max(costs.poll, 1e-9)
    load = costs.answer * (len(epochs) + polls) / max(end, 1e-9)
    capacity_seconds = workers * capacity.devices * max(end - costs.start, 1e-9)
    return Outcome(workers, end, max(0.0, 1.0 - busy / capacity_seconds), min(1.0, load))


class _State:
    """Who has how much left of which runs."""

    def __init__(self, epochs: Sequence[int], capacity: Capacity, costs: Costs) -> None:
        self.pending = list(reversed(epochs))
        self.capacity, self.costs = capacity, costs
        self.left = len(epochs)
        self.held: list[list[float]] = []
        self.seen: list[float] = []
        self.version: list[int] = []
        self.events: list[tuple[float, int, int]] = []

    def pace(self, runs: int) -> float:
        """Seconds of an epoch of each of so many runs together."""
        each = -(-runs // self.capacity.devices)
        if self.capacity.in_turn:
            return self.costs.epoch * each
        return self.costs.epoch * (1 + self.costs.batched * (each - 1))

    def advance(self, worker: int, now: float) -> float:
        """Trains until now; device seconds that were used."""
        held, passed = self.held[worker], now - self.seen[worker]
        self.seen[worker] = now
        if not held:
            return 0.0
        trained = passed / self.pace(len(held))
        self.held[worker] = [left - trained for left in held]
        return passed * min(len(held), self.capacity.devices)

    # A run's end is read off when the worker is heard of: until then its time counts as trained, a moment at most.
    def finish(self, worker: int) -> int:
        """Takes the runs that have come to their end off a worker; how many."""
        before = len(self.held[worker])
        self.held[worker] = [left for left in self.held[worker] if left > 1e-6]
        self.left -= before - len(self.held[worker])
        return before - len(self.held[worker])

    def give(self, worker: int, workers: int, now: float) -> None:
        """Hands out what the driver would now, and plans when the worker is heard of next."""
        held = self.held[worker]
        for _ in range(max(0, room(self.capacity, self.left, workers) - len(held)) if self.left else 0):
            if self.pending:
                held.append(float(self.pending.pop()))
        self.version[worker] += 1
        if held:
            at = now + max(0.0, min(held)) * self.pace(len(held))
            heapq.heappush(self.events, (at, worker, self.version[worker]))


def stopping_epochs(observed: Sequence[int], count: int, seed: int = 0) -> list[int]:
    """Draws the epochs of so many runs from those observed, with replacement."""
    drawn = np.random.default_rng(seed).choice(np.asarray(observed), size=count)
    return [int(each) for each in drawn]
