"""Where the differences between runs come from: rule, configuration, order of the data, seed; a share of variance each.

Bouthillier et al., "Accounting for variance in machine learning benchmarks", 2021, for the question; the estimators are
those of the analysis of variance of a balanced crossed layout with random effects (S. R. Searle, G. Casella, C. E.
McCulloch, "Variance components", 1992, chapter 4), unbiased, which may come out below 0 where there is nothing.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxopt_study.analysis.guessing import is_worse
from jaxopt_study.analysis.minima import lowest_loss
from jaxopt_study.analysis.runs import Cell, Runs
from jaxopt_study.history import History

CONFIGURATION, ORDER, SEED = range(3)
"""The axes of the layout."""


class Component(NamedTuple):
    """One source of variance of a run's smallest validation loss.

    Attributes:
        source: what varies.
        variance: its estimate, in squared units of the loss; below 0 where the estimator is.
        sd: its root, 0 where it has none.
        share: of the sum of all sources; those below 0 count as 0.
        levels: how many different ones there were.
    """

    source: str
    variance: float
    sd: float
    share: float
    levels: int


def components(runs: Runs, orders: str = "order of the data") -> list[Component]:
    """The sources of variance of the smallest validation loss over a study's configurations, orders and seeds.

    Of configurations that learn in every run and have the seeds and orders that most have; empty of fewer than two, or
    of one seed and order. ``orders`` says what a data seed is of.
    """
    cells, values = layout(runs)
    if len(cells) < 2 or values[0].size < 2:
        return []
    shape, of_sets = values.shape, crossed(values)
    # What the mean of a configuration is uncertain by, beside what it shares with all others.
    noise = sum(
        variance / math.prod(shape[axis] for axis in axes if axis != CONFIGURATION)
        for axes, variance in of_sets.items()
        if CONFIGURATION in axes and len(axes) > 1
    )
    means = values.mean(axis=(ORDER, SEED))
    by_rule = [
        np.array([mean for mean, cell in zip(means, cells, strict=True) if cell.optimizer == rule])
        for rule in dict.fromkeys(cell.optimizer for cell in cells)
    ]
    between, within = nested(by_rule, noise)
    found = [("rule", between, len(by_rule)), ("configuration of a rule", within, len(cells))]
    names = {ORDER: orders, SEED: "seed of weights and dropout"}
    for axes, variance in of_sets.items():
        varied = [axis for axis in axes if axis in names]
        if varied:
            alike = "by configuration" if CONFIGURATION in axes else "the same for all configurations"
            source = f"{' with '.join(names[axis] for axis in varied)}, {alike}"
            found.append((source, variance, math.prod(shape[axis] for axis in varied)))
    known = [one for one in found if not math.isnan(one[1])]
    total = sum(max(variance, 0.0) for _, variance, _ in known) or math.nan
    return [
        Component(source, variance, math.sqrt(max(variance, 0.0)), max(variance, 0.0) / total, levels)
        for source, variance, levels in known
    ]


def crossed(values: np.ndarray) -> dict[tuple[int, ...], float]:
    """Variance components of a balanced crossed layout without replication, ``[C, D, S]`` or of any other rank.

    The expected mean square of some factors is the sum, over all sets of factors that hold them, of the sets' variances
    times the sizes of the axes outside of the set; so each variance is a signed sum of mean squares.

    Returns:
        By the axes that vary together; axes of one level are in none.
    """
    axes = [axis for axis, size in enumerate(values.shape) if size > 1]
    sets = [factors for count in range(1, len(axes) + 1) for factors in itertools.combinations(axes, count)]
    squares = {factors: _mean_square(values, factors) for factors in sets}
    found = {}
    for factors in sets:
        outside = math.prod(values.shape[axis] for axis in axes if axis not in factors)
        above = [other for other in sets if set(factors) <= set(other)]
        found[factors] = sum((-1) ** (len(other) - len(factors)) * squares[other] for other in above) / outside
    return found


def effect(values: np.ndarray, factors: tuple[int, ...]) -> np.ndarray:
    """What these axes do together beyond each set of fewer, all others averaged: margins of alternating signs."""
    margins = [
        (-1) ** (len(factors) - len(kept)) * values.mean(axis=_without(values.ndim, kept), keepdims=True)
        for kept in _subsets(factors)
    ]
    return np.asarray(sum(margins))


def _mean_square(values: np.ndarray, factors: tuple[int, ...]) -> float:
    sizes = [values.shape[axis] for axis in factors]
    return float(
        np.square(effect(values, factors)).sum()
        * (values.size / math.prod(sizes))
        / math.prod(size - 1 for size in sizes)
    )


def _subsets(factors: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(factors, n) for n in range(len(factors) + 1))


def _without(rank: int, kept: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis for axis in range(rank) if axis not in kept)


def nested(groups: Sequence[np.ndarray], noise: float = 0.0) -> tuple[float, float]:
    """Variances between groups of different sizes, and between the values of a group, each known to an error.

    Args:
        groups: values ``[n_g]`` of each group.
        noise: variance of the error of a value, which is taken off.

    Returns:
        Between groups and within; NaN where nothing tells of it.
    """
    sizes = np.array([len(group) for group in groups], np.float64)
    total, count = float(sizes.sum()), len(groups)
    inside = math.nan
    if total > count:
        inside = float(sum(np.square(group - group.mean()).sum() for group in groups) / (total - count))
    if count < 2 or math.isnan(inside):
        return math.nan, inside - noise
    means = np.array([group.mean() for group in groups])
    between = float((sizes * np.square(means - (sizes * means).sum() / total)).sum() / (count - 1))
    usual = (total - np.square(sizes).sum() / total) / (count - 1)
    return (between - inside) / float(usual), inside - noise


def layout(runs: Runs) -> tuple[list[Cell], np.ndarray]:
    """Configurations that learn in every run, and their smallest validation losses ``[C, D, S]`` by order and seed."""
    learning = [cell for cell in runs.configurations if not any(_fails(run, runs.chance) for run in cell.histories)]
    usual = Counter(frozenset(cell.by_seed) for cell in learning).most_common(1)
    if not usual:
        return [], np.empty((0, 0, 0))
    kept = [cell for cell in learning if usual[0][0] <= cell.by_seed.keys()]
    histories = [kept[0].by_seed[seed] for seed in sorted(usual[0][0])]  # by order, then by seed
    orders = len({run.data_seed for run in histories})
    if orders * len({run.seed for run in histories}) != len(histories):  # not every seed with every order
        return [], np.empty((0, 0, 0))
    losses = [[lowest_loss(cell.by_seed[run.replicate]) for run in histories] for cell in kept]
    return kept, np.array(losses).reshape(len(kept), orders, -1)


def _fails(run: History, chance: float) -> bool:
    return run.status in ("diverged", "halved") or is_worse(run, chance)
