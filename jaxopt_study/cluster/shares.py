"""Which runs go to which worker: shares that fill its slots, smaller ones towards the end, and what a loss costs."""

from collections import Counter, deque
from collections.abc import Sequence
from typing import NamedTuple

from jaxopt_study.grids.run import Group, Run, Signature, group, signature

ATTEMPTS = 3
"""A run with which a worker fails so many times, no other run in its hands, is given up."""


REPLIES_A_SECOND = 100.0
"""What the driver lets workers that have only epochs to tell take of its time, all together."""


class Capacity(NamedTuple):
    """What a worker can hold.

    Attributes:
        slots: runs that it trains at once, at most.
        devices: of its own; with fewer runs than these some of them idle.
        in_turn: whether a device trains its runs one after another, so that empty slots cost nothing.
    """

    slots: int
    devices: int
    in_turn: bool


def room(capacity: Capacity, left: int, workers: int) -> int:
    """Runs that a worker should have in its hands when ``left`` runs of the study are not finished.

    Where runs train in one batched program, a fair share up to the slots. Where they take turns, half of that, since
    few runs at a time are as fast as many: the other half waits with the driver for whoever is done first.
    """
    fair = -(-left // (workers * (2 if capacity.in_turn else 1)))
    even = -(-fair // capacity.devices) * capacity.devices  # or a device has more to do than its neighbour
    return min(capacity.slots, even)


def seconds_between(workers: int) -> float:
    """After how long a worker with nothing but epochs to tell tells them."""
    return max(1.0, workers / REPLIES_A_SECOND)


class Shares:
    """The runs of a study that are not finished, and who has them. Workers are known by numbers.

    A worker has runs of one group (see grid.Group) at a time, since a group is a program to compile. When a worker is
    lost that had several runs, they go on in two halves, each by itself in a worker's hands, so that a run that fells
    workers is found.

    Args:
        runs: not finished, in the order in which they are to be trained.
        whole: keep all runs of a rule with one worker, for they are compared with one another (successive halving).
    """

    def __init__(self, runs: Sequence[Run], *, whole: bool = False) -> None:
        self.whole = whole
        self.pending: dict[tuple[Group, Signature | None], deque[Run]] = {}
        for run in runs:
            self.pending.setdefault(self._key(run), deque()).append(run)
        self.suspects: deque[list[Run]] = deque()
        self.in_hand: dict[int, list[Run]] = {}
        self.apart: set[int] = set()
        self.failures: Counter[Run] = Counter()

    def _key(self, run: Run) -> tuple[Group, Signature | None]:
        """What a worker keeps to at a time: a program, or of it a rule whose runs stay together."""
        return group(run), signature(run) if self.whole else None

    @property
    def waiting(self) -> int:
        """Runs in nobody's hands."""
        return sum(map(len, self.pending.values())) + sum(map(len, self.suspects))

    @property
    def left(self) -> int:
        """Runs that are not finished."""
        return self.waiting + sum(map(len, self.in_hand.values()))

    def join(self, worker: int) -> None:
        """A worker is there."""
        self.in_hand[worker] = []

    def give(self, worker: int, capacity: Capacity, workers: int) -> list[Run]:
        """The runs that a worker gets now, on top of those that it has; often none."""
        held = self.in_hand[worker]
        if worker in self.apart:
            if held:
                return []
            self.apart.remove(worker)
        if not held and self.suspects:
            runs = self.suspects.popleft()
            self.apart.add(worker)
        else:
            runs = self._of_one_group(worker, room(capacity, self.left, workers) - len(held))
        held.extend(runs)
        return runs

    def _of_one_group(self, worker: int, most: int) -> list[Run]:
        held = self.in_hand[worker]
        keys = [key for key, runs in self.pending.items() if runs]
        if held:
            keys = [key for key in keys if key == self._key(held[0]) and not self.whole]
        if not keys:
            return []
        at_work = Counter(self._key(runs[0]) for runs in self.in_hand.values() if runs)
        # The group with the most runs for those already at it; of equals the first.
        runs = self.pending[max(keys, key=lambda key: len(self.pending[key]) / (1 + at_work[key]))]
        return [runs.popleft() for _ in range(len(runs) if self.whole else max(0, min(most, len(runs))))]

    def more_to_come(self, worker: int) -> bool:
        """Whether the worker may get more runs while it trains those that it has."""
        held = self.in_hand[worker]
        return bool(held) and worker not in self.apart and bool(self.pending.get(self._key(held[0])))

    def ended(self, worker: int, run: Run) -> None:
        """A run has come to its end in a worker's hands."""
        self.in_hand[worker].remove(run)

    def lost(self, worker: int, *, blame: bool) -> list[Run]:
        """What a worker had goes back; returns its runs that are given up. ``blame``: one of them may be the cause."""
        held = self.in_hand[worker]
        self.in_hand[worker] = []
        self.apart.discard(worker)
        if not held:
            return []
        if not blame:
            self.pending.setdefault(self._key(held[0]), deque()).extendleft(reversed(held))
            return []
        if len(held) > 1 and not self.whole:
            middle = (len(held) + 1) // 2
            self.suspects.extend([held[:middle], held[middle:]])
            return []
        self.failures.update(held)
        if self.failures[held[0]] < ATTEMPTS:
            self.suspects.append(held)
            return []
        return held

    def leave(self, worker: int) -> None:
        """A worker is gone for good, with empty hands."""
        assert not self.in_hand[worker]
        del self.in_hand[worker]
