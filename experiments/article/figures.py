"""The article's figures of each experiment, drawn from its runs."""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from experiments.article import recipes_adaptive, recipes_compare, recipes_momentum, recipes_sgd
from jaxopt_study.history import History
from jaxopt_study.plots import effective_rate, nesterov_gain, range_test, sign_descent
from jaxopt_study.plots.picture import Picture, Recipe, SavedFigure, Source, drawn, save_pictures

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
    yield from drawn(EXPERIMENTS[experiment], Source(histories, chance), title=experiment, on_absent=on_absent)


def save_figures(
    experiment: str, histories: Sequence[History], folder: str | os.PathLike[str], *, chance: float = math.log(2)
) -> tuple[list[SavedFigure], list[str]]:
    """Draws and writes an experiment's figures.

    Returns:
        What was written, and a sentence for each figure that was left out.
    """
    notes = list[str]()
    pictures = figures_for(experiment, histories, chance=chance, on_absent=notes.append)
    return save_pictures(pictures, folder), notes
