"""How does momentum change training, and how does it depend on the learning rate? (section 2 of the article)

    python -m experiments.momentum_grid                      # scikit-learn's digits, under a minute on two cores
    python -m experiments.momentum_grid --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

Expected: at a small rate momentum up to 0.9 speeds training up; the larger the rate, the narrower the range of momentum
that still converges. Figures 9 and 11 to 17.
"""

from collections.abc import Sequence

from experiments.article import facts as article
from experiments.command.experiment import Axis, Experiment, Values
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run

AXES = {
    "learning_rates": Axis("momentum", "learning_rate", article.SGD_RATES),
    "momenta": Axis("momentum", "momentum", article.MOMENTA),
}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rates x momenta x seeds."""
    axes = {"learning_rate": values["learning_rates"], "momentum": values["momenta"]}
    return grid.product("momentum", axes, seeds)


EXPERIMENT = Experiment("momentum_grid", "SGD with momentum", AXES, make_runs)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    from experiments.command import (
        flags as common,  # its flags are for the module that is run, not for those that import this one
    )

    common.main(EXPERIMENT, argv)


if __name__ == "__main__":
    main()
