"""Looking at a comparison after every seed: how small its p-value must be, and what it still promises.

Whoever looks at 2, 3, .. seeds and stops at the first p-value below 0.05 is wrong far more often than once in twenty.
So the 5% are spent over the looks: after n of at most N seeds ``alpha (n / N)^3`` in all (K. K. G. Lan, D. L. DeMets,
"Discrete sequential boundaries for clinical trials", 1983; the power family of K. Kim, D. L. DeMets, 1987). What a look
may spend follows from the random walk that the sum of the seeds is where there is no effect (P. Armitage, C. K.
McPherson, B. C. Rowe, "Repeated significance tests on accumulating data", 1969), and is compared with the p-value of
the t test (C. Jennison, B. W. Turnbull, "Group Sequential Methods", 2000, section 11.5). It depends on the number of
seeds alone, not on how often somebody looked: a study may be interrupted, and not every look needs to be taken.
"""

import functools
import math
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from jaxopt_study.analysis.intervals import LEVEL
from jaxopt_study.analysis.runs import Configuration

SPENDING = 3
"""Power of n / N: the more, the less is spent on the first looks and the more is left for the last."""
FIRST = 2
"""Seeds at the first look: one seed has no interval."""
STUDENT = 1.2
"""Walks of Student's t cross these bounds more often than those of a known variance, at most by this factor: simulated
1.10 with 3 looks and 1.18 with 10, 1.05 where the variance is moderated with 8 degrees of freedom."""
CHANGES = 1.25
"""Looking is wrong more often by at most this factor where each half of the seeds chooses for the other, and a new seed
may change the choice: of two equal rules simulated 1.03 with 5 looks and 2 configurations, 1.15 with 5 and 5, 1.22 with
9 and 5."""
_NODES = 200
_FAR = 8.0
"""Standard deviations beyond which the walk does not go."""


class Question(NamedTuple):
    """Something about some configurations that more seeds may decide.

    Attributes:
        configurations: whose seeds it hangs on.
        p: its two-sided p-value with the seeds there are; NaN without one.
    """

    configurations: Collection[Configuration]
    p: float


@functools.cache
def allowed(seeds: int, most: int, alpha: float = 1 - LEVEL, halves: bool = False) -> float:
    """The largest two-sided p-value that decides a comparison of ``seeds`` seeds when there may be ``most``.

    With all looks of 2 to ``most`` seeds a true null hypothesis is rejected with a probability of at most ``alpha``;
    more seeds than ``most`` are allowed what ``most`` are, fewer than two nothing. ``most`` is to be chosen beforehand.
    ``halves``: each half of the seeds chooses for the other what is compared.
    """
    levels = _levels(max(most, FIRST), alpha / STUDENT / (CHANGES if halves else 1.0))
    return 0.0 if seeds < FIRST else levels[min(seeds, most) - FIRST]


@functools.cache
def _levels(most: int, alpha: float) -> list[float]:
    """Of each look of 2 to ``most`` seeds."""
    from scipy import optimize, special  # slow to import; no epoch waits for it

    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    levels = []
    # Of the walks that have not crossed yet: their density at ``places``, with the weights of the quadrature in it.
    places, masses, steps, spent = np.zeros(1), np.ones(1), float(FIRST), 0.0
    for seeds in range(FIRST, most + 1):
        due = alpha / 2 * (seeds / most) ** SPENDING - spent
        scale = math.sqrt(steps)

        def crossing(bound: float, at: np.ndarray = places, mass: np.ndarray = masses, sd: float = scale) -> float:
            return float((mass * special.ndtr((at - bound) / sd)).sum())

        far = _FAR * math.sqrt(seeds)
        bound = optimize.brentq(lambda b, wanted=due, of=crossing: of(b) - wanted, 0, far)
        levels.append(2 * float(special.ndtr(-bound / math.sqrt(seeds))))
        spent += due
        new = (nodes + 1) / 2 * (bound + far) - far
        density = np.exp(-(((new[:, None] - places) / scale) ** 2) / 2) @ masses / (scale * math.sqrt(2 * math.pi))
        places, masses, steps = new, density * weights * (bound + far) / 2, 1.0
    return levels


def promise(p: float, seeds: int, most: int) -> float:
    """Probability that a comparison with this two-sided p-value after some seeds is decided after ``most``.

    The predictive power (D. J. Spiegelhalter, L. S. Freedman, P. R. Blackburn, "Monitoring clinical trials: conditional
    or predictive power?", 1986), of effects of which each order of magnitude is as likely beforehand, from 0.05 to 20
    standard deviations of a seed. 0 of what ``most`` seeds have not decided, 1 of what has no p-value yet with two.
    """
    from scipy import special  # slow to import; no epoch waits for it

    if seeds >= most:
        return 0.0
    if math.isnan(p) or seeds < FIRST:
        return float(seeds <= FIRST)  # three that have none are equal, and so will more be
    seen = -float(special.ndtri(max(p, 1e-300) / 2))
    needed = -float(special.ndtri(allowed(most, most) / 2))
    sizes = np.geomspace(0.05, 20, 60)
    effects = np.concatenate([-sizes, sizes])
    logs = -((seen - effects * math.sqrt(seeds)) ** 2) / 2
    weights = np.exp(logs - logs.max())
    centre = (seen * math.sqrt(seeds) + effects * (most - seeds)) / math.sqrt(most)
    spread = math.sqrt((most - seeds) / most)
    power = special.ndtr((centre - needed) / spread) + special.ndtr((-centre - needed) / spread)
    return float((weights * power).sum() / weights.sum())
