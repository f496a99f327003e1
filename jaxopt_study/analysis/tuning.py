"""What tuning buys: the loss to be expected of the best of n configurations drawn from a grid, for every n.

Which optimizer is the better one depends on how many configurations can be tried. J. Dodge et al., "Show Your Work:
Improved Reporting of Experimental Results", 2019, draw with replacement; of a grid that was run as a whole one draws
without, and the expectation is exact. See also P. Sivaprasad et al., "Optimizer Benchmarking Needs to Account for
Hyperparameter Tuning", 2020, and N. Lourie et al., "Show Your Work with Confidence", arXiv 2311.09480.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxopt_study.analysis.best import ranked
from jaxopt_study.analysis.guessing import worst_counted
from jaxopt_study.analysis.halves import folds
from jaxopt_study.analysis.intervals import Estimate, seed_estimate
from jaxopt_study.analysis.minima import seed_lowest, unchosen_loss
from jaxopt_study.history import History


class TuningCurve(NamedTuple):
    """The expected loss of an optimizer over the number of configurations tried, up to the largest grid's N.

    Attributes:
        optimizer: its name.
        configurations: how many it has; with more tries its curve stays where it is.
        losses: by seed and number of tries from 1 on, ``[S, N]``.
        expected: the means over the seeds with their intervals, ``[N]``.
        behind: means of the differences to the optimizer that is the best after as many tries, ``[N]``; 0 of itself.
    """

    optimizer: str
    configurations: int
    losses: np.ndarray
    expected: Sequence[Estimate]
    behind: Sequence[Estimate]


def chances(count: int, drawn: int) -> np.ndarray:
    """The chance of each of ``count`` configurations, the best first, to be the best of those drawn, ``[count]``.

    Drawn without replacement, the k-th best is the best of n where it is drawn and the other n - 1 are of the
    ``count - k`` behind it: ``binom(count - k, n - 1) / binom(count, n)``.
    """
    behind = np.arange(count - 1, 0, -1)
    ratios = np.maximum(behind - drawn + 1, 0) / behind  # of one binomial to the next: they themselves may overflow
    return np.cumprod([drawn / count, *ratios])


def tuning_curves(rules: Mapping[str, Sequence[Sequence[History]]], chance: float = math.inf) -> list[TuningCurve]:
    """A curve for each rule, over the seeds that all configurations of all rules have; none without such a seed.

    The best of those drawn is chosen by one half of the seeds and told by the other, with one seed by itself, as in
    :func:`jaxopt_study.analysis.best.held_out`. Told is :func:`jaxopt_study.analysis.minima.unchosen_loss`, at most the
    loss of guessing, which is also what a run that diverged or failed counts as.

    Args:
        rules: the runs of each configuration, by the name of the rule.
        chance: the loss of guessing; where it is not known, the highest loss told of any run stands for it.
    """
    members = [{run.replicate for run in runs} for configurations in rules.values() for runs in configurations]
    seeds = sorted(set.intersection(*members)) if members else []
    told = {rule: _told(configurations, seeds) for rule, configurations in rules.items()}
    known = [losses[np.isfinite(losses)] for losses in told.values()]
    if not seeds or not sum(map(len, known)):
        return []
    worst = worst_counted(chance, np.concatenate(known).tolist())
    most = max(map(len, rules.values()))
    losses = {
        rule: _expected(configurations, seeds, np.fmin(told[rule], worst), most)
        for rule, configurations in rules.items()
    }
    stacked = np.stack(list(losses.values()))
    first = stacked[stacked.mean(1).argmin(0), :, np.arange(most)].T
    return [
        TuningCurve(
            rule,
            len(rules[rule]),
            of_rule,
            _over_seeds(seeds, of_rule, positive=True),
            _over_seeds(seeds, of_rule - first),
        )
        for rule, of_rule in losses.items()
    ]


def winners(curves: Sequence[TuningCurve]) -> list[str]:
    """The optimizer with the lowest expected loss after 1, 2, .. configurations; the first of equals."""
    means = np.array([[one.value for one in curve.expected] for curve in curves])
    return [curves[at].optimizer for at in means.argmin(0)]


def _told(configurations: Sequence[Sequence[History]], seeds: Sequence[int]) -> np.ndarray:
    """What is told of each configuration and seed ``[K, S]``; NaN of runs that diverged or failed."""
    by_seed = [{run.replicate: run for run in runs} for runs in configurations]
    return np.array([[unchosen_loss(runs[seed]) for seed in seeds] for runs in by_seed])


def _expected(
    configurations: Sequence[Sequence[History]], seeds: Sequence[int], told: np.ndarray, most: int
) -> np.ndarray:
    """The expected losses ``[S, most]`` of a rule."""
    count = len(configurations)
    expected = np.empty((len(seeds), most))
    for told_of, choosing in folds(seeds):
        order = ranked([seed_lowest([run for run in runs if run.replicate in choosing]) for runs in configurations])
        of_fold = np.isin(seeds, told_of)
        by_rank = told[order][:, of_fold]
        curves = np.stack([chances(count, min(tried, count)) @ by_rank for tried in range(1, most + 1)])
        expected[of_fold] = curves.T
    return expected


def _over_seeds(seeds: Sequence[int], values: np.ndarray, *, positive: bool = False) -> list[Estimate]:
    columns = [dict(zip(seeds, column, strict=True)) for column in values.T.tolist()]
    estimates = [seed_estimate(column, positive=positive, halves=True) for column in columns]
    return [estimate._replace(seeds=len(seeds)) for estimate in estimates]
