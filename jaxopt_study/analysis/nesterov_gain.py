"""What Nesterov momentum gains over plain momentum with the same numbers and seed, and what that goes with."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from jaxopt_study.analysis.best import halfway
from jaxopt_study.analysis.effective_rate import effective_rate
from jaxopt_study.analysis.intervals import Estimate, seed_estimate
from jaxopt_study.analysis.minima import losses, minimum
from jaxopt_study.analysis.runs import Cell, Runs
from jaxopt_study.analysis.speed import AFTER
from jaxopt_study.history import History

LEAST_CELLS = 4
"""Configurations below which a rank correlation is not given."""


class Gain(NamedTuple):
    """A configuration that both rules have.

    Attributes:
        rate: the learning rate.
        momentum: above 0; at 0 both are plain SGD.
        gains: by seed, the logarithm of plain momentum's loss over Nesterov's; above 0 where Nesterov is ahead.
        oscillation: by seed, of plain momentum: share of the weights whose update changes its sign from step to step.
        converged: whether one of the rules got, in the mean over its seeds, halfway from guessing to the study's best.
        diverged: how many of plain momentum's seeds and how many of Nesterov's diverged.
    """

    rate: float
    momentum: float
    gains: Mapping[int, float]
    oscillation: Mapping[int, float]
    converged: bool
    diverged: tuple[int, int]

    @property
    def estimate(self) -> Estimate:
        """The mean gain over the seeds."""
        return seed_estimate(list(self.gains.values()))


class Candidate(NamedTuple):
    """Something that may decide the gain: its name and its value for a configuration and seed."""

    name: str
    value: Callable[[Gain, int], float]


CANDIDATES = (
    Candidate("effective rate", lambda gain, seed: effective_rate("momentum", gain.rate, gain.momentum)),
    Candidate("learning rate", lambda gain, seed: gain.rate),
    Candidate("1 / (1 - momentum)", lambda gain, seed: 1 / (1 - gain.momentum)),
    Candidate("oscillation of plain momentum", lambda gain, seed: gain.oscillation[seed]),
)


def compared_after(runs: Runs) -> int:
    """The epoch at which losses are compared: the article's 50, or the last one that any run of both rules has."""
    cells = [cell for rule in ("momentum", "nesterov") for cell in runs.cells(rule)]
    longest = max((history.epochs for cell in cells for history in cell.histories), default=0)
    return min(AFTER, longest)


def gains(runs: Runs, curve: str = "train_loss", *, after: int | None = None, averaged: bool = False) -> list[Gain]:
    """The gain of every rate and momentum above 0 that both rules have, by ascending rate and momentum.

    Args:
        runs: of both rules.
        curve: the loss.
        after: epochs; ``compared_after`` if None. Of a run that ended earlier the last loss counts; a loss that is not
            finite, or above that of guessing, counts as that of guessing.
        averaged: whether to take the mean of the logarithms over all epochs up to that one: how far ahead a rule is on
            the way, which varies less from seed to seed.
    """
    epoch = compared_after(runs) if after is None else after
    found = []
    for cell in runs.family("momentum"):
        for twin in runs.family("nesterov", **cell.hyperparameters):
            if cell.hyperparameters.keys() == twin.hyperparameters.keys() == {"learning_rate", "momentum"}:
                found.append(_gain(runs, cell, twin, curve, epoch, averaged))
    return found


def _gain(runs: Runs, plain: Cell, nesterov: Cell, curve: str, epoch: int, averaged: bool) -> Gain:
    seeds = [seed for seed in plain.seeds if seed in nesterov.by_seed]
    return Gain(
        rate=plain.hyperparameters["learning_rate"],
        momentum=plain.hyperparameters["momentum"],
        gains={
            seed: _log_loss(plain.by_seed[seed], curve, epoch, runs.chance, averaged)
            - _log_loss(nesterov.by_seed[seed], curve, epoch, runs.chance, averaged)
            for seed in seeds
        },
        oscillation={seed: _oscillation(plain.by_seed[seed], epoch) for seed in seeds},
        converged=any(_converged(runs, cell, curve) for cell in (plain, nesterov)),
        diverged=(_diverged(plain, seeds), _diverged(nesterov, seeds)),
    )


def _diverged(cell: Cell, seeds: Sequence[int]) -> int:
    return sum(cell.by_seed[seed].status == "diverged" for seed in seeds)


def _log_loss(history: History, curve: str, epoch: int, chance: float, averaged: bool) -> float:
    values = losses(history, curve)[:epoch]
    values = np.pad(values, (0, epoch - len(values)), mode="edge")
    values = np.where(np.isfinite(values), np.clip(values, np.finfo(np.float32).tiny, chance), chance)
    return float(np.log(values if averaged else values[-1]).mean())


def _oscillation(history: History, epoch: int) -> float:
    values = np.asarray(history.curves["oscillation"], np.float64)[:epoch]
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else math.nan


def _converged(runs: Runs, cell: Cell, curve: str) -> bool:
    reached = [minimum(losses(history, curve)).value for history in cell.by_seed.values()]
    return bool(np.mean([runs.chance if math.isnan(value) else value for value in reached]) <= halfway(runs, curve))


def rank_correlation(found: Sequence[Gain], candidate: Candidate) -> Estimate:
    """Spearman's rank correlation of gain and candidate over the configurations: of each seed by itself, then mean.

    Args:
        found: configurations; those in which neither rule converged are passed over, since there nothing is gained or
            lost, and so are seeds that one of the others lacks.
        candidate: what may decide.

    Returns:
        NaN with fewer than ``LEAST_CELLS`` configurations, or where the candidate does not vary.
    """
    kept = [gain for gain in found if gain.converged]
    if len(kept) < LEAST_CELLS:
        return seed_estimate([])
    seeds = sorted(set[int].intersection(*(set(gain.gains) for gain in kept)))
    return seed_estimate([_spearman(kept, candidate, seed) for seed in seeds])


def _spearman(kept: Sequence[Gain], candidate: Candidate, seed: int) -> float:
    pairs = np.array([(candidate.value(gain, seed), gain.gains[seed]) for gain in kept])
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) < LEAST_CELLS or (np.ptp(pairs, axis=0) == 0).any():
        return math.nan
    return float(spearmanr(*pairs.T).statistic)
