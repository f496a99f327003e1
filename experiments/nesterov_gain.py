"""What decides when Nesterov's look-ahead helps? (left open by the article)

    python -m experiments.nesterov_gain                      # scikit-learn's digits, about two minutes on two cores
    python -m experiments.nesterov_gain --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

The gain is the logarithm of plain momentum's loss over Nesterov's after the same epochs, both with the same seed. Its
rank correlation with what may decide it - the rate, the momentum, the effective rate, how much plain momentum
oscillates - is taken over the grid. Expected: the gain is clear only where the effective rate is so large that plain
momentum is about to fail. Figure nesterov_gain and tables/nesterov_gain.csv.
"""

from collections.abc import Sequence

from experiments.article import facts as article
from experiments.command.experiment import Axis, Experiment, Values
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run

AXES = {
    "learning_rates": Axis("nesterov", "learning_rate", article.half_decades(-3, 0)[:-1]),
    "momenta": Axis("nesterov", "momentum", article.MOMENTA[1:]),
}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rates x momenta x seeds with plain momentum and with Nesterov's."""
    axes = {"learning_rate": values["learning_rates"], "momentum": values["momenta"]}
    return [run for rule in ("momentum", "nesterov") for run in grid.product(rule, axes, seeds)]


EXPERIMENT = Experiment("nesterov_gain", "What Nesterov momentum gains", AXES, make_runs)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    from experiments.command import (
        flags as common,  # its flags are for the module that is run, not for those that import this one
    )

    common.main(EXPERIMENT, argv)


if __name__ == "__main__":
    main()
