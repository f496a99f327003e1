"""Successive halving: at rungs of epochs the runs are compared, and only the best go on.

Jamieson and Talwalkar 2016, arXiv 1502.07943.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from jaxopt_study.grids.run import Run, Signature, of_study, signature
from jaxopt_study.history import History

Costs = Mapping[Run, np.ndarray]
"""What each run is judged by after each of its epochs, to be small: float32 ``[E]``."""


class Halving:
    """Up to which epoch runs train: that of the next rung of their rule, of ``totals`` runs; without a ``factor`` the
    last, ``max_epochs`` or what a run says of itself.

    A run is compared with all of its rule that came to the rung, by what all were up to it: with those, too, that are
    farther or have ended. So it goes on or not whenever it is trained, as when it is trained again alone.
    """

    def __init__(self, max_epochs: int, factor: int | None, totals: Mapping[Signature, int]) -> None:
        self.factor, self.totals = factor or 1, totals
        self.rungs = {rule: rungs(max_epochs, factor, total) for rule, total in totals.items()}
        self.passed: dict[Run, int] = {}

    def until(self, run: Run) -> int:
        """The epoch up to which a run trains now."""
        return of_study(run, "max_epochs") or self.rungs[signature(run)][self.passed.get(run, 0)]

    def at_last(self, run: Run) -> bool:
        """Whether a run is compared with none any more."""
        return self.passed.get(run, 0) == len(self.rungs[signature(run)]) - 1

    def resume(self, epochs: Mapping[Run, int]) -> list[Run]:
        """Finds, after a resume, the rungs of runs of so many epochs; those that wait at one already."""
        for run, done in epochs.items():
            self.passed[run] = sum(rung < done for rung in self.rungs[signature(run)][:-1])
        return [run for run, done in epochs.items() if not self.at_last(run) and done == self.until(run)]

    def climb(self, waiting: Sequence[Run], left: Iterable[Run], costs: Costs) -> tuple[list[Run], list[Run]]:
        """Of the runs that wait those that end here and those that go on; none where others are to come to the rung.

        Args:
            waiting: at their rungs.
            left: all that have not ended, these too.
            costs: of all that are begun or :func:`came`, by which they are compared.
        """
        end: list[Run] = []
        go_on: list[Run] = []
        lowest: dict[Signature, int] = {}
        for run in waiting:
            lowest[signature(run)] = min(self.until(run), lowest.get(signature(run), self.until(run)))
        missing = {signature(run) for run in left if len(costs.get(run, ())) < lowest.get(signature(run), 0)}
        for rule, rung in lowest.items():
            if rule in missing:
                continue
            kept = self._best(rule, rung, costs)
            for run in (run for run in waiting if signature(run) == rule and self.until(run) == rung):
                (go_on if run in kept else end).append(run)
        for run in go_on:
            self.passed[run] = self.passed.get(run, 0) + 1
        return end, go_on

    def _best(self, rule: Signature, rung: int, costs: Costs) -> set[Run]:
        """Of the runs that came to a rung those that go on: of equals the first."""
        lowest = {
            run: float(np.fmin.reduce(cost[:rung], initial=np.inf))
            for run, cost in costs.items()
            if signature(run) == rule and len(cost) >= rung
        }
        share = self.factor ** (self.rungs[rule].index(rung) + 1)
        return set(sorted(lowest, key=lambda run: (lowest[run], run))[: max(1, self.totals[rule] // share)])


def came(history: History, curve: str) -> np.ndarray:
    """The curve of a run that has ended, up to the last rung that it can have come to: one that ended by itself in the
    epoch of a rung is not compared there."""
    whole = history.curves.get(curve, np.zeros(0, np.float32))
    return whole if history.status == "halved" else whole[:-1]


def rungs(max_epochs: int, factor: int | None, total: int) -> list[int]:
    """Epochs after which runs are compared, each ``factor`` times the one before: as many as leave one run."""
    epochs = [max_epochs]
    while factor and total >= factor ** len(epochs) and epochs[0] >= factor:
        epochs.insert(0, epochs[0] // factor)
    return epochs
