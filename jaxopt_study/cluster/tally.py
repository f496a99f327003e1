"""How the work of a cluster went: one part of stats.json for all workers together."""

import dataclasses
import time

from jaxopt_study.cluster.messages import Account
from jaxopt_study.cluster.shares import Capacity

NOTHING = Capacity(0, 0, True)


@dataclasses.dataclass
class Tally:
    """What the workers of one driver did.

    Attributes:
        began: when the driver did, by the clock that does not go back.
        first: when the first worker was ready.
        workers: the most at one time.
        capacity: of a worker.
        accounts: the last one of each worker.
        repeated: epochs that were trained again after a worker was lost.
        lost: workers that died.
    """

    began: float = dataclasses.field(default_factory=time.monotonic)
    first: float | None = None
    workers: int = 0
    capacity: Capacity = NOTHING
    accounts: dict[int, Account] = dataclasses.field(default_factory=dict)
    repeated: int = 0
    lost: int = 0

    def joined(self, capacity: Capacity, workers: int) -> None:
        """A worker is ready, and so many are there now."""
        self.first = time.monotonic() if self.first is None else self.first
        self.capacity, self.workers = capacity, max(self.workers, workers)

    def part(self, runs: int, examples: int) -> dict[str, float]:
        """The entry for stats.json: times by the clock on the wall, sums over the workers.

        Args:
            runs: that came to their end.
            examples: of the training part.
        """
        now, accounts = time.monotonic(), list(self.accounts.values())
        compiling = max((account.compile_seconds for account in accounts), default=0.0)
        trained = sum(account.epochs_trained for account in accounts)
        ready = sum(account.ready_seconds for account in accounts)
        idle = sum(account.idle_seconds for account in accounts)
        return {
            "seconds": now - self.began,
            "compile_seconds": compiling,
            "training_seconds": max(now - (self.first or now) - compiling, 1e-9),
            "examples": trained * examples,
            "epochs_trained": trained,
            "epochs_computed": sum(account.epochs_computed for account in accounts),
            "runs": runs,
            "slots": self.capacity.slots * self.workers,
            "devices": self.capacity.devices * self.workers,
            "peak_memory_bytes": max((account.memory_bytes for account in accounts), default=0) * self.workers,
            "workers": self.workers,
            "workers_lost": self.lost,
            "epochs_repeated": self.repeated,
            "idle_share": idle / max(ready, 1e-9),
        }
