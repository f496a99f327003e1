"""What a choice loses that is left to chance: of the learning rate, and of the optimizer.

"How much does a good choice matter?" is one of the article's questions; its answer, that the rate matters more, is X7.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from experiments.article.part import NotApplicable
from jaxopt_study.analysis.best import best_cell
from jaxopt_study.analysis.halves import folds
from jaxopt_study.analysis.runs import Cell


def near_best(cells: Sequence[Cell]) -> list[Cell]:
    """Those of an optimizer's rates that are within a decade of its best one.

    Raises:
        NotApplicable: they are fewer than three.
    """
    centre = best_cell(cells).hyperparameters["learning_rate"]
    near = [config for config in cells if abs(math.log10(config.hyperparameters["learning_rate"] / centre)) <= 1.01]
    if len(near) < 3:
        raise NotApplicable("grid does not cover it: fewer than three rates within a decade of the best")
    return near


def regrets(losses: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What each seed loses by a learning rate at random and by an optimizer at random, over the best choice: ``[S]``.

    The best rates and the best optimizer are those of the other half of the seeds, so that both are 0 on average where
    there is nothing but noise. ``losses`` are by optimizer, each ``[S, R]`` over seeds and rates near its best one.
    """
    of_rates, of_optimizers = np.zeros((2, len(losses[0])))
    for told, choosing in folds(range(len(losses[0]))):
        means = [of_rule[choosing].mean(axis=0) for of_rule in losses]
        rates = [int(np.argmin(mean)) for mean in means]
        tuned_SO = np.stack([of_rule[told, rate] for of_rule, rate in zip(losses, rates, strict=True)], axis=1)
        random_SO = np.stack([of_rule[told].mean(axis=1) for of_rule in losses], axis=1)
        first = int(np.argmin([mean.min() for mean in means]))
        of_rates[told] = (random_SO - tuned_SO).mean(axis=1)
        of_optimizers[told] = tuned_SO.mean(axis=1) - tuned_SO[:, first]
    return of_rates, of_optimizers
