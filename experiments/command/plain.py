"""Plain SGD trained as momentum 0: the same numbers, and a study with both compiles one program less."""

from collections.abc import Sequence

from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run
from jaxopt_study.optimizers import registry


def first_as_momentum(runs: Sequence[Run]) -> list[Run]:
    """The runs, with those of plain SGD once more in front as momentum 0: the first name is the one to be trained."""
    return [as_momentum(run) for run in runs if is_sgd(run)] + list(runs)


def is_sgd(run: Run) -> bool:
    """Whether the run is plain SGD, under whatever name."""
    return registry.canonical(run.optimizer, dict(run.hyperparameters))[0] == "sgd"


def as_momentum(run: Run) -> Run:
    """A run of plain SGD as the run of momentum 0 that it is."""
    _, numbers = registry.canonical(run.optimizer, dict(run.hyperparameters))
    return grid.make_run("momentum", {**numbers, "momentum": 0.0}, run.seed)
