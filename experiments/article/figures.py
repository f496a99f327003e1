"""The article's figures of each experiment, drawn from its runs."""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.article import recipes_adaptive, recipes_compare, recipes_momentum, recipes_sgd
from experiments.article.recipes import Picture, Recipe, Source
from jaxopt_study.history import History
from jaxopt_study.plots import effective_rate, nesterov_gain, range_test, sign_descent
from jaxopt_study.plots.saving import save
from jaxopt_study.plots.selection import NotDrawable

EXPERIMENTS: Mapping[str, tuple[tuple[int, Recipe], ...]] = {
    "sgd_learning_rates": recipes_sgd.SGD_LEARNING_RATES,
    "momentum_grid": recipes_momentum.MOMENTUM_GRID,
    "momentum_formulations": recipes_momentum.MOMENTUM_FORMULATIONS,
    "nesterov_grid": recipes_momentum.NESTEROV_GRID,
    "rmsprop_grid": recipes_adaptive.RMSPROP_GRID,
    "adam_learning_rates": recipes_adaptive.ADAM_LEARNING_RATES,
    "adam_betas": recipes_adaptive.ADAM_BETAS,
    "adagrad_learning_rates": recipes_adaptive.ADAGRAD_LEARNING_RATES,
    "cyclical_learning_rate": recipes_compare.CYCLICAL_LEARNING_RATE,
    "compare": recipes_compare.COMPARE,
    "lr_range_test": range_test.LR_RANGE_TEST,
    "effective_rate": effective_rate.EFFECTIVE_RATE,
    "sign_descent": sign_descent.SIGN_DESCENT,
    "nesterov_gain": nesterov_gain.NESTEROV_GAIN,
}


class SavedFigure(NamedTuple):
    """A figure that was written, with its words."""

    name: str
    png: Path
    svg: Path
    caption: str
    alt_text: str


def figures_for(
    experiment: str,
    histories: Sequence[History],
    *,
    chance: float = math.log(2),
    on_absent: Callable[[str], None] | None = None,
) -> Iterator[Picture]:
    """The counterparts of the article's figures that these runs can show, in the article's order.

    Args:
        experiment: a key of ``EXPERIMENTS``.
        histories: runs; those of rules that the experiment does not compare are passed over.
        chance: loss of guessing, nats: the natural logarithm of the number of classes.
        on_absent: is called with a sentence for each figure that is left out, e.g. ``notes.append``.

    Yields:
        ``(name, figure, caption, alt_text)``.

    Raises:
        ValueError: if there is no such experiment.
    """
    if experiment not in EXPERIMENTS:
        raise ValueError(f"experiment={experiment}: one of {', '.join(sorted(EXPERIMENTS))}")
    for number, recipe in EXPERIMENTS[experiment]:
        try:
            picture = recipe(Source(histories, chance))
        except NotDrawable as why:
            if on_absent:
                on_absent(f"{f'Figure {number}' if number else experiment} is left out: {why}.")
        else:
            yield picture


def save_figures(
    experiment: str, histories: Sequence[History], folder: str | os.PathLike[str], *, chance: float = math.log(2)
) -> tuple[list[SavedFigure], list[str]]:
    """Draws and writes an experiment's figures.

    Returns:
        What was written, and a sentence for each figure that was left out.
    """
    saved, notes = [], list[str]()
    for picture in figures_for(experiment, histories, chance=chance, on_absent=notes.append):
        png, svg = save(picture.figure, folder, picture.name)
        saved.append(SavedFigure(picture.name, png, svg, picture.caption, picture.alt_text))
    return saved, notes
