"""How do the optimizers compare, each at its best? (section 9 of the article)

    python -m experiments.compare                      # scikit-learn's digits, a minute on two cores
    python -m experiments.compare --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

The best configuration of an optimizer is the one with the lowest validation loss, mean over its seeds, among the runs
that the work directory holds; give it the one in which the grids were run. Of an optimizer without runs there it is
the article's best. SGD at 0.01 is trained besides, for figure 49. Expected: the losses lie close together, Adam is the
first to get there. Figures 45 to 49.
"""

import math
from collections.abc import Sequence

from experiments.article import facts as article
from experiments.command.experiment import Experiment, Values
from experiments.command.plain import first_as_momentum
from jaxopt_study.analysis import Runs, best_cell
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run

BESIDES = ("sgd", {"learning_rate": 0.01})
PRINTED = 0.06
"""Relative difference up to which a printed rate is the half decade: 0.003 stands for 0.00316."""


def make_runs(values: Values, seeds: int) -> list[Run]:
    """The article's best configurations x seeds."""
    return choose(Runs([]), [], seeds)


def choose(finished: Runs, runs: list[Run], seeds: int) -> list[Run]:
    """The best configurations of the finished runs, the article's where an optimizer has none, x seeds."""
    chosen = [best(finished, each) for each in article.BEST_RUNS]
    return first_as_momentum(
        [grid.make_run(rule, numbers, seed) for rule, numbers in (*chosen, BESIDES) for seed in range(seeds)]
    )


def best(finished: Runs, theirs: article.BestRun) -> tuple[str, dict[str, float]]:
    """The configuration with which an optimizer is compared."""
    cells = finished.family(theirs.optimizer)
    if cells:
        return theirs.optimizer, dict(best_cell(cells).hyperparameters)
    return theirs.optimizer, {name: unrounded(name, value) for name, value in theirs.hyperparameters.items()}


def unrounded(name: str, value: float) -> float:
    """The half decade that the article's printed rate stands for, so that the run is one with that of a grid."""
    near = [rate for rate in article.half_decades(-4, 0) if math.isclose(rate, value, rel_tol=PRINTED)]
    return near[0] if name == "learning_rate" and near else value


EXPERIMENT = Experiment("compare", "Each optimizer at its best", {}, make_runs, choose=choose, parts={"compare": None})


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    from experiments.command import (
        flags as common,  # its flags are for the module that is run, not for those that import this one
    )

    common.main(EXPERIMENT, argv)


if __name__ == "__main__":
    main()
