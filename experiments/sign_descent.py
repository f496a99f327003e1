"""Why does RMSprop fail at rho = 0: is it sign descent with a fixed step, and does a falling rate mend it? (left open)

    python -m experiments.sign_descent                        # scikit-learn's digits, about two minutes on two cores
    python -m experiments.sign_descent --preset=article --max_epochs=200 --decay_epochs=200     # cats_vs_dogs

RMSprop with rho 0 and with the usual 0.9, its rate constant, falling with one over the root of the steps, exponentially
to a hundredth, and in a line to zero over ``--decay_epochs``, which should be ``--max_epochs``; besides plain sign
descent. Expected: sign descent is RMSprop with rho 0, and a rate that falls mends what rho 0 loses at large rates.
Figure sign_descent and tables/sign_descent.csv.
"""

from collections.abc import Mapping, Sequence

from experiments import decaying_rates
from experiments.article import facts as article
from experiments.command.experiment import Axis, Experiment, Values
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run

AXES = {
    "learning_rates": Axis("rmsprop", "learning_rate", article.half_decades(-4, -1)),
    "decays": Axis("rmsprop", "decay", (0.0, 0.9)),
    "decay_epochs": Axis("rmsprop_falling", "decay_epochs", (20.0,)),
}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rates x decays x seeds with each course of the rate, and rates x seeds of sign descent."""
    decaying_rates.add()
    usual = {"learning_rate": values["learning_rates"], "decay": values["decays"]}
    return [
        *grid.product("rmsprop", usual, seeds),
        *grid.product("sign_sgd", {"learning_rate": values["learning_rates"]}, seeds),
        *(run for course in decaying_rates.COURSES.values() for run in _falling(usual, values, course, seeds)),
    ]


def _falling(usual: Values, values: Values, course: Mapping[str, float], seeds: int) -> list[Run]:
    epochs = values["decay_epochs"] if not course["root"] else (1.0,)  # over the root of the steps it has no end
    fixed = {name: (number,) for name, number in course.items()}
    return grid.product("rmsprop_falling", {**usual, "decay_epochs": epochs, **fixed}, seeds)


EXPERIMENT = Experiment("sign_descent", "RMSprop without memory and sign descent", AXES, make_runs)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    from experiments.command import (
        flags as common,  # its flags are for the module that is run, not for those that import this one
    )

    decaying_rates.add()  # the flags' ranges are the rules'
    common.main(EXPERIMENT, argv)


if __name__ == "__main__":
    main()
