"""Which configuration is the best: this alone decides it, for tables, figures, claims, the terminal and saved weights.

The best has the smallest mean over its seeds of the run's smallest loss. A run that diverged or failed has no loss that
counts: its configuration is the best only where none is whose runs all ended otherwise. Neither is one of fewer seeds
than half of those compared have, as in a study that was interrupted, while there are others.
"""

import functools
import math
import statistics
from collections.abc import Sequence

import numpy as np

from jaxopt_study.analysis.minima import Minima, lowest, lowest_loss, seed_minima
from jaxopt_study.analysis.runs import Cell, Runs
from jaxopt_study.history import History


def ranked(candidates: Sequence[Minima]) -> list[int]:
    """Places of the configurations from the best on, equals in the order given; those without a loss last."""
    usual = statistics.median_low([one.runs for one in candidates if one.runs] or [0])

    def rank(place: int) -> tuple[bool, bool, float]:
        one = candidates[place]
        return not one.is_whole, one.runs < usual, one.value if one.seeds else math.inf

    return sorted(range(len(candidates)), key=rank)


def best_places(candidates: Sequence[Minima]) -> list[int]:
    """Places of the best configuration and of its equals; none where each has a run without a loss that counts."""
    order = ranked(candidates)
    if not order or not candidates[order[0]].is_whole:
        return []
    best = candidates[order[0]]
    return sorted(place for place in order if candidates[place].is_whole and candidates[place].value == best.value)


def best_first(configurations: Sequence[Sequence[History]]) -> list[Sequence[History]]:
    """Configurations, each the runs of its seeds, from the best on."""
    return [configurations[place] for place in ranked([seed_minima(runs) for runs in configurations])]


def best_cell(cells: Sequence[Cell], curve: str = "val_loss") -> Cell:
    """The best of some configurations, of which there must be one; the first of equals."""
    return cells[ranked([seed_minima(cell.histories, curve) for cell in cells])[0]]


def best_run(histories: Sequence[History]) -> int:
    """Place of the run with the smallest validation loss, whatever its configuration; the first of equals."""
    values = [lowest_loss(history) for history in histories]
    return min(range(len(values)), key=lambda place: math.inf if math.isnan(values[place]) else values[place])


def mean_lowest(runs: Runs, cell: Cell, curve: str = "val_loss") -> float:
    """Mean of :func:`jaxopt_study.analysis.minima.lowest` over the seeds of a configuration."""
    return float(np.mean([lowest(runs, history, curve) for history in cell.histories]))


@functools.lru_cache(maxsize=8)
def halfway(runs: Runs, curve: str = "val_loss") -> float:
    """The loss half-way from guessing to the best configuration of the study: below it a run counts as converged.

    Returns:
        NaN where no configuration gets a tenth below guessing, so that nothing can be said to have converged.
    """
    cells = [cell for optimizer in runs.optimizers for cell in runs.cells(optimizer)]
    best = mean_lowest(runs, best_cell(cells, curve), curve) if cells else math.nan
    return (runs.chance + best) / 2 if best <= 0.9 * runs.chance else math.nan


def progress(runs: Runs, history: History) -> float:
    """Share of the way from guessing (0) to the best of the study (1) that a run covers; 0 if it diverged.

    A run has converged where this is at least one half. NaN where :func:`halfway` is.
    """
    if history.status == "diverged":
        return 0.0
    return (runs.chance - lowest(runs, history)) / (2 * (runs.chance - halfway(runs)))
