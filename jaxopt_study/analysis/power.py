"""What more seeds would show: how many an effect needs, which effect is visible, and how many verdicts are chance."""

import math
from collections.abc import Sequence

import numpy as np

from jaxopt_study.analysis.intervals import LEVEL, Mean

POWER = 0.8
MOST_SEEDS = 1000
"""More are not counted: nobody trains them."""


def power(mean: Mean, effect: float, seeds: int, level: float = LEVEL) -> float:
    """Probability that ``seeds`` seeds tell a mean from a bound ``effect`` away, with the variance seen so far.

    The t test of :class:`jaxopt_study.analysis.intervals.Mean`, in the direction of the effect; on a grid at least the
    distance that the grid leaves open.
    """
    from scipy import special  # slow to import; no epoch waits for it

    dof = mean.dof + seeds - mean.seeds
    least = mean._replace(seeds=seeds, dof=dof).half_width(level)
    error = mean.sd / math.sqrt(seeds)
    if error == 0:
        return float(effect > least)
    reach = least / error
    if effect / error > reach + 10:  # certain, and beyond what the noncentral t can be computed for
        return 1.0
    if dof > 1e5:  # the noncentral t is the normal then, and slow to compute
        return float(special.ndtr(effect / error - reach))
    return 1 - float(special.nctdtr(dof, effect / error, reach))


def seeds_needed(mean: Mean, effect: float, level: float = LEVEL) -> int | None:
    """The fewest seeds that show an effect of this size with a power of 80%; None of more than 1000."""
    if not power(mean, effect, MOST_SEEDS, level) >= POWER:
        return None
    low, high = 1, MOST_SEEDS  # low is too few (one seed has no interval), high enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(mean, effect, middle, level) >= POWER else (middle, high)
    return high


def smallest_visible(mean: Mean, level: float = LEVEL) -> float:
    """The smallest effect that the seeds there are would show with a power of 80%."""
    from scipy import optimize  # slow to import; no epoch waits for it

    def missing(effect: float) -> float:
        return power(mean, effect, mean.seeds, level) - POWER

    least = mean.half_width(level)
    if mean.sd == 0:
        return least  # the grid's alone
    low, high = 0.0, least
    while missing(high) < 0:
        low, high = high, 2 * high
    return float(optimize.brentq(missing, low, high, rtol=1e-9))


def false_discoveries(p_values: Sequence[float]) -> list[float]:
    """Benjamini-Hochberg q of each p-value; NaN where there is none.

    Of those with a q of at most x, a share of at most x is expected to be chance. Y. Benjamini, Y. Hochberg,
    "Controlling the false discovery rate", 1995.
    """
    from scipy import stats  # slow to import; no epoch waits for it

    given = np.asarray(p_values, np.float64)
    q_values = np.full(len(given), math.nan)
    known = np.isfinite(given)
    if known.any():
        q_values[known] = stats.false_discovery_control(given[known], method="bh")
    return q_values.tolist()
