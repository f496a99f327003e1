"""Which learning rates can each rule be trained with at all? (Smith's learning rate range test, for all rules at once)

    python -m experiments.lr_range_test                           # scikit-learn's digits, minutes on two cores
    python -m experiments.lr_range_test --learning_rates=1e-6:10:third_decade --seeds=5
    python -m experiments.lr_range_test --where="optimizer in ('adam', 'rmsprop')"

Leslie Smith (Cyclical learning rates for training neural networks, https://arxiv.org/abs/1506.01186, section 3.3)
lets the rate of one run grow from step to step and watches the loss. Here every rate has a run of its own, for one
epoch, all rules, rates and seeds in one sweep. That answers the same question - does this rate lower the loss, does it
raise it? - without what blurs the growing rate: each loss belongs to one rate alone, not to the weights and moments
that smaller rates have left behind, there is no lag between a rate that is too large and the loss that shows it, and
the seeds give a band. It costs as many epochs as there are rates, which is what training many runs at once is for.

The loss is that of training, as in the paper: after one epoch the moving averages of batch normalisation, which the
validation loss uses, still lag behind. Each rule keeps its own defaults; the cyclical rate is left out, whose rate is
what the test is for. Expected: the rules that divide by the size of the gradient learn from rates a hundred times
smaller than plain SGD, and break down earlier. Leaves figures/lr_range_test.png and
tables/lr_range_test.csv.
"""

from collections.abc import Sequence

from experiments.command.experiment import Axis, Experiment, Values
from experiments.command.plain import first_as_momentum
from jaxopt_study.grids import ranges
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run
from jaxopt_study.optimizers import registry

AXES = {"learning_rates": Axis("sgd", "learning_rate", tuple(ranges.values("1e-6:10:half_decade")), "every rule")}
PRESETS = {name: {"max_epochs": 1, "seeds": 2} for name in ("quick", "article")}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rules with a learning rate x rates x seeds."""
    rules = [name for name, family in registry.OPTIMIZERS.items() if family.has("learning_rate")]
    axes = {"learning_rate": values["learning_rates"]}
    return first_as_momentum([run for rule in rules for run in grid.product(rule, axes, seeds)])


EXPERIMENT = Experiment("lr_range_test", "The learning rate range test", AXES, make_runs, presets=PRESETS)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    from experiments.command import (
        flags as common,  # its flags are for the module that is run, not for those that import this one
    )

    common.main(EXPERIMENT, argv)


if __name__ == "__main__":
    main()
