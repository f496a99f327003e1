"""Why does momentum 0.99 fail at a rate of 0.01: is it the effective rate? (left open by the article)

    python -m experiments.effective_rate                      # scikit-learn's digits, about two minutes on two cores
    python -m experiments.effective_rate --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

Under a constant gradient the velocity grows to rate / (1 - momentum) gradients, in the average form to rate gradients.
With half decades and momentum 0, 0.9, 0.99 (and with 0.5, 0.95) equal effective rates occur exactly. Expected: the
lowest losses lie on one line over the effective rate and on several over the plain rate, so that 0.99 at 0.01 fails as
plain SGD at 1 does. Figure effective_rate and tables/effective_rate.csv.
"""

from collections.abc import Sequence

from experiments.article import facts as article
from experiments.command.experiment import Axis, Experiment, Values
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run

AXES = {
    "learning_rates": Axis("momentum", "learning_rate", article.half_decades(-3, 0)),
    "momenta": Axis("momentum", "momentum", article.MOMENTA),
}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rates x momenta x seeds in both formulations; momentum 0, which has one, is trained once."""
    rates, momenta = values["learning_rates"], values["momenta"]
    plain = grid.product("momentum", {"learning_rate": rates, "momentum": momenta}, seeds)
    above = [momentum for momentum in momenta if momentum > 0]
    return plain + grid.product("momentum_ema", {"learning_rate": rates, "momentum": above}, seeds)


EXPERIMENT = Experiment("effective_rate", "Momentum and the effective rate", AXES, make_runs)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    from experiments.command import (
        flags as common,  # its flags are for the module that is run, not for those that import this one
    )

    common.main(EXPERIMENT, argv)


if __name__ == "__main__":
    main()
