"""Figures of the article's sections 8 and 9: the cyclical rate, and all optimizers at their best."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from jaxopt_study.history import History
from jaxopt_study.plots import comparison, heatmaps, labels, recipes, schedule, selection
from jaxopt_study.plots.recipes import Best, Picture, Recipe

COMPARED = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adagrad", "cyclical")
"""The article's seven, in its order."""
_ARTICLE_CYCLE = {"base_learning_rate": 0.1, "max_learning_rate": 0.4, "step_size": 4.0}


def _cycle(histories: Sequence[History]) -> Picture:
    best = _best_cycle(histories) if any(h.optimizer == "cyclical" for h in histories) else None
    base, top, step = (best.values if best else _ARTICLE_CYCLE)[name] for name in _ARTICLE_CYCLE)
    title = f"Triangular learning rate from {labels.number(base)} to {labels.number(top)}"
    every = f"{labels.number(step)} epochs"
    caption = f"Computed, no training: the learning rate rises for {every} and falls for {every}."
    alt = f"Line chart of the learning rate over three cycles: {labels.number(base)}, up to {labels.number(top)} after {every}, back after another {every}."
    figure = schedule.cycle(base, top, step, title=title)
    return Picture("fig43_cyclical_learning_rate", figure, caption, alt)
