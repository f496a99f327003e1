"""How does Adagrad depend on its learning rate, and how does it compare with SGD? (section 7 of the article)

    python -m experiments.adagrad_learning_rates                      # scikit-learn's digits, half a minute
    python -m experiments.adagrad_learning_rates --preset=article     # cats_vs_dogs at 128 x 128

Expected: its best rate is at least ten times SGD's; at a small rate it falls behind SGD, since its updates shrink.
Figures 39 to 42.
"""

from collections.abc import Sequence

from experiments.article import facts as article
from experiments.command.experiment import Axis, Experiment, Values
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run

AXES = {
    "learning_rates": Axis("adagrad", "learning_rate", article.half_decades(-3, 0)),
    "sgd_learning_rates": Axis(
        "sgd", "learning_rate", (article.SMALL_RATE, article.LARGE_ADAGRAD_RATE), "the SGD runs beside it"
    ),
}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rates x seeds of Adagrad and of SGD."""
    sgd = grid.product("sgd", {"learning_rate": values["sgd_learning_rates"]}, seeds)
    return sgd + grid.product("adagrad", {"learning_rate": values["learning_rates"]}, seeds)


EXPERIMENT = Experiment("adagrad_learning_rates", "Adagrad over its learning rate", AXES, make_runs)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    from experiments.command import (
        flags as common,  # its flags are for the module that is run, not for those that import this one
    )

    common.main(EXPERIMENT, argv)


if __name__ == "__main__":
    main()
