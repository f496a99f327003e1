"""Which optimizer of today is the best one, if each may try as many configurations? (the article's question again)

    python -m experiments.optimizers_2026                      # scikit-learn's digits, minutes on two cores
    python -m experiments.optimizers_2026 --preset=article     # cats_vs_dogs at 32 x 32 pixels, 20 epochs
    python -m experiments.optimizers_2026 --preset=article --max_epochs=60

Twelve rules, each with the same tuning budget: five learning rates, half a decade apart, and two values of the number
that its authors tune next, at a constant rate and, but for the schedule-free rule, with a cosine decay to zero at the
end of the run. The figure is what tuning buys: the loss to be expected of the best of so many configurations, chosen by
one half of the seeds and told by the other. ``--costs`` measures what a step of each rule costs over SGD's, for losses
at equal time. Expected: a decay to zero matters more than the rule. Figure and table optimizers_2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.article import facts
from experiments.command import flags
from experiments.command.experiment import Answer, Experiment, Values
from jaxopt_study.analysis.runs import by_rule
from jaxopt_study.analysis.tuning import TuningCurve, tuning_curves, winners
from jaxopt_study.grids.run import Run, product
from jaxopt_study.identity import identity
from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.family import Family
from jaxopt_study.optimizers.scalars import Scalar, Schedule, as_float32

if TYPE_CHECKING:
    from jaxopt_study.plots.picture import Picture, Source


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


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rules x rates x two values x seeds, at a constant rate, then with a decay."""
    del values  # it has no axes of flags
    add_rules()
    constant, decayed = [], []
    for rule, budget in BUDGETS.items():
        rates = facts.half_decades(budget.power, budget.power + DECADES)
        axes = {"learning_rate": rates, budget.number: budget.values}
        constant += product(rule, axes, seeds)
        if rule not in WITHOUT_SCHEDULE:
            decayed += product(f"{rule}{COSINE}", axes, seeds)
    return [*constant, *decayed]


TRIES = (1, 3, 10)
"""Configurations tried of which the table tells."""


def table(source: Source) -> Answer:
    """A row a rule, the best first: the loss to be expected after so many tries, with all of them its interval and how
    far it is behind the best, and which rule wins."""
    curves = _curves(source)
    columns = (
        "optimizer", *(f"loss_after_{tried}" for tried in TRIES), "low", "high", "behind", "behind_low", "behind_high",
        "wins_after", "seeds",
    )  # fmt: skip
    first = winners(curves) if curves else []
    rows: list[tuple[str | float | None, ...]] = []
    for curve in sorted(curves, key=lambda curve: curve.expected[-1].value):
        last, behind = curve.expected[-1], curve.behind[-1]
        losses = (curve.expected[min(tried, len(curve.expected)) - 1].value for tried in TRIES)
        wins = ", ".join(str(at + 1) for at, name in enumerate(first) if name == curve.optimizer)
        ends = (None, None) if not behind.value else (behind.low, behind.high)
        rows.append((curve.optimizer, *losses, last.low, last.high, behind.value, *ends, wins, last.seeds))
    return columns, rows


def _curves(source: Source) -> list[TuningCurve]:
    return tuning_curves(by_rule([run for run in source.histories if run.status != "failed"]), source.chance)


def picture(source: Source) -> Picture:
    """The figure of what tuning buys. Raises NotDrawable: there are not two rules with two configurations each."""
    from jaxopt_study.plots import tuning  # Matplotlib takes its time to import

    return tuning.picture(source)._replace(name="optimizers_2026")


SMALL = {"image_size": 32, "max_epochs": 20, "seeds": 3}
EXPERIMENT = Experiment(
    "optimizers_2026", "Optimizers of 2026 with equal tuning budgets", {}, make_runs,
    figures=((0, picture),), table=table, presets={"article": SMALL}, own_rules=True,
)  # fmt: skip


main = flags.command(EXPERIMENT)

if __name__ == "__main__":
    main()
