"""A grid of one rule, as a program gives it."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import optax

from jaxopt_study.errors import InputError
from jaxopt_study.grids import points as space
from jaxopt_study.grids.points import Point, When
from jaxopt_study.grids.ranges import Spec
from jaxopt_study.grids.run import Run, make_run
from jaxopt_study.optimizers import foreign as rules
from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.family import PRECISION, Family
from jaxopt_study.settings import check_whole

Optimizer = str | Family | Callable[..., optax.GradientTransformation]


class Grid(NamedTuple):
    """Configurations of one rule: its name in the registry, the numbers of each that are not its defaults, and which
    rule had the name when they were made."""

    optimizer: str
    points: tuple[Point, ...]
    identity: str = ""


def make_grid(
    optimizer: Optimizer,
    *,
    points: Sequence[Mapping[str, float]] = (),
    paired: Sequence[str] | Sequence[Sequence[str]] = (),
    when: Mapping[str, When] | None = None,
    where: When | None = None,
    samples: int | None = None,
    sampler: str = "random",
    sampler_seed: int = 0,
    **axes: Spec,
) -> Grid:
    """A grid of one rule.

    >>> len(make_grid("momentum", learning_rate="1e-3:1e-1:half_decade", momentum=[0, 0.9]).points)
    10
    >>> make_grid(optax.adamw, learning_rate=0.001, weight_decay=[0, 0.01]).optimizer
    'optax.adamw'

    Besides the rule's own numbers any grid may have ``weight_decay`` (L2: added to the gradient, unless the rule has a
    number of that name), ``max_norm`` (of the gradient; larger ones are scaled down), and in place of the study's
    ``batch_size``, ``max_epochs``, ``patience`` and ``matmul_precision`` (by name).

    Args:
        optimizer: a name of the registry such as ``"momentum"``, an alias of Optax such as ``optax.adamw``, a function
            of numbers that returns an Optax transformation, or what :func:`jaxopt_study.optimizers.foreign.rule` or
            :func:`jaxopt_study.optimizers.foreign.scheduled` returned.
        points: configurations besides those of the axes.
        paired: names of axes that go together, value by value.
        when: axes that a configuration has only where a condition holds.
        where: a condition that leaves configurations out.
        samples: number of configurations drawn from ranges without a step.
        sampler: ``random`` or ``sobol``.
        sampler_seed: of the sampler.
        **axes: values by the names of hyperparameters; see :func:`jaxopt_study.grids.ranges.values`.

    Raises:
        InputError: the message says what was given and what is allowed.
    """
    family = family_of(optimizer)
    for name in (make_grid.__kwdefaults__ or {}).keys() & family.known().keys():
        allowed = f"make_grid itself takes {name}; allowed is another name for the number, or static={{{name!r}: ..}}"
        raise InputError("optimizer", family.name, allowed)
    if when is not None and not isinstance(when, Mapping):
        raise InputError("when", repr(when), "allowed is a table of conditions by the names of axes")
    if isinstance(points, str) or not isinstance(points, Sequence):
        raise InputError("points", repr(points), "allowed is a list of tables of numbers by their names")
    for name, value in axes.items():
        if name not in family.known():
            registry.check(family, {name: value})  # which says why
    found = space.points(
        axes, paired=paired, when=when, where=where, listed=points, samples=samples, sampler=sampler, seed=sampler_seed,
        hyperparameters=family.known(), context={"optimizer": family.name},
    )  # fmt: skip
    if points and not axes:  # the configurations and nothing else
        found = [each for each in found if each]
    for each in found:
        registry.check(family, each)
    return Grid(family.name, tuple(found), family.identity)


def family_of(optimizer: Optimizer) -> Family:
    """The rule that ``optimizer`` stands for.

    Raises:
        InputError: there is none of that name, or the function cannot be used.
    """
    if isinstance(optimizer, str):
        return registry.family(optimizer)
    return registry.add(optimizer) if isinstance(optimizer, Family) else rules.rule(optimizer)


def runs_of(grid: object, seeds: int, sizes: Sequence[int], precisions: Sequence[str] = ()) -> list[Run]:
    """All runs; where there are several batch sizes or precisions, those are numbers of theirs."""
    parts: list[Any] = [grid] if isinstance(grid, Grid) or not isinstance(grid, list | tuple) else list(grid)
    if not parts or not all(isinstance(part, Grid | Run) for part in parts):
        raise InputError("grid", repr(grid), "allowed is what js.make_grid returned, or a list of that")
    for part in parts:
        if isinstance(part, Grid) and registry.family(part.optimizer).identity != part.identity:
            allowed = "its rule was edited since it was made; allowed is a new one, of js.make_grid"
            raise InputError("grid", part.optimizer, allowed)
        if isinstance(part, Run):
            check_whole("seed", part.seed, 0, 2**32 - 1)
            pairs = part.hyperparameters
            if not isinstance(pairs, tuple) or not all(isinstance(each, tuple) and len(each) == 2 for each in pairs):
                raise InputError("hyperparameters", repr(pairs), "allowed are pairs of a name and a number")
    axes: dict[str, dict[Any, None]] = {"batch_size": dict.fromkeys(sizes), PRECISION: dict.fromkeys(precisions)}
    own = {name: list(values) for name, values in axes.items() if len(values) > 1}
    several: list[dict[str, Any]] = [dict(zip(own, each, strict=True)) for each in itertools.product(*own.values())]
    runs: list[Run] = []
    for part in parts:
        points = [dict(part.hyperparameters)] if isinstance(part, Run) else part.points
        of_part = [part.seed] if isinstance(part, Run) else range(seeds)
        runs += [make_run(part.optimizer, {**s, **p}, seed) for s in several for p in points for seed in of_part]
    if not runs:
        raise InputError("grid", "no configuration", "allowed is at least one")
    return runs
