"""The ranking of the best few configurations of a study, as questions that more seeds may decide."""

import itertools
import math
from collections.abc import Mapping, Sequence

from jaxopt_study.analysis.best import ranked
from jaxopt_study.analysis.intervals import paired_differences, seed_mean
from jaxopt_study.analysis.looking import Question, allowed
from jaxopt_study.analysis.minima import COST, Monitor, lowest_loss, seed_minima
from jaxopt_study.analysis.moderated import prior_of
from jaxopt_study.analysis.runs import Runs, configuration_of
from jaxopt_study.history import History

FEW = 3
"""Configurations whose places are asked for."""


def ranking(histories: Sequence[History], most_seeds: int, monitor: Monitor | None = None) -> list[Question]:
    """What is open of: each of the best few is better than the next, and the last of them better than all others.

    Configurations are compared by the logarithms of their smallest validation losses, seed by seed, with moderated
    variances; by the values themselves where something else is monitored, or a loss of one's own is not above 0. Each
    p-value is multiplied by their number (Bonferroni), so that all of the ranking holds at once. A
    configuration of which a run diverged or failed is not among the best, and nothing is asked of it. A comparison is
    open while its p-value is above what looking after every seed, of at most ``most_seeds``, allows.
    """
    curve = "val_loss" if monitor is None else COST
    runs = Runs(histories if monitor is None else map(monitor.added, histories))
    cells = runs.configurations
    minima = [seed_minima(cell.histories, curve) for cell in cells]
    order = [cells[place] for place in ranked(minima) if minima[place].is_whole]
    relative = monitor is None and all(one.low > 0 for one in minima if one.is_whole)
    pairs = [*itertools.pairwise(order[: FEW + 1]), *((order[FEW - 1], cell) for cell in order[FEW + 1 :])]

    def measure(run: History) -> float:
        value = lowest_loss(run, curve)
        return math.log(value) if relative else value

    measured = [cell.measured(measure) for cell in order]
    known = {id(cell): values for cell, values in zip(order, measured, strict=True)}
    p_values = [_compared(known[id(second)], known[id(first)], measured) for first, second in pairs]
    return [
        Question([configuration_of(cell.optimizer, cell.hyperparameters) for cell in pair], min(1.0, p * len(pairs)))
        for pair, (p, seeds) in zip(pairs, p_values, strict=True)
        if not p * len(pairs) <= allowed(seeds, most_seeds)
    ]


def _compared(
    second: Mapping[int, float], first: Mapping[int, float], every: Sequence[Mapping[int, float]]
) -> tuple[float, int]:
    """The two-sided p-value of a difference, NaN of one seed, and the number of seeds that it is of."""
    differences = paired_differences(second, first)
    seeds = len(differences)
    prior = prior_of(every, list(differences), (1.0, -1.0)) if seeds > 1 else None
    mean = seed_mean(differences, prior)
    if mean is None:
        return (math.nan if seeds < 2 else 1.0), seeds  # equal ones tell no spread
    return 2 * min(mean.p_above(0.0), mean.p_below(0.0)), seeds
