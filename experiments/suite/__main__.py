"""Does one rule win on every problem? (the article's rules, tuned on four small problems, one verdict)

    python -m experiments.suite                                   # minutes on two cores
    python -m experiments.suite --optimizers=sgd,adamw,muon --problems=digits_mlp,table
    python -m experiments.suite --costs --json
    python -m experiments.report --workdir=workdir/suite/table    # the page of one problem

The problems: even or odd digits by the article's convolutional network, ten digits by a perceptron, a number from a
table, the next character of a text by a small transformer. Each rule is tuned over five learning rates, half a decade
apart, on each problem. The table has the geometric mean over the problems of each rule's losses over SGD's, mean ranks,
and who reaches a target first, with intervals over the seeds; figures of these, performance profiles and tuning curves;
a page, report.html, and README.md. Press Ctrl-C and give the same command again: it goes on. Expected: no. Adam has the
lowest losses over all, 0.85 of SGD's (0.72 to 1.00), but no other is told from it; its are the lowest on the
convolutional network and the transformer, Nesterov's on the perceptron, SGD's on the table.
experiments/results/suite has what came out; the convolutional network is another rule's on another processor.
"""

import math
from collections.abc import Mapping, Sequence

from experiments.suite import command
from experiments.suite.command import Axes, Comparison
from jaxopt_study.errors import InputError
from jaxopt_study.optimizers import registry

USUAL = {"sgd": -2, "momentum": -3, "nesterov": -3, "rmsprop": -4, "adam": -4, "adagrad": -2}
"""The article's rules, with the power of ten of the lowest learning rate."""


def rules(names: Sequence[str]) -> Mapping[str, Axes]:
    """Five learning rates of each rule, two decades.

    Raises:
        InputError: there is no such rule, or it has no learning rate.
    """
    lowest = {name: USUAL.get(name) for name in names or USUAL}
    powers = {name: below_default(name) if power is None else power for name, power in lowest.items()}
    return {name: {"learning_rate": half_decades(power)} for name, power in powers.items()}


def half_decades(power: float) -> tuple[float, ...]:
    """Five, from ten to this power on."""
    return tuple(10.0 ** (power + step / 2) for step in range(5))


def below_default(name: str) -> float:
    """The power of ten a decade below the default learning rate of a rule, rounded to a half."""
    usual = next((each.default for each in registry.family(name).hyperparameters if each.name == "learning_rate"), None)
    if usual is None:
        raise InputError("--optimizers", name, "allowed are rules with a learning_rate")
    return round(2 * math.log10(usual)) / 2 - 1


COMPARISON = Comparison("suite", "The article's rules over several problems", rules, "sgd")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    command.main(COMPARISON, argv)


if __name__ == "__main__":
    main()
