"""Moderated variances: what all configurations of a study say of how far seeds lie apart.

The variance of two or three seeds is hardly known, so that Student's interval is wide. The configurations of a study
are many, and their variances resemble each other. With variances that are scaled inverse chi-squared over the
configurations, d0 s0^2 / sigma^2 ~ chi^2(d0), the best guess of one is ``(d0 s0^2 + d s^2) / (d0 + d)`` with d0 + d
degrees of freedom, d = seeds - 1: G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential
expression in microarray experiments", 2004, section 4 and 6.2, for genes.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_study.history import order_of

MIN_CONFIGURATIONS = 10
"""Fewest configurations from which a prior is fitted; docs/statistics.md has the coverage."""
MOST_DOF = 1e6
"""Degrees of freedom that stand for infinitely many: the variances of all configurations are one."""
FLOOR = 1.0
"""Smallest share of the prior's variance that a configuration's counts as."""
_DRAWS = 2000
"""Most other configurations' contrasts that a prior is fitted to."""
_LEAST_SHARE = 1e-5
"""Of the median: no variance counts as smaller, since its logarithm is taken (as limma does it)."""


class Prior(NamedTuple):
    """How the variances of a measure are spread over the configurations of a study.

    Attributes:
        variance: s0^2, the typical variance of one seed, in squared units of the measure.
        dof: d0, how many degrees of freedom the typical variance is worth: the more alike, the more.
        configurations: of how many it was fitted.
    """

    variance: float
    dof: float
    configurations: int


def fit_prior(variances: ArrayLike, dof: float, configurations: int) -> Prior | None:
    """The prior of variances ``[V]``, each of ``dof`` degrees of freedom, by the moments of their logarithms.

    Returns:
        None of fewer than :data:`MIN_CONFIGURATIONS` configurations, or where most have no variance at all.
    """
    from scipy import special  # slow to import; no epoch waits for it

    sample = np.asarray(variances, np.float64)
    median = float(np.median(sample)) if len(sample) else 0.0
    if configurations < MIN_CONFIGURATIONS or dof < 1 or median <= 0:
        return None
    logs = np.log(np.maximum(sample, _LEAST_SHARE * median)) - special.digamma(dof / 2) + math.log(dof / 2)
    excess = float(np.var(logs, ddof=1)) - float(special.polygamma(1, dof / 2))
    if excess <= 0:
        return Prior(math.exp(float(np.mean(logs))), MOST_DOF, configurations)
    prior_dof = min(2 * inverse_trigamma(excess), MOST_DOF)
    shift = float(special.digamma(prior_dof / 2)) - math.log(prior_dof / 2)
    return Prior(math.exp(float(np.mean(logs)) + shift), prior_dof, configurations)


def inverse_trigamma(value: float) -> float:
    """The positive ``x`` whose trigamma function is ``value`` > 0, by Newton's method on 1 / trigamma (Smyth 2004)."""
    from scipy import special

    if value > 1e7:
        return 1 / math.sqrt(value)
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x


def moderate(variance: float, dof: float, prior: Prior | None) -> tuple[float, float]:
    """A variance drawn towards the prior, and its degrees of freedom; as it is without a prior.

    It is not below :data:`FLOOR` of the prior's: where errors are skewed a few seeds that lie close together lie
    together on one side. Nor are its degrees of freedom more than all configurations have together (as in limma).
    """
    if prior is None:
        return variance, dof
    total = prior.dof + dof
    drawn = max((prior.dof * prior.variance + dof * variance) / total, FLOOR * prior.variance)
    return drawn, min(total, prior.configurations * dof)


def prior_of(
    measured: Sequence[Mapping[int, float]], seeds: Sequence[int], weights: Sequence[float] = (1.0,), step: float = 0.0
) -> Prior | None:
    """The prior of a contrast of configurations - a mean, a difference - from the same contrast of all others.

    Args:
        measured: a measure of each configuration by seed. Those without a finite value for one of the seeds are left
            out, and so should those be that the caller knows to be of another kind: diverged, or stuck at guessing.
        seeds: those of the contrast; of several orders of the data there is no prior.
        weights: of its configurations: ``(1,)`` of a mean, ``(1, -1)`` of a difference.
        step: of a measure on a grid, whose variance is at least that of rounding, ``step^2 / 12``.
    """
    if len(set(map(order_of, seeds))) > 1:
        return None  # what an order does to all configurations alike makes their variances one
    rows = [[of.get(seed, math.nan) for seed in seeds] for of in measured]
    values = np.asarray(rows, np.float64).reshape(len(rows), len(seeds))
    values = values[np.isfinite(values).all(axis=1)]
    if len(seeds) < 2 or len(values) < max(MIN_CONFIGURATIONS, len(weights)):
        return None
    contrasts = np.tensordot(np.asarray(weights, np.float64), values[_chosen(len(values), len(weights))], (0, 1))
    rounding = step**2 / 12 * float(np.square(weights).sum())
    return fit_prior(np.maximum(contrasts.var(axis=1, ddof=1), rounding), len(seeds) - 1, len(values))


def _chosen(count: int, size: int) -> np.ndarray:
    """Choices ``[N, size]`` of so many of ``count`` configurations: all of them, or as many drawn as are enough."""
    if math.comb(count, size) <= _DRAWS:
        return np.array(list(itertools.combinations(range(count), size)))
    rng = np.random.default_rng(0)
    return np.argsort(rng.random((_DRAWS, count)), axis=1)[:, :size]
