"""Where an optimizer's best learning rate lies, and how that compares with another's."""

import contextlib
import itertools
import math

from experiments.article.find import best, common_seeds, family, unsettled
from experiments.article.part import NotApplicable, Part, Undecided
from jaxopt_study.analysis.best import best_cell
from jaxopt_study.analysis.minima import lowest
from jaxopt_study.analysis.runs import Cell, Runs

HALF_STEP = 10**0.25
"""A best rate is known to half a step of the half-decade grid; bounds on ratios of rates are set between its values."""


def rates(runs: Runs, optimizer: str) -> list[Cell]:
    """The best configuration at each learning rate of a rule, by ascending rate.

    Raises:
        Undecided: fewer than three rates.
    """
    family(runs, optimizer)
    cells = []
    for rate in runs.axis(optimizer, "learning_rate"):
        with contextlib.suppress(Undecided):  # a rate of plain SGD only, seen as momentum 0
            cells.append(best(runs, optimizer, learning_rate=rate))
    if len(cells) < 3:
        raise NotApplicable(f"grid does not cover it: {len(cells)} learning rates of {optimizer}, 3 are needed")
    return cells


def ratio_of_best_rates(runs: Runs, optimizer: str, low: float, high: float) -> Part:
    """That the best rate of a rule over that of SGD lies between two bounds, each seed with its own best rates.

    A best rate is one of the grid's, so that the ratio is known to a step of it.
    """
    ours, plain = rates(runs, optimizer), rates(runs, "sgd")
    values = [_best_rate(runs, ours, seed) / _best_rate(runs, plain, seed) for seed in common_seeds([*ours, *plain])]
    moving = unsettled([best_cell(ours), best_cell(plain)])
    at_least, at_most = _edges(runs, ours, plain)
    bounded = high < math.inf
    no_support = moving or at_most or (at_least if bounded else "")
    no_contradiction = moving or at_least or (at_most if bounded else "")
    meaning = f"best learning rate of {optimizer} over that of sgd"
    step, cells = max(map(_step, (ours, plain))), [*ours, *plain]
    return Part(meaning, values, low, high, True, no_support, no_contradiction, step=step, cells=cells)


def _step(cells: list[Cell]) -> float:
    """Logarithm of the ratio of neighbouring rates, the largest."""
    logs = [math.log(config.hyperparameters["learning_rate"]) for config in cells]
    return max(above - below for below, above in itertools.pairwise(logs))


def _best_rate(runs: Runs, cells: list[Cell], seed: int) -> float:
    return min(cells, key=lambda cell: lowest(runs, cell.by_seed[seed])).hyperparameters["learning_rate"]


def _edges(runs: Runs, ours: list[Cell], plain: list[Cell]) -> tuple[str, str]:
    """Why the true ratio may be larger than the grids can show, and why it may be smaller; empty if it may not."""
    mine, its = best_cell(ours), best_cell(plain)
    said = {
        config.label: f"grid does not cover it: {config.label} is best at the edge of its grid"
        for config in (mine, its)
    }
    larger = said[mine.label] if mine is ours[-1] else said[its.label] if its is plain[0] else ""
    smaller = said[mine.label] if mine is ours[0] else said[its.label] if its is plain[-1] else ""
    return larger, smaller


def effective_rate(rate: float, momentum: float) -> float:
    """What ``rate`` grows to under a constant gradient, to six digits so that equal ones compare equal."""
    return float(f"{rate / (1 - momentum):.6g}")
