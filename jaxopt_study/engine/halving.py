"""Successive halving: at rungs of epochs the runs are compared, and only the best go on.

Jamieson and Talwalkar 2016, arXiv 1502.07943.
"""

from collections.abc import Mapping
from typing import TypeVar

from jaxopt_study.grids.run import Run, Signature, of_study, signature

Number = TypeVar("Number", int, float)


class Halving:
    """Up to which epoch runs train: that of the next rung of their rule, of ``totals`` runs; without a ``factor`` the
    last, ``max_epochs`` or what a run says of itself."""

    def __init__(self, max_epochs: int, factor: int | None, totals: Mapping[Signature, int]) -> None:
        self.rungs = {rule: Rungs(max_epochs, factor, total) for rule, total in totals.items()}

    def until(self, run: Run) -> int:
        """The epoch up to which a run trains now."""
        return of_study(run, "max_epochs") or self.rungs[signature(run)].next

    def at_last(self, run: Run) -> bool:
        """Whether a run is compared with none any more."""
        return self.rungs[signature(run)].at_last

    def resume(self, epochs: Mapping[Run, int]) -> list[Run]:
        """As of the :class:`Rungs` of each rule, of runs of any."""
        rules = self.rungs.items()
        return [run for rule, rungs in rules for run in rungs.resume(_of_rule(rule, epochs))]

    def climb(self, losses: Mapping[Run, float]) -> list[Run]:
        """Likewise."""
        found = [(rungs, _of_rule(rule, losses)) for rule, rungs in self.rungs.items()]
        return [run for rungs, of_rule in found if of_rule for run in rungs.climb(of_rule)]


def _of_rule(rule: Signature, numbers: Mapping[Run, Number]) -> dict[Run, Number]:
    return {run: number for run, number in numbers.items() if signature(run) == rule}


class Rungs:
    """The epochs at which the ``total`` runs are compared, the last of which ends all.

    The best 1 / ``factor`` go on at every rung; None compares nothing, so that there is the last only.
    """

    def __init__(self, max_epochs: int, factor: int | None, total: int) -> None:
        self.factor, self.total = factor or 1, total
        self.left = rungs(max_epochs, factor, total)
        self.count = len(self.left)

    @property
    def next(self) -> int:
        """The epoch up to which runs train now."""
        return self.left[0]

    @property
    def at_last(self) -> bool:
        """Whether nothing is compared any more."""
        return len(self.left) == 1

    def resume(self, epochs: Mapping[Run, int]) -> list[Run]:
        """Finds, after a resume, the rung that runs of so many epochs are at; those that wait there already."""
        while not self.at_last and max(epochs.values(), default=0) > self.next:
            self.left.pop(0)
        return [] if self.at_last else [run for run, done in epochs.items() if done == self.next]

    def climb(self, losses: Mapping[Run, float]) -> list[Run]:
        """Goes on to the next rung, and gives the runs, of all that wait with these lowest losses, that end here."""
        self.left.pop(0)
        kept = max(1, self.total // self.factor ** (self.count - len(self.left)))
        return sorted(losses, key=lambda run: (losses[run], run))[kept:]


def rungs(max_epochs: int, factor: int | None, total: int) -> list[int]:
    """Epochs after which runs are compared, each ``factor`` times the one before: as many as leave one run."""
    epochs = [max_epochs]
    while factor and total >= factor ** len(epochs) and epochs[0] >= factor:
        epochs.insert(0, epochs[0] // factor)
    return epochs
