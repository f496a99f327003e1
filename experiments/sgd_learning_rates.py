"""How does plain SGD depend on its learning rate? (section 1 of the article)

    python -m experiments.sgd_learning_rates                      # scikit-learn's digits, seconds
    python -m experiments.sgd_learning_rates --preset=article     # cats_vs_dogs at 128 x 128

Expected: the smallest rate is slow, the largest does not reach the lowest loss, and the best lies between them.
Figures 5 to 7.
"""

from collections.abc import Sequence

from experiments.article import facts as article
from experiments.command.experiment import Axis, Experiment, Values
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run

AXES = {"learning_rates": Axis("sgd", "learning_rate", article.SGD_RATES)}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rates x seeds."""
    return grid.product("sgd", {"learning_rate": values["learning_rates"]}, seeds)


EXPERIMENT = Experiment("sgd_learning_rates", "SGD over its learning rate", AXES, make_runs)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    from experiments.command import (
        flags as common,  # its flags are for the module that is run, not for those that import this one
    )

    common.main(EXPERIMENT, argv)


if __name__ == "__main__":
    main()
