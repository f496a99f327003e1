"""How does RMSprop depend on its learning rate and on its decay rho? (section 5 of the article)

    python -m experiments.rmsprop_grid                      # scikit-learn's digits, a minute on two cores
    python -m experiments.rmsprop_grid --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

Expected: without memory (rho 0) it does badly, at 0.001 a larger rho lowers both losses, and large rates do not
converge. Figures 28 and 30 to 32.
"""

from collections.abc import Sequence

from experiments.article import facts as article
from experiments.command.experiment import Axis, Experiment, Values
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run

AXES = {
    "learning_rates": Axis("rmsprop", "learning_rate", article.half_decades(-4, 0)),
    "decays": Axis("rmsprop", "decay", article.DECAYS),
}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rates x decays x seeds."""
    return grid.product("rmsprop", {"learning_rate": values["learning_rates"], "decay": values["decays"]}, seeds)


EXPERIMENT = Experiment("rmsprop_grid", "RMSprop", AXES, make_runs)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    from experiments.command import (
        flags as common,  # its flags are for the module that is run, not for those that import this one
    )

    common.main(EXPERIMENT, argv)


if __name__ == "__main__":
    main()
