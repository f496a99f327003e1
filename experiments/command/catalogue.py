"""All experiments, in the article's order, and what it leaves open."""

from collections.abc import Mapping

from experiments import (
    adagrad_learning_rates,
    adam_betas,
    adam_learning_rates,
    compare,
    cyclical_learning_rate,
    effective_rate,
    lr_range_test,
    momentum_formulations,
    momentum_grid,
    nesterov_gain,
    nesterov_grid,
    rmsprop_grid,
    sgd_learning_rates,
    sign_descent,
)
from experiments.command.experiment import Experiment
from experiments.command.results import Results, configuration, configurations
from jaxopt_study.history import History

GRIDS: tuple[Experiment, ...] = (
    sgd_learning_rates.EXPERIMENT,
    momentum_grid.EXPERIMENT,
    momentum_formulations.EXPERIMENT,
    nesterov_grid.EXPERIMENT,
    rmsprop_grid.EXPERIMENT,
    adam_learning_rates.EXPERIMENT,
    adam_betas.EXPERIMENT,
    adagrad_learning_rates.EXPERIMENT,
    cyclical_learning_rate.EXPERIMENT,
)
"""Those that train a grid of their own."""

OPEN_QUESTIONS = (effective_rate.EXPERIMENT, sign_descent.EXPERIMENT, nesterov_gain.EXPERIMENT)
"""What the article leaves open; not of its sections."""

EXPERIMENTS: Mapping[str, Experiment] = {
    each.name: each for each in (*GRIDS, compare.EXPERIMENT, *OPEN_QUESTIONS, lr_range_test.EXPERIMENT)
}
NAMES = tuple(EXPERIMENTS)


def title(name: str) -> str:
    """What the report calls an experiment; the name itself if it is not known."""
    return EXPERIMENTS[name].title if name in EXPERIMENTS else name


def runs_of(name: str, found: Results) -> list[History]:
    """The runs that an experiment's figures are drawn from: those of its grid, with all seeds that there are."""
    values = found.drawn.get(name)
    if values is None:
        return list(found.histories)
    wanted = configurations(EXPERIMENTS[name].make_runs(values, 1))
    return [each for each in found.histories if configuration(each.optimizer, each.hyperparameters) in wanted]
