"""How long runs are expected to train, so that the longest begin first and none is left over when the others are done.

List scheduling by longest processing time first: Graham 1969, https://doi.org/10.1137/0117039.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from jaxopt_study.grids.run import Run
from jaxopt_study.history import History

_OTHER_RULE = 1 << 30
"""How far a configuration of another rule is: farther than any of the same."""


class Lengths:
    """Epochs that runs are expected to take, in the light of those that have ended.

    A run is expected to take as long as the nearest that have ended: other seeds of its configuration, else of its
    rule's configurations those that are the fewest steps of the grid away, else all of the study. One that ended with
    its budget would have gone on, and one that stopped before would have stopped there in any budget: so what either
    tells is cut to the budget of the run that is asked for. Before any has ended it is the budget.

    Args:
        runs: of the study.
        budget: the most epochs of a run.
    """

    def __init__(self, runs: Sequence[Run], budget: Callable[[Run], int]) -> None:
        configurations = list(dict.fromkeys(_configuration(run) for run in runs))
        self.places = {configuration: place for place, configuration in enumerate(configurations)}
        self.budgets = np.array([budget(configuration) for configuration in configurations])
        self.rules = np.array([configuration.optimizer for configuration in configurations])
        self.points = _grid_points(configurations)
        self.nearest = np.full(len(configurations), 2 * _OTHER_RULE)
        self.totals, self.counts = np.zeros(len(configurations)), np.zeros(len(configurations), int)

    def add(self, run: Run, history: History) -> None:
        """Takes in a run that has ended."""
        place = self.places[_configuration(run)]
        distance = np.abs(self.points - self.points[place]).sum(1)
        distance = np.where(self.rules == self.rules[place], distance, _OTHER_RULE)
        nearer, level = distance < self.nearest, distance <= self.nearest
        self.nearest = np.minimum(self.nearest, distance)
        length = self.budgets if history.status == "finished" else np.minimum(history.epochs, self.budgets)
        self.totals = np.where(nearer, 0, self.totals) + np.where(level, length, 0)
        self.counts = np.where(nearer, 0, self.counts) + level

    def longest_first(self, runs: Iterable[Run]) -> list[Run]:
        """The runs, those that are expected to take the most epochs first; those of one length as they were."""
        expected = np.where(self.counts, self.totals / np.maximum(self.counts, 1), self.budgets)
        return sorted(runs, key=lambda run: -expected[self.places[_configuration(run)]])


def _configuration(run: Run) -> Run:
    return run._replace(seed=0, data_seed=None)


def _grid_points(runs: Sequence[Run]) -> np.ndarray:
    """Where runs lie in the grid, int [runs, numbers]: the place of each of their numbers among its values, from 1; 0
    for one that a run does not have. A budget is no place: it is known how it cuts a run."""
    numbers = [dict(run.hyperparameters) for run in runs]
    names = [name for name in dict.fromkeys(name for given in numbers for name in given) if name != "max_epochs"]
    columns = [np.unique([given.get(name, -np.inf) for given in numbers], return_inverse=True)[1] for name in names]
    return np.array(columns, int).reshape(len(names), len(runs)).T
