"""Performance profiles: on what share of the problems a rule is within a factor of the best one.

E. D. Dolan, J. J. More, "Benchmarking optimization software with performance profiles", 2002: with t the cost of a rule
on a problem and r = t / (the smallest cost of all rules), infinite where the rule fails, the profile is the share of
the problems with r <= tau, for every tau >= 1. Here each seed of a problem has a ratio, and a problem counts once.
Costs are the epochs to a target that lies on a share of the way from guessing to the best rule's loss (the convergence
test of J. J. More, S. M. Wild, "Benchmarking derivative-free optimization algorithms", 2009), and the loss itself.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxopt_study.analysis.intervals import Estimate
from jaxopt_study.analysis.problems import Problem, share

MEASURES = ("epochs", "loss")
"""Costs of which there are profiles: of :attr:`Problem.epochs` and :attr:`Problem.losses`."""


class Profile(NamedTuple):
    """The profile of a rule, a step function.

    Attributes:
        optimizer: its name.
        taus: where it steps up, ascending, from 1; its last value holds up to infinity.
        shares: from each of these on.
    """

    optimizer: str
    taus: Sequence[float]
    shares: Sequence[Estimate]

    def at(self, tau: float) -> Estimate:
        """Its value at a ratio of at least 1."""
        return self.shares[int(np.searchsorted(self.taus, tau, side="right")) - 1]


def ratios(costs: np.ndarray) -> np.ndarray:
    """Costs ``[K, S]`` over the smallest of each seed; infinite ones stay so."""
    least = costs.min(0)
    return np.where(np.isfinite(costs), costs, math.inf) / np.where(np.isfinite(least), least, 1.0)


def profiles(problems: Sequence[Problem], rules: Sequence[str]) -> Mapping[str, Sequence[Profile]]:
    """Of each measure the profiles of the rules, in their order."""
    costs = {
        "epochs": [problem.epochs for problem in problems],
        "loss": [np.where(problem.learns, problem.losses, math.inf) for problem in problems],
    }
    chosen = [problem.chosen for problem in problems]
    found = {}
    for measure in MEASURES:
        of_problems = [ratios(of) for of in costs[measure]]
        found[measure] = [_profile(rule, [of[at] for of in of_problems], chosen) for at, rule in enumerate(rules)]
    return found


def _profile(rule: str, own: Sequence[np.ndarray], chosen: Sequence[bool]) -> Profile:
    every = np.concatenate(own)
    taus = np.unique([1.0, *every[np.isfinite(every)]])
    return Profile(rule, taus.tolist(), [share([of <= tau for of in own], chosen) for tau in taus])
