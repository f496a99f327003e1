"""How much each hyperparameter of a rule matters over the grid that was trained: a share of the losses' variance each.

The functional analysis of variance of F. Hutter, H. Hoos, K. Leyton-Brown, "An efficient approach for assessing
hyperparameter importance", 2014 - variance of the mean over all else, of a hyperparameter and of what several do beyond
each - of the grid's values themselves, which needs no model of the losses between them. What the seeds' noise adds to a
variance is taken off, as in the analysis of variance of a layout with fixed effects.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxopt_study.analysis.components import effect
from jaxopt_study.analysis.guessing import worst_counted
from jaxopt_study.analysis.minima import lowest_loss
from jaxopt_study.analysis.runs import Cell, Runs, as_trained

SEED = "seed"


class Importance(NamedTuple):
    """What one source does to the smallest validation losses of a rule over a full grid of its hyperparameters.

    Attributes:
        optimizer: the rule.
        source: a hyperparameter, several that do something together beyond each by itself (``a with b``), or ``seed``.
        share: of the variance of the losses; shares of a grid add up to 1.
        sd: of the losses by it, in the loss's unit.
        levels: how many values, or combinations of values, or seeds it had.
        held: the hyperparameters that the grid does not vary while the rule's other runs do.
    """

    optimizer: str
    source: str
    share: float
    sd: float
    levels: int
    held: Mapping[str, float]


def importance(runs: Runs) -> list[Importance]:
    """The sources of each rule that has a full grid, the largest share first; a run counts as guessing at most.

    A run that diverged or failed counts as guessing (as the worst of its grid where that is not known), so that a value
    that cannot be trained with matters. Plain SGD is momentum 0 of a rule's grid where it fits in. Where no full grid
    holds all of a rule's runs there are several, of as many hyperparameters as can be varied while the others are held
    at what most runs have. A grid of one hyperparameter needs several seeds, else there is nothing to share with.
    """
    found: list[Importance] = []
    for rule in runs.optimizers:
        with_plain, alone = (list(_grids(cells)) for cells in (runs.cells(rule), runs.family(rule)))
        larger = max(with_plain, alone, key=lambda grids: max((len(cells) for _, cells in grids), default=0))
        for held, cells in larger:
            found += _of_grid(runs, held, cells)
    return found


def _grids(cells: Sequence[Cell]) -> Iterator[tuple[dict[str, float], list[Cell]]]:
    """The full grids among configurations, each with what it holds fixed."""
    names = _varied(cells)
    taken: list[set[str]] = []
    for count in range(len(names), 0, -1):
        for varied in itertools.combinations(names, count):
            if any(set(varied) <= of for of in taken):
                continue
            others = [name for name in names if name not in varied]
            most = Counter(_at(cell, others) for cell in cells).most_common(1)
            kept = [cell for cell in cells if _at(cell, others) == most[0][0]]
            if _varied(kept) == list(varied) and len(kept) == math.prod(len(_values(kept, name)) for name in varied):
                taken.append(set(varied))
                yield dict(zip(others, most[0][0], strict=True)), kept


def _varied(cells: Sequence[Cell]) -> list[str]:
    """The hyperparameters that all configurations have and that take several values."""
    names = [
        name for name in (cells[0].hyperparameters if cells else ()) if all(name in c.hyperparameters for c in cells)
    ]
    return [name for name in names if len(_values(cells, name)) > 1]


def _values(cells: Sequence[Cell], name: str) -> list[float]:
    return sorted({as_trained(cell.hyperparameters[name]) for cell in cells})


def _at(cell: Cell, names: Sequence[str]) -> tuple[float, ...]:
    return tuple(as_trained(cell.hyperparameters[name]) for name in names)


def _of_grid(runs: Runs, held: Mapping[str, float], cells: Sequence[Cell]) -> list[Importance]:
    names = _varied(cells)
    seeds = sorted(set.intersection(*(set(cell.by_seed) for cell in cells)))
    if not seeds or (len(names) == 1 and len(seeds) == 1):
        return []
    by_place = {_at(cell, names): cell for cell in cells}
    places = itertools.product(*(_values(cells, name) for name in names))
    lowest = np.array([[lowest_loss(by_place[place].by_seed[seed]) for seed in seeds] for place in places])
    worst = worst_counted(runs.chance, lowest.ravel().tolist())
    losses = np.minimum(np.where(np.isfinite(lowest), lowest, worst), worst)
    sizes = [len(_values(cells, name)) for name in names]
    found = effects(np.reshape(losses, (*sizes, len(seeds))))
    total = sum(found.values())
    if not total > 0:
        return []
    rule = cells[0].optimizer
    told = []
    for axes, variance in found.items():
        source = " with ".join(names[axis] for axis in axes) or SEED
        levels = math.prod(sizes[axis] for axis in axes) if axes else len(seeds)
        told.append(Importance(rule, source, variance / total, math.sqrt(variance), levels, held))
    return sorted(told, key=lambda one: -one.share)


def effects(values: np.ndarray) -> dict[tuple[int, ...], float]:
    """Variances over a full grid ``[.., S]`` of so many values of each hyperparameter and seeds, by their axes.

    ``()`` is what a seed changes, of one configuration; it is not there with one seed. Estimates of the others have no
    bias but that those below 0 are 0.
    """
    *sizes, seeds = values.shape
    means = values.mean(-1)
    noise = float(values.var(-1, ddof=1).mean()) if seeds > 1 else 0.0
    found = {}
    for count in range(1, len(sizes) + 1):
        for axes in itertools.combinations(range(len(sizes)), count):
            free = math.prod(sizes[axis] - 1 for axis in axes)
            squares = float(np.square(effect(means, axes)).mean())
            found[axes] = max(0.0, squares - free / means.size * noise / seeds)
    return found | ({(): noise} if seeds > 1 else {})
