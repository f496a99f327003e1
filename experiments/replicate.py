"""What of the article holds? (all its sections: one study, their figures, and a verdict on each of the claims)

    python -m experiments.replicate --preset=quick       # scikit-learn's digits, minutes on two cores
    python -m experiments.replicate --preset=article     # cats_vs_dogs at 128 x 128, for a GPU or a TPU

A configuration that several experiments share is trained once, and so is momentum 0 of all rules. Expected: report.html
with about forty figures and, on the photographs, a verdict on each of 43 claims; with few seeds many are undecided, and
those that a study cannot speak to do not apply to it.
"""

from experiments.command import flags
from experiments.command.experiment import Experiment, Values, first_as_momentum, grids
from jaxopt_study.grids.run import Run


def make_runs(values: Values, seeds: int) -> list[Run]:
    """The runs of all grids."""
    return first_as_momentum([run for chapter in grids() for run in chapter.make_runs(chapter.defaults, seeds)])


EXPERIMENT = Experiment(
    "replicate",
    "The article's experiments",
    {},
    make_runs,
    presets={"quick": {"seeds": 3}},
    parts={**{chapter.name: chapter.defaults for chapter in grids()}, "compare": None},
)

main = flags.command(EXPERIMENT)

if __name__ == "__main__":
    main()
