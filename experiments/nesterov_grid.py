"""Does Nesterov's look-ahead make momentum faster, and where? (section 4 of the article)

    python -m experiments.nesterov_grid                      # scikit-learn's digits, a minute on two cores
    python -m experiments.nesterov_grid --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

Expected: in most cells of the grid it reaches the loss that plain momentum has after 50 epochs in fewer of them.
Figures 22 to 26.
"""

from collections.abc import Sequence

from experiments.article import facts as article
from experiments.command.experiment import Axis, Experiment, Values
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run

AXES = {
    "learning_rates": Axis("nesterov", "learning_rate", article.SGD_RATES),
    "momenta": Axis("nesterov", "momentum", article.MOMENTA),
}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rates x momenta x seeds with plain momentum and with Nesterov's."""
    axes = {"learning_rate": values["learning_rates"], "momentum": values["momenta"]}
    return [run for rule in ("momentum", "nesterov") for run in grid.product(rule, axes, seeds)]


EXPERIMENT = Experiment("nesterov_grid", "Nesterov momentum against momentum", AXES, make_runs)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    from experiments.command import (
        flags as common,  # its flags are for the module that is run, not for those that import this one
    )

    common.main(EXPERIMENT, argv)


if __name__ == "__main__":
    main()
