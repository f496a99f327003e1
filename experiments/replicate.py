"""What of the article holds? (all its sections: one study, their figures, and a verdict on each of the claims)

    python -m experiments.replicate --preset=quick       # scikit-learn's digits, minutes on two cores
    python -m experiments.replicate --preset=article     # cats_vs_dogs at 128 x 128, for a GPU or a TPU

A configuration that several experiments share is trained once, and so is momentum 0 of all rules. Expected: report.html
with about forty figures and 43 verdicts; with few seeds and epochs many of them are undecided.
"""

from collections.abc import Sequence

from experiments.command import catalogue
from experiments.command.experiment import Experiment, Values
from experiments.command.plain import first_as_momentum
from jaxopt_study.grids.run import Run


def make_runs(values: Values, seeds: int) -> list[Run]:
    """The runs of all grids."""
    return first_as_momentum([run for each in catalogue.GRIDS for run in each.make_runs(each.defaults, seeds)])


EXPERIMENT = Experiment(
    "replicate",
    "The article's experiments",
    {},
    make_runs,
    presets={"quick": {"seeds": 3}},
    parts={**{each.name: each.defaults for each in catalogue.GRIDS}, "compare": None},
)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    from experiments.command import (
        flags as common,  # its flags are for the module that is run, not for those that import this one
    )

    common.main(EXPERIMENT, argv)


if __name__ == "__main__":
    main()
