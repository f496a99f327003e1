"""The ranking of the best few configurations of a study, as questions that more seeds may decide."""

import itertools
import math
from collections.abc import Mapping, Sequence

from jaxopt_study.analysis.best import ranked
from jaxopt_study.analysis.intervals import paired_differences, seed_mean
from jaxopt_study.analysis.looking import Question, allowed
from jaxopt_study.analysis.minima import lowest_loss, seed_minima
from jaxopt_study.analysis.moderated import prior_of
from jaxopt_study.analysis.runs import Runs, configuration_of
from jaxopt_study.history import History

FEW = 3
"""Configurations whose places are asked for."""


def ranking(histories: Sequence[History], most_seeds: int) -> list[Question]:
    """What is open of: each of the best few is better than the next, and the last of them better than all others.

    Configurations are compared by the logarithms of their smallest validation losses, seed by seed, with moderated
    variances. Each p-value is multiplied by their number (Bonferroni), so that all of the ranking holds at once. A
    configuration of which a run diverged or failed is not among the best, and nothing is asked of it. A comparison is
    open while its p-value is above what looking after every seed, of at most ``most_seeds``, allows.
    """
    runs = Runs(histories)
    cells = [cell for rule in runs.optimizers for cell in runs.cells(rule) if cell.optimizer == rule]
    minima = [seed_minima(cell.histories) for cell in cells]
    order = [cells[place] for place in ranked(minima) if minima[place].is_whole and minima[place].low > 0]
    pairs = [*itertools.pairwise(order[: FEW + 1]), *((order[FEW - 1], cell) for cell in order[FEW + 1 :])]
    logs = [cell.measured(lambda run: math.log(lowest_loss(run))) for cell in order]
    known = {id(cell): values for cell, values in zip(order, logs, strict=True)}
    p_values = [_compared(known[id(second)], known[id(first)], logs) for first, second in pairs]
    return [
        Question([configuration_of(cell.optimizer, cell.hyperparameters) for cell in pair], min(1.0, p * len(pairs)))
        for pair, (p, seeds) in zip(pairs, p_values, strict=True)
        if not p * len(pairs) <= allowed(seeds, most_seeds)
    ]


def _compared(
    second: Mapping[int, float], first: Mapping[int, float], logs: Sequence[Mapping[int, float]]
) -> tuple[float, int]:
    """The two-sided p-value of a difference, NaN of one seed, and the number of seeds that it is of."""
    differences = paired_differences(second, first)
    seeds = len(differences)
    prior = prior_of(logs, list(differences), (1.0, -1.0)) if seeds > 1 else None
    mean = seed_mean(differences, prior)
    if mean is None:
        return (math.nan if seeds < 2 else 1.0), seeds  # equal ones are no difference
    return 2 * min(mean.p_above(0.0), mean.p_below(0.0)), seeds
