"""How does Adam depend on the decays of its two moments? (section 6 of the article)

    python -m experiments.adam_betas                      # scikit-learn's digits, half a minute on two cores
    python -m experiments.adam_betas --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

Expected: small differences; beta 1 = 0.5 with beta 2 = 0.999 is slightly better than the default. Figures 36 and 37.
"""

from collections.abc import Sequence

from experiments.command.experiment import Axis, Experiment, Values
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run

AXES = {
    "learning_rates": Axis("adam", "learning_rate", (0.001,)),
    "b1s": Axis("adam", "b1", (0.5, 0.9, 0.95)),
    "b2s": Axis("adam", "b2", (0.9, 0.99, 0.999)),
}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rates x betas x seeds."""
    axes = {"learning_rate": values["learning_rates"], "b1": values["b1s"], "b2": values["b2s"]}
    return grid.product("adam", axes, seeds)


EXPERIMENT = Experiment("adam_betas", "Adam over its betas", AXES, make_runs)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    from experiments.command import (
        flags as common,  # its flags are for the module that is run, not for those that import this one
    )

    common.main(EXPERIMENT, argv)


if __name__ == "__main__":
    main()
