"""The measurements that claims are made of, each one number a seed; docs/statistics.md lists them claim by claim."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from experiments.article.find import common_seeds, diverged, horizon, require_learning, unsettled
from experiments.article.part import Part
from experiments.article.spread import agreement, judged_by, never_learns, room_for_others
from jaxopt_study.analysis.best import progress
from jaxopt_study.analysis.minima import lowest, minimum, variance_of_epochs
from jaxopt_study.analysis.runs import Cell, Runs
from jaxopt_study.analysis.speed import area_under_curve, crossing, losses
from jaxopt_study.history import History, remembered

CONVERGED = 0.5
"""Share of the way from guessing to the best of the study from which a run counts as converged."""


def by_seed(cells: Sequence[Cell], measure: Callable[[History], float]) -> np.ndarray:
    """A measure of the runs of configurations ``[S, C]``, over the seeds that all of them have.

    Raises:
        Undecided: they have no seed in common.
    """
    seeds = common_seeds(cells)
    return np.array([[measure(config.by_seed[seed]) for config in cells] for seed in seeds], np.float64)


def less(
    first: Cell, second: Cell, measure: Callable[[History], float], meaning: str, *, runs: Runs | None = None
) -> Part:
    """That a measure, named by ``meaning``, is larger in the first of two configurations than in the second.

    The other configurations of ``runs`` say how far seeds lie apart, see ``article.spread``; Student's interval
    without them.
    """
    pair = [first, second]
    values = [ours - other for ours, other in by_seed(pair, measure).tolist()]
    known = {"cells": pair} if runs is None else judged_by(runs, pair, measure, meaning)
    if runs is not None:
        known |= room_for_others(runs, pair, values)
    return Part(f"{meaning}: {first.label} minus {second.label}", values, note=diverged(pair), **known)


def higher_minimum(runs: Runs, worse: Cell, better: Cell) -> Part:
    """That ``worse`` ends with the higher smallest validation loss; open while a run of either still improves."""
    pair = [worse, better]
    part = less(worse, better, lambda run: lowest(runs, run), "smallest validation loss", runs=runs)
    noise = sum(float(np.mean([variance_of_epochs(run) for run in config.histories])) for config in pair)
    return part._replace(least=noise).open_if(unsettled(pair))


def slower(runs: Runs, behind: Cell, ahead: Cell) -> Part:
    """That the training loss of ``behind`` lies higher on average over the first epochs."""
    epochs = horizon([behind, ahead])
    meaning = f"mean training loss of the first {epochs} epochs"
    return less(behind, ahead, lambda run: mean_loss(runs, run, epochs), meaning, runs=runs)


def mean_loss(runs: Runs, history: History, epochs: int) -> float:
    """Mean training loss of the first epochs, no loss above that of guessing."""
    return _area(history, epochs, runs.chance) / (epochs - 1)


@remembered
def _area(history: History, epochs: int, chance: float) -> float:
    return area_under_curve(losses(history, "train_loss"), epochs, ceiling=chance)


def converges(runs: Runs, cell: Cell, *, claimed: bool) -> Part:
    """That a configuration converges, or that it does not."""
    require_learning(runs)
    values = [progress(runs, history) for history in cell.histories]
    meaning = f"share of the way from guessing to the best of the study: {cell.label}"
    early = unsettled([cell])
    known = judged_by(runs, [cell], functools.partial(progress, runs), "progress", weights=(1.0,))
    if never_learns(runs, cell):
        known |= {"step": 1.0, "agreement": agreement(runs)}  # to the progress of a run that converges
    if claimed:
        return Part(meaning, values, low=CONVERGED, no_contradiction=early, note=diverged([cell]), **known)
    return Part(meaning, values, low=-math.inf, high=CONVERGED, no_support=early, note=diverged([cell]), **known)


def trend(cells: Sequence[Cell], measure: Callable[[History], float], meaning: str, *, rises: bool) -> Part:
    """That a measure rises, or falls, along the configurations: the slope of a line fitted to it, per configuration.

    Seeds in which fewer than three configurations have a finite measure are left out.
    """
    measured = by_seed(cells, measure)
    values = [_slope(np.arange(len(cells), dtype=np.float64), of_seed) for of_seed in measured]
    steps = np.diff(measured.mean(axis=0))
    monotone = bool((steps > 0).all() if rises else (steps < 0).all())
    notes = ["" if monotone else "not at every step", diverged(cells)]
    low, high = (0.0, math.inf) if rises else (-math.inf, 0.0)
    full = f"{meaning}, change per step from {cells[0].label} to {cells[-1].label}"
    return Part(full, values, low, high, note="; ".join(filter(None, notes)), cells=cells)


def _slope(position: np.ndarray, measured: np.ndarray) -> float:
    finite = np.isfinite(measured)
    if finite.sum() < 3:
        return math.nan
    centred = position[finite] - position[finite].mean()
    return float((centred * measured[finite]).sum() / (centred**2).sum())


@remembered
def early(history: History, curve: str, epochs: int) -> float:
    """Mean of the first epochs of a curve, those not finite left out; NaN if there is none."""
    return _finite_mean(history.curves[curve][:epochs])


def late(history: History, curve: str) -> float:
    """Mean of the last tenth of a run's epochs, at least one; NaN for a run that diverged."""
    return _finite_mean(history.curves[curve][-tenth(history.epochs) :]) if history.status != "diverged" else math.nan


def tenth(epochs: int) -> int:
    """A tenth of the epochs, at least one."""
    return max(1, epochs // 10)


def log(value: float) -> float:
    """Natural logarithm; NaN for what has none."""
    return math.log(value) if 0 < value < math.inf else math.nan


def over(value: float, reference: float) -> float:
    """The ratio of two positive numbers; NaN where the second is not positive."""
    return value / reference if reference > 0 else math.nan


def _finite_mean(values: np.ndarray) -> float:
    finite = np.asarray(values, np.float64)[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan


def slower_to(runs: Runs, targets: Mapping[int, float], what: str, behind: Cell, ahead: Cell) -> Part:
    """That one configuration needs more epochs to a validation loss than another; open while a run of either improves.

    Where a run never reaches it, one epoch more than either of the pair has is counted.

    Args:
        runs: the study.
        targets: the loss, by seed.
        what: what it is, in words.
        behind: the one that is claimed to need more.
        ahead: the other.
    """
    cells = [behind, ahead]
    values, missed = [], set()
    for seed in (one for one in common_seeds(cells) if one in targets):
        pair = [config.by_seed[seed] for config in cells]
        reached = [crossing(losses(run), targets[seed]) for run in pair]
        missed |= {config.label for config, epoch in zip(cells, reached, strict=True) if epoch is None}
        slow, fast = (epoch or 1 + max(run.epochs for run in pair) for epoch in reached)
        values.append(slow / fast)
    note = f"not reached in every seed: {', '.join(sorted(missed))}" if missed else ""
    meaning = f"epochs to {what}: {behind.label} over {ahead.label}"
    part = Part(meaning, values, low=1.0, ratio=True, note=note, cells=cells)
    return part._replace(**room_for_others(runs, cells, part.finite())).open_if(unsettled(cells))


def later_minimum(runs: Runs, late_one: Cell, early_one: Cell) -> Part:
    """That ``late_one`` needs more epochs to its smallest validation loss."""
    both = [late_one, early_one]
    epochs = by_seed(both, lambda run: minimum(losses(run)).epoch or math.nan)
    meaning = f"epochs to the smallest validation loss: {late_one.label} over {early_one.label}"
    values = (epochs[:, 0] / epochs[:, 1]).tolist()
    step = math.log1p(1 / float(np.nanmin(epochs))) if np.isfinite(epochs).any() else 0.0
    part = Part(meaning, values, low=1.0, ratio=True, note=diverged(both), step=step, cells=both)
    return part._replace(**room_for_others(runs, both, part.finite())).open_if(unsettled(both))
