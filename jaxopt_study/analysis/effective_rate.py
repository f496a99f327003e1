"""Whether the loss of momentum depends on its effective rate, rate / (1 - momentum), or on the rate itself."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from jaxopt_study.analysis.intervals import Estimate, paired_differences, seed_estimate
from jaxopt_study.analysis.minima import lowest
from jaxopt_study.analysis.runs import Cell, Runs

PLAIN, AVERAGED = "momentum", "momentum_ema"


class Point(NamedTuple):
    """A configuration of momentum.

    Attributes:
        optimizer: the formulation; momentum 0 is plain SGD and counts as ``momentum``.
        rate: the learning rate.
        momentum: in [0, 1).
        effective: what the rate grows to under a constant gradient, to six digits so that equal ones compare equal.
        losses: the smallest validation loss by seed, at most that of guessing.
        diverged: how many seeds diverged.
    """

    optimizer: str
    rate: float
    momentum: float
    effective: float
    losses: Mapping[int, float]
    diverged: int


class Difference(NamedTuple):
    """The loss of a momentum less that of a smaller one at the same effective rate, paired by seed."""

    momentum: float
    against: float
    effective: float
    estimate: Estimate


def effective_rate(optimizer: str, rate: float, momentum: float) -> float:
    """``rate / (1 - momentum)``; for the average form, whose velocity never exceeds the gradient, ``rate``."""
    return _rounded(rate if optimizer == AVERAGED else rate / (1 - momentum))


def points(runs: Runs) -> list[Point]:
    """The configurations of both formulations that have no other numbers, those with momentum 0 once."""
    cells = runs.cells(PLAIN) + runs.family(AVERAGED)
    return [_point(runs, cell) for cell in cells if cell.hyperparameters.keys() == {"learning_rate", "momentum"}]


def _point(runs: Runs, cell: Cell) -> Point:
    rate, momentum = (cell.hyperparameters[name] for name in ("learning_rate", "momentum"))
    losses = {seed: lowest(runs, history) for seed, history in cell.by_seed.items()}
    lost = sum(history.status == "diverged" for history in cell.by_seed.values())
    effective = effective_rate(cell.optimizer, rate, momentum)
    return Point(cell.optimizer, _rounded(rate), _rounded(momentum), effective, losses, lost)


def explained(values: ArrayLike, groups: Iterable[float]) -> float:
    """Share of the variance of ``[N]`` values that lies between groups, corrected for the number of groups.

    This is Kelley's epsilon squared: the plain share would reward whichever grouping has more groups. About 0 for
    groups that say nothing (it may come out below), 1 for groups within which the values are equal, NaN without any
    variance or with a group for every value.
    """
    value = np.asarray(values, np.float64)
    _, of = np.unique(np.asarray(list(groups)), return_inverse=True)
    total = float(((value - value.mean()) ** 2).sum())
    free = len(value) - (of.max() + 1)
    if total == 0 or free < 1:
        return float("nan")
    means = np.bincount(of, value) / np.bincount(of)
    within = float(((value - means[of]) ** 2).sum())
    return float(1 - (within / free) / (total / (len(value) - 1)))


def explained_by(found: Sequence[Point], by: Callable[[Point], float], *, ranks: bool = False) -> Estimate:
    """Share of the variance of the losses, or of their ranks, that ``by`` explains: of each seed by itself, then mean.

    Args:
        found: configurations; seeds that one of them lacks are left out.
        by: effective or plain rate of a point.
        ranks: whether to take the ranks of the losses, to which a few large ones are no more than others.
    """
    return seed_estimate([_explained(row, [by(point) for point in found], ranks) for row in _by_seed(found)])


def _explained(losses: np.ndarray, groups: Sequence[float], ranks: bool) -> float:
    return explained(rankdata(losses) if ranks else losses, groups)


def preference(found: Sequence[Point]) -> Estimate:
    """How much better the effective rate foretells what another momentum does than the plain rate: from 0 to 1.

    For each configuration and each smaller momentum at which there is a run with the same rate and one with the same
    effective rate, the loss is compared with both. The number is the sum of the squared differences at the same rate
    over the sum of all: 1 if losses depend on the effective rate alone, 0 if on the plain rate alone, a half if either
    foretells as well. Both sides have the same pairs of momenta, which :func:`explained_by` cannot see to.
    NaN where there is no such configuration.
    """
    plain = [point for point in found if point.optimizer == PLAIN]
    at_rate = {(point.rate, point.momentum): i for i, point in enumerate(plain)}
    at_effective = {(point.effective, point.momentum): i for i, point in enumerate(plain)}
    rows = [
        (i, at_rate[point.rate, other], at_effective[point.effective, other])
        for i, point in enumerate(plain)
        for other in sorted({each.momentum for each in plain if each.momentum < point.momentum})
        if (point.rate, other) in at_rate and (point.effective, other) in at_effective
    ]
    if not rows:
        return seed_estimate([])
    own, same_rate, same_effective = np.array(rows).T
    return seed_estimate([_share(row[own] - row[same_rate], row[own] - row[same_effective]) for row in _by_seed(plain)])


def _share(at_rate: np.ndarray, at_effective: np.ndarray) -> float:
    squares = float((at_rate**2).sum()), float((at_effective**2).sum())
    return squares[0] / sum(squares) if sum(squares) > 0 else float("nan")


def differences(found: Sequence[Point]) -> list[Difference]:
    """Each momentum above 0 against the smallest other one that has its effective rate, by momentum and rate.

    The smallest is 0, plain SGD, wherever the grid has it.
    """
    plain = sorted((p for p in found if p.optimizer == PLAIN), key=lambda p: (p.momentum, p.effective))
    told = []
    for point in plain:
        base = next(other for other in plain if other.effective == point.effective)
        if base.momentum < point.momentum:
            paired = paired_differences(point.losses, base.losses)
            estimate = seed_estimate(list(paired.values()))
            told.append(Difference(point.momentum, base.momentum, point.effective, estimate))
    return told


def formulations_apart(found: Sequence[Point]) -> Estimate:
    """Mean absolute difference between the two formulations at the same effective rate and momentum, by seed.

    They compute the same weights there up to rounding, which training amplifies. NaN if there are no such two.
    """
    plain = {(p.effective, p.momentum): p for p in found if p.optimizer == PLAIN}
    twins = [(p, plain[p.effective, p.momentum]) for p in found if p.optimizer == AVERAGED
             and (p.effective, p.momentum) in plain]  # fmt: skip
    if not twins:
        return seed_estimate([])
    averaged, other = (np.array(_by_seed([pair[side] for pair in twins])) for side in (0, 1))
    return seed_estimate(np.abs(averaged - other).mean(axis=1))


def _by_seed(found: Sequence[Point]) -> list[np.ndarray]:
    """The losses ``[N]`` of the points, an array a seed that all of them have."""
    seeds = set[int].intersection(*(set(point.losses) for point in found)) if found else set[int]()
    return [np.array([point.losses[seed] for point in found]) for seed in sorted(seeds)]


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
