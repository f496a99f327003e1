"""Successive halving: at rungs of epochs the runs are compared, and only the best go on.

Jamieson and Talwalkar 2016, arXiv 1502.07943.
"""

from collections.abc import Mapping

from jaxopt_study.grids.run import Run


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
