"""Which optimizer of today is the best one, if each may try as many configurations? (the article's question again)

    python -m experiments.optimizers_2026                                # the suite's problems
    python -m experiments.optimizers_2026 --problems=digits_cnn,digits_mlp --costs
    python -m experiments.optimizers_2026 --problems=cats_vs_dogs_32     # the article's data at 32 pixels: 93 minutes
    python -m experiments.optimizers_2026 --optimizers=adamw,soap --where="learning_rate < 0.1" --until=decided
    python -m experiments.optimizers_2026 --output=experiments/results/optimizers_2026     # once more the small part

Twelve rules, each with the same tuning budget on each problem: five learning rates, half a decade apart, and two values
of the number that its authors tune next, at a constant rate and, but for the schedule-free rule, with a cosine decay to
zero at the end of the run. One table over the problems: geometric means of losses over AdamW's, ranks, performance
profiles; on each problem what tuning buys: the loss to be expected of the best of so many configurations. ``--costs``
measures what a step of each rule costs over SGD's, and judges at equal time too. README.md in the work directory is the
page. Expected, on the suite's problems and the photographs: three seeds tell no rule from the first, which is SOAP
(with a decay 0.89 of AdamW's loss, 0.84 to 0.94); a decay to zero lowers the mean loss of all eleven rules on the
photographs (AdamW's from 0.58 to 0.50), of seven at most on another problem, of none on `digits_cnn`; at equal time
schedule-free AdamW comes first, and Muon and SOAP, which cost several steps of SGD, are behind it, with 1.26 to 1.44 of
AdamW's loss. experiments/results/optimizers_2026 has what came out.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.article import facts
from experiments.suite import command
from experiments.suite.command import Axes, Comparison
from jaxopt_study.errors import InputError
from jaxopt_study.identity import identity
from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.family import Family
from jaxopt_study.optimizers.scalars import Scalar, Schedule, as_float32


class Budget(NamedTuple):
    """What of a rule is tried: half decades from ten to this power on, and two values of another number."""

    power: int
    number: str
    values: tuple[float, float]


DECADES = 2
BUDGETS: Mapping[str, Budget] = {
    "momentum": Budget(-3, "momentum", (0.9, 0.95)),
    "adamw": Budget(-4, "weight_decay", (0.0, 0.1)),
    "lion": Budget(-5, "weight_decay", (0.0, 1.0)),
    "adan": Budget(-4, "weight_decay", (0.0, 0.1)),
    "ademamix": Budget(-4, "b3", (0.99, 0.999)),
    "adopt": Budget(-4, "b2", (0.99, 0.9999)),
    "prodigy": Budget(-1, "weight_decay", (0.0, 0.1)),
    "schedule_free_adamw": Budget(-3, "b1", (0.9, 0.98)),
    "muon": Budget(-3, "adam_share", (0.05, 0.2)),
    "soap": Budget(-4, "weight_decay", (0.0, 0.1)),
    "cautious_adamw": Budget(-4, "weight_decay", (0.0, 0.1)),
    "mars_adamw": Budget(-4, "gamma", (0.025, 0.1)),
}
"""Around the rates that the rules' authors, or Optax, have as defaults."""
WITHOUT_SCHEDULE = ("schedule_free_adamw",)
COSINE = "_cosine"


def cosine(rate: Scalar, steps: Scalar) -> Schedule:
    r"""A rate that falls to zero: :math:`rate \cdot (1 + \cos(\pi \cdot \min(1, count / steps))) / 2`.

    References:
        Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, 2016,
        https://arxiv.org/abs/1608.03983
    """

    def schedule(count: jax.Array) -> jax.Array:
        return rate * 0.5 * (1.0 + jnp.cos(jnp.pi * jnp.minimum(1.0, count / steps)))

    return schedule


def add_rules() -> None:
    """Adds the rules with a cosine decay to the registry; again changes nothing."""
    for name in BUDGETS:
        if name not in WITHOUT_SCHEDULE:
            base = registry.family(name)
            title, made_by = f"{base.title}, cosine decay", identity(name, COSINE)
            make = partial(_with_cosine, base)
            registry.add(
                Family(
                    f"{name}{COSINE}", make, base.hyperparameters, title, identity=made_by, whole_run=True,
                    treats=base.treats,
                )
            )  # fmt: skip


def _with_cosine(base: Family, numbers: Mapping[str, Scalar], steps_per_epoch: int) -> optax.GradientTransformation:
    own: dict[str, Any] = {name: value for name, value in numbers.items() if name != "max_epochs"}
    rate, epochs = (as_float32(name, numbers[name]) for name in ("learning_rate", "max_epochs"))
    own["learning_rate"] = cosine(rate, epochs * steps_per_epoch)
    return base.make(own, steps_per_epoch)


def rules(names: Sequence[str]) -> Mapping[str, Axes]:
    """Five rates and two values of another number of each rule, at a constant rate, then with a decay.

    Raises:
        InputError: a rule is not one of these.
    """
    add_rules()
    decayed = [f"{rule}{COSINE}" for rule in BUDGETS if rule not in WITHOUT_SCHEDULE]
    every = {rule: _axes(BUDGETS[rule.removesuffix(COSINE)]) for rule in (*BUDGETS, *decayed)}
    for name in names:
        if name not in every:
            raise InputError("--optimizers", name, f"allowed are {', '.join(every)}")
    return {name: every[name] for name in names or every}


def _axes(budget: Budget) -> Axes:
    rates = facts.half_decades(budget.power, budget.power + DECADES)
    return {"learning_rate": rates, budget.number: budget.values}


COMPARISON = Comparison("optimizers_2026", "Twelve optimizers of 2026 with equal tuning budgets", rules, "adamw")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    command.main(COMPARISON, argv)


if __name__ == "__main__":
    main()
