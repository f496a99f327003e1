"""What the study's other configurations say of how far the seeds of a measure lie apart; and where nothing can be said.

The prior of a part's variance is fitted to the same contrast of configurations that learn in every seed. A part about
one that does not - all of its runs diverge or are no better than guessing - gets none, and one about a configuration of
which some runs do and others do not gets no interval: no interval of a few seeds covers such a mixture's mean.
"""

import functools
import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxopt_study.analysis.agreement import Agreement, fit_agreement
from jaxopt_study.analysis.guessing import fails
from jaxopt_study.analysis.minima import lowest
from jaxopt_study.analysis.moderated import Prior, prior_of
from jaxopt_study.analysis.runs import Cell, Runs
from jaxopt_study.errors import InputError
from jaxopt_study.history import History

_PRIORS: "weakref.WeakKeyDictionary[Runs, dict[tuple[object, ...], Prior | None]]" = weakref.WeakKeyDictionary()
_MEASURED: "weakref.WeakKeyDictionary[Runs, dict[str, list[Mapping[int, float]]]]" = weakref.WeakKeyDictionary()
"""What was found before, by the study: many parts are about the same measure."""


def judged_by(
    runs: Runs,
    cells: Sequence[Cell],
    measure: Callable[[History], float],
    name: str,
    weights: Sequence[float] = (1.0, -1.0),
    step: float = 0.0,
) -> dict[str, Any]:
    """``prior``, ``step``, ``no_interval`` and ``cells`` of a :class:`experiments.article.part.Part`.

    Args:
        runs: the study.
        cells: the configurations that the part is about.
        measure: of a run; the part's values are the weighted sum of those of the configurations.
        name: of the measure: one name, one measure of a study.
        weights: ``(1, -1)`` of a difference, ``(1,)`` of a mean.
        step: of the measure, if it is on a grid.
    """
    mixed = partly_learning(runs, cells)
    prior = None
    if not mixed and all(_learning(runs, cell.histories) for cell in cells):
        seeds = tuple(sorted(set.intersection(*(set(cell.by_seed) for cell in cells))))
        of_study, key = _PRIORS.setdefault(runs, {}), (name, seeds, tuple(weights), step)
        if key not in of_study:
            of_study[key] = prior_of(_measured(runs, measure, name), seeds, weights, step)
        prior = of_study[key]
    return {"prior": prior, "step": step, "no_interval": mixed, "cells": cells}


@functools.lru_cache(maxsize=8)
def agreement(runs: Runs) -> Agreement | None:
    """How seldom some runs of a configuration learn and others do not, in this study."""
    groups = [[fails(run, runs.chance) for run in cell.histories] for cell in runs.configurations]
    return fit_agreement([sum(group) for group in groups], [len(group) for group in groups])


def partly_learning(runs: Runs, cells: Sequence[Cell]) -> str:
    """Which configuration learns in some seeds and not in others, in words; empty if none.

    A run learns that gets a tenth below guessing; what lies between is no mixture but a small difference.
    """
    for cell in cells:
        failing = sum(fails(run, runs.chance) for run in cell.histories)
        if failing and any(lowest(runs, run) <= 0.9 * runs.chance for run in cell.histories):
            return f"{failing} of {len(cell.histories)} runs of {cell.label} diverged or are no better than guessing"
    return ""


def room_for_others(runs: Runs, pair: Sequence[Cell], values: Sequence[float]) -> dict[str, Any]:
    """What a part about two configurations needs to know where one of them learns in no seed, or not in every seed.

    Where one never learns and the other does, half of the runs of either might be as those of the other for all that a
    few seeds can say: then nothing would be known of which is above. ``values`` are on the scale of the part's step.

    Returns:
        ``no_interval``, ``step`` and ``agreement`` of a :class:`experiments.article.verdict.Part`, those that are due.
    """
    if mixed := partly_learning(runs, pair):
        return {"no_interval": mixed}
    first, second = (never_learns(runs, cell) for cell in pair)
    finite = [value for value in values if math.isfinite(value)]
    if first == second or not finite:
        return {}
    return {"step": 2 * abs(sum(finite) / len(finite)), "agreement": agreement(runs)}


def never_learns(runs: Runs, cell: Cell) -> bool:
    """Whether every run of a configuration diverged or is no better than guessing."""
    return all(fails(run, runs.chance) for run in cell.histories)


def _learning(runs: Runs, histories: Sequence[History]) -> bool:
    return not any(fails(run, runs.chance) for run in histories)


def _measured(runs: Runs, measure: Callable[[History], float], name: str) -> list[Mapping[int, float]]:
    of_study = _MEASURED.setdefault(runs, {})
    if name not in of_study:
        of_study[name] = [_finite(cell, measure) for cell in _learning_configurations(runs)]
    return of_study[name]


@functools.lru_cache(maxsize=8)
def _learning_configurations(runs: Runs) -> list[Cell]:
    return [cell for cell in runs.configurations if _learning(runs, cell.histories)]


def _finite(cell: Cell, measure: Callable[[History], float]) -> Mapping[int, float]:
    """A measure by seed; empty where the runs of a configuration are too short for it."""
    try:
        return {seed: value for seed, value in cell.measured(measure).items() if math.isfinite(value)}
    except InputError:
        return {}
