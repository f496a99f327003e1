"""What changes where the velocity is an average of the gradients? (section 3 of the article)

    python -m experiments.momentum_formulations                      # scikit-learn's digits, half a minute on two cores
    python -m experiments.momentum_formulations --preset=article     # cats_vs_dogs at 128 x 128

Besides both formulations at the same numbers it trains plain momentum at (1 - momentum) times the rate, which computes
the same weights as the average form. Expected: in the average form higher momentum slows convergence, and the two
formulations at matched rates agree up to rounding. Figures 19 and 20.
"""

from collections.abc import Sequence

from experiments.article import facts as article
from experiments.command.experiment import Axis, Experiment, Values
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run

AXES = {
    "learning_rates": Axis("momentum_ema", "learning_rate", (0.01,)),
    "momenta": Axis("momentum_ema", "momentum", article.MOMENTA),
}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rates x momenta x seeds in both formulations, and the plain form at the matched rates."""
    axes = {"learning_rate": values["learning_rates"], "momentum": values["momenta"]}
    both = [run for rule in ("momentum", "momentum_ema") for run in grid.product(rule, axes, seeds)]
    matched = [
        grid.make_run("momentum", {"learning_rate": matched_rate(rate, momentum), "momentum": momentum}, seed)
        for rate in values["learning_rates"]
        for momentum in values["momenta"]
        for seed in range(seeds)
    ]
    return both + matched


def matched_rate(rate: float, momentum: float) -> float:
    """The rate of the plain form that does the same, without the last digits of 1 - 0.9."""
    return float(f"{rate * (1 - momentum):.9g}")


EXPERIMENT = Experiment("momentum_formulations", "The two formulations of momentum", AXES, make_runs)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    from experiments.command import (
        flags as common,  # its flags are for the module that is run, not for those that import this one
    )

    common.main(EXPERIMENT, argv)


if __name__ == "__main__":
    main()
