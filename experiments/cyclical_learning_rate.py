"""What does a learning rate that goes up and down do to SGD? (section 8 of the article)

    python -m experiments.cyclical_learning_rate                      # scikit-learn's digits, seconds
    python -m experiments.cyclical_learning_rate --preset=article     # cats_vs_dogs at 128 x 128

Expected: the training loss goes up and down with the cycle, the validation loss less so. Figures 43 and 44.
"""

from collections.abc import Sequence

from experiments.command.experiment import Axis, Experiment, Values
from jaxopt_study.errors import InputError
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run

AXES = {
    "base_learning_rates": Axis("cyclical", "base_learning_rate", (0.1,)),
    "max_learning_rates": Axis("cyclical", "max_learning_rate", (0.4,)),
    "step_sizes": Axis("cyclical", "step_size", (4.0,)),
}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Bases x maxima x half-cycles x seeds.

    Raises:
        InputError: a base is above a maximum.
    """
    lowest = min(values["max_learning_rates"])
    for base in values["base_learning_rates"]:
        if base > lowest:
            raise InputError("--base_learning_rates", base, f"allowed is at most {lowest}, of --max_learning_rates")
    axes = {
        "base_learning_rate": values["base_learning_rates"],
        "max_learning_rate": values["max_learning_rates"],
        "step_size": values["step_sizes"],
    }
    return grid.product("cyclical", axes, seeds)


EXPERIMENT = Experiment("cyclical_learning_rate", "The cyclical learning rate", AXES, make_runs)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    from experiments.command import (
        flags as common,  # its flags are for the module that is run, not for those that import this one
    )

    common.main(EXPERIMENT, argv)


if __name__ == "__main__":
    main()
