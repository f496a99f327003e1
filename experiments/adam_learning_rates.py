"""How does Adam depend on its learning rate? (section 6 of the article)

    python -m experiments.adam_learning_rates                      # scikit-learn's digits, half a minute on two cores
    python -m experiments.adam_learning_rates --preset=article     # cats_vs_dogs at 128 x 128

Expected: the best rate is about 0.001, and it gets worse above. Figures 34 and 35.
"""

from collections.abc import Sequence

from experiments.article import facts as article
from experiments.command.experiment import Axis, Experiment, Values
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run

AXES = {"learning_rates": Axis("adam", "learning_rate", article.half_decades(-4, 0))}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rates x seeds at the default betas."""
    return grid.product("adam", {"learning_rate": values["learning_rates"]}, seeds)


EXPERIMENT = Experiment("adam_learning_rates", "Adam over its learning rate", AXES, make_runs)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    from experiments.command import (
        flags as common,  # its flags are for the module that is run, not for those that import this one
    )

    common.main(EXPERIMENT, argv)


if __name__ == "__main__":
    main()
