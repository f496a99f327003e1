"""How seldom the seeds of a configuration differ in kind: some learning, others diverging or stuck at guessing.

Three runs that all diverge say little by themselves: a third of such configurations' runs might still learn. But where
the configurations of a study nearly all learn in each of their seeds or in none, that is known of the next one too.
The share of a configuration's runs that fail is given a beta distribution over the configurations (the beta-binomial of
J. G. Skellam, 1948), fitted by maximum likelihood with one more configuration that is counted half and half, so that
no number of agreeing ones makes it certain.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxopt_study.analysis.moderated import MIN_CONFIGURATIONS

_CONCENTRATIONS = np.geomspace(0.01, 100, 201)


class Agreement(NamedTuple):
    """The beta distribution of the share of runs that fail: mean ``fails / (fails + learns)``."""

    fails: float
    learns: float


def fit_agreement(failing: Sequence[int], runs: Sequence[int]) -> Agreement | None:
    """The distribution by how many of the runs of each configuration fail; None of too few configurations."""
    if len(runs) < MIN_CONFIGURATIONS:
        return None
    from scipy.special import betaln  # slow to import; no epoch waits for it

    bad, total = np.array([*failing, 1], np.float64), np.array([*runs, 2], np.float64)
    share = bad.sum() / total.sum()
    fails, learns = (_CONCENTRATIONS[:, None] * one for one in (share, 1 - share))
    likelihood = (betaln(fails + bad, learns + total - bad) - betaln(fails, learns)).sum(axis=1)
    concentration = float(_CONCENTRATIONS[np.argmax(likelihood)])
    return Agreement(concentration * share, concentration * (1 - share))
