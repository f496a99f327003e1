"""Intervals over seeds: how far another choice of seeds might move a mean.

Whatever an interval is made of comes by :attr:`jaxopt_study.history.History.replicate`, so that none takes the runs of
one order of the data as independent of each other: :func:`independent` makes one value of them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_study.analysis.agreement import Agreement
from jaxopt_study.analysis.halves import Halves, chosen_by_halves
from jaxopt_study.analysis.moderated import Prior, moderate
from jaxopt_study.history import order_of, several_orders

LEVEL = 0.95
MODERATED, STUDENT = "moderated t", "Student's t"
"""The names of the intervals; see docs/statistics.md."""


class Estimate(NamedTuple):
    """A mean over seeds with its interval.

    ``value`` is NaN without a finite value, ``low`` and ``high`` where there is no interval; ``seeds`` counts the
    values; ``note`` says what a reader must know (one seed, seeds left out) or is empty; ``method`` is which interval
    it is, empty without one.
    """

    value: float
    low: float
    high: float
    seeds: int
    note: str = ""
    method: str = ""


class Mean(NamedTuple):
    """A mean over at least two seeds and what is known of its error.

    Attributes:
        value: the mean.
        sd: standard deviation of one seed, moderated where there is a prior.
        dof: its degrees of freedom.
        seeds: how many there are.
        step: of a measure on a grid; 0 of one that is not.
        method: the name of its interval.
        agreement: how the share of seeds that fail is spread over the configurations, where ``step`` is from those
            that do to those that do not; None: nothing is known of it.
        certain: as how many seeds they count where they are equal on a grid; None: as all.
    """

    value: float
    sd: float
    dof: float
    seeds: int
    step: float
    method: str
    agreement: Agreement | None = None
    certain: int | None = None

    def half_width(self, level: float = LEVEL) -> float:
        """Half of the t interval, and on a grid at least what n equal seeds leave open.

        If each of n seeds gives the same grid value though a share p of all seeds gives the next one, that had the
        probability (1 - p)^n; so p is below ``1 - (alpha / 2)^(1 / n)`` and the mean no further than so many steps.
        """
        from scipy import special  # slow to import; no epoch waits for it

        half = float(special.stdtrit(self.dof, (1 + level) / 2)) * self.sd / math.sqrt(self.seeds)
        return max(half, self.step * float(special.betainccinv(*self._unseen(), (1 - level) / 2)))

    def _unseen(self) -> tuple[float, float]:
        """The beta distribution of the share of seeds that are of a value that none of the n has (Clopper-Pearson)."""
        known = self.agreement
        seeds = self.seeds if self.certain is None else self.certain
        return (1.0, seeds) if known is None else (known.learns, known.fails + seeds)

    def p_above(self, bound: float) -> float:
        """One-sided p-value against the true mean being ``bound`` or less; it fits :meth:`half_width`."""
        from scipy import special

        distance = abs(self.value - bound)
        error = self.sd / math.sqrt(self.seeds)
        tail = float(special.stdtr(self.dof, -distance / error)) if error > 0 else 0.5 * (distance == 0)
        if distance < self.step:
            tail = max(tail, min(0.5, float(special.betaincc(*self._unseen(), distance / self.step))))
        return tail if self.value > bound else 1 - tail

    def p_below(self, bound: float) -> float:
        """One-sided p-value against the true mean being ``bound`` or more."""
        return self._replace(value=-self.value).p_above(-bound)


def seed_mean(
    values: Mapping[int, float],
    prior: Prior | None = None,
    step: float = 0.0,
    agreement: Agreement | None = None,
    halves: bool = False,
) -> Mean | None:
    """Mean of finite values by replicate and its error; None where nothing is known of it.

    So it is of one value, and of equal ones that are on no grid and have no prior: they have no spread to judge by. On
    a grid values that lie apart can come out equal: their variance is at least that of rounding, ``step^2 / 12``.
    ``halves``: each half of the seeds has chosen for the other what the values are of.
    """
    return _mean(independent(values), prior, step, agreement, halves)


def _mean(
    sample: np.ndarray,
    prior: Prior | None = None,
    step: float = 0.0,
    agreement: Agreement | None = None,
    halves: bool = False,
) -> Mean | None:
    """:func:`seed_mean` of independent values ``[S]``."""
    if len(sample) < 2 or (no_spread(sample) and prior is None and step <= 0):
        return None
    variance, dof = _variance(sample, prior, halves, step**2 / 12 if agreement is None else 0.0)  # rounding to a grid
    method = STUDENT if prior is None else MODERATED
    return Mean(float(sample.mean()), math.sqrt(variance), dof, len(sample), step, method, agreement)


def _variance(sample: np.ndarray, prior: Prior | None, halves: bool, least: float = 0.0) -> tuple[float, float]:
    """What the variance of a mean ``[S]`` is times S, and its degrees of freedom."""
    grows = chosen_by_halves(len(sample)) if halves else Halves(1.0, 1.0)
    spread = 0.0 if no_spread(sample) else float(sample.var(ddof=1)) / grows.spread
    variance, dof = moderate(max(spread, least), len(sample) - 1, prior)
    return grows.mean * variance, dof


class Sample(NamedTuple):
    """Finite values of seeds that share nothing with those of other samples.

    Attributes:
        values: one a seed, ``[S]``.
        halves: whether each half of the seeds has chosen for the other what they are of.
        prior: of their variance.
    """

    values: np.ndarray
    halves: bool = False
    prior: Prior | None = None


def stratified_mean(samples: Sequence[Sample], step: float = 0.0) -> Mean | None:
    """Mean of the means of samples, such as the seeds of each problem; None as in :func:`seed_mean`.

    Its variance is the sum of those of the samples' means over the square of their number, with the degrees of freedom
    of F. E. Satterthwaite, "An approximate distribution of estimates of variance components", 1946 (Welch's, of two
    samples). ``step`` is of a measure on a grid; what equal values leave open is told as if each sample had as few of
    them as the smallest, which counts for as much as the others.
    """
    if min((len(one.values) for one in samples), default=0) < 2:
        return None
    known = [_variance(one.values, one.prior, one.halves) for one in samples]
    variances, free = (np.array(of) for of in zip(*known, strict=True))
    variances = variances / [len(one.values) for one in samples]
    total, count = float(variances.sum()), sum(len(one.values) for one in samples)
    if total <= 0 and step <= 0:
        return None
    dof = total**2 / float((np.square(variances) / free).sum()) if total > 0 else float(free.sum())
    error = math.sqrt(total) / len(samples)
    centre = float(np.mean([one.values.mean() for one in samples]))
    method = MODERATED if any(one.prior for one in samples) else STUDENT
    least = len(samples) * min(len(one.values) for one in samples)
    return Mean(centre, error * math.sqrt(count), dof, count, step, method, certain=least)


def seed_estimate(
    values: Mapping[int, float],
    *,
    level: float = LEVEL,
    prior: Prior | None = None,
    step: float = 0.0,
    positive: bool = False,
    no_interval: str = "",
    halves: bool = False,
) -> Estimate:
    """Mean of one value a seed with its interval; values that are not finite are left out and said so.

    Args:
        values: by replicate; of several orders of the data the interval is over these, and they are what is counted.
        level: of the interval.
        prior: of the variance, from the other configurations; Student's interval without one. Of ``positive`` values
            it is of their logarithms.
        step: of a measure on a grid: the interval is no narrower than that allows.
        positive: of losses and epochs: the interval is made of relative errors, so that it does not reach below 0.
        no_interval: why none is to be given.
        halves: whether each half of the seeds has chosen for the other what the values are of.
    """
    lost = sum(not math.isfinite(value) for value in values.values())
    finite = independent(values)
    note = f"{lost} of {len(values)} seeds have no finite value" if lost else ""
    if len(finite) == 0:
        return Estimate(math.nan, math.nan, math.nan, 0, note or "no seeds")
    centre = float(finite.mean())
    logs = positive and bool((finite > 0).all())
    known = prior if logs or not positive else None
    mean = _mean(np.log(finite) if logs else finite, known, step, halves=halves)
    if mean is None or no_interval:
        unit = "order" if several_orders(values) else "seed"
        one = f"one {unit}: no interval" if len(finite) == 1 else f"{len(finite)} equal {unit}s: no interval"
        reasons = filter(None, [f"no interval: {no_interval}" if no_interval and len(finite) > 1 else one, note])
        return Estimate(centre, math.nan, math.nan, len(finite), "; ".join(reasons))
    half = mean.half_width(level)
    with np.errstate(over="ignore"):  # of two seeds far apart the interval may reach to infinity
        low, high = (centre * np.exp([-half, half])).tolist() if logs else (centre - half, centre + half)
    floor = 0.0 if positive and bool((finite >= 0).all()) else -math.inf  # a loss of one's own may be below 0
    return Estimate(centre, max(low, floor), high, len(finite), note, mean.method)


def student_interval(values: Mapping[int, float], *, level: float = LEVEL, halves: bool = False) -> tuple[float, float]:
    """Student's t interval of the mean of values by replicate; NaN for fewer than two, no width of equal ones."""
    sample = independent(values)
    if len(sample) < 2:
        return math.nan, math.nan
    mean = _mean(sample, halves=halves)
    half = mean.half_width(level) if mean else 0.0
    return float(sample.mean()) - half, float(sample.mean()) + half


def paired_differences(first: Mapping[int, float], second: Mapping[int, float]) -> dict[int, float]:
    """``first - second`` by seed, over the seeds that both have: what the seeds share cancels."""
    return {seed: first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())}


def seed_rows(by_seed: Sequence[Mapping[int, float]]) -> dict[int, np.ndarray]:
    """Values ``[N]`` of each of the seeds that all have; empty of nothing."""
    seeds = sorted(set.intersection(*map(set, by_seed))) if by_seed else []
    return {seed: np.array([values[seed] for values in by_seed]) for seed in seeds}


def independent(by_replicate: Mapping[int, float]) -> np.ndarray:
    """The finite values of a configuration ``[S]`` as those of an interval: one a seed; of several orders of the data
    one an order, the mean over its seeds, since runs of one order have its luck in common.

    Args:
        by_replicate: by :attr:`jaxopt_study.history.History.replicate`.
    """
    values = {replicate: value for replicate, value in by_replicate.items() if math.isfinite(value)}
    if not several_orders(by_replicate):
        return np.array(list(values.values()), np.float64)
    orders: dict[int, list[float]] = {}
    for replicate, value in values.items():
        orders.setdefault(order_of(replicate), []).append(value)
    return np.array([np.mean(of_order) for of_order in orders.values()], np.float64)


def no_spread(values: ArrayLike) -> bool:
    """Whether all of some finite values are one up to rounding."""
    sample = np.asarray(values, np.float64)
    return bool(np.ptp(sample) <= 1e-12 * float(np.abs(sample).max()))
