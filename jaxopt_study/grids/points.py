"""From axes to points: the configurations of a grid, which is more than the product of lists."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np

from jaxopt_study.errors import InputError, one_line
from jaxopt_study.grids.conditions import Condition, Value, condition, unmet
from jaxopt_study.grids.ranges import Range, Spec, parsed, values
from jaxopt_study.optimizers.family import Hyperparameter
from jaxopt_study.optimizers.registry import check_name

Point = dict[str, float]
When = str | Callable[[Mapping[str, Value]], bool]
"""A condition on a point: text (see conditions) or a function of the point's numbers."""

SAMPLERS = ("random", "sobol")
MOST_POINTS = 100_000
"""Of one grid, and runs: more is a slip of the keyboard."""


class NoneLeft(InputError):
    """No point meets the condition; the message says which values there are."""


def points(
    axes: Mapping[str, Spec],
    *,
    paired: Sequence[str] | Sequence[Sequence[str]] = (),
    when: Mapping[str, When] | None = None,
    where: When | None = None,
    listed: Sequence[Mapping[str, float]] = (),
    samples: int | None = None,
    sampler: str = "random",
    seed: int = 0,
    hyperparameters: Mapping[str, Hyperparameter | None] | None = None,
    context: Mapping[str, str] | None = None,
) -> list[Point]:
    """The configurations that axes stand for, each once; the last axis varies fastest.

    >>> points({"learning_rate": "0.01:0.1:decade", "momentum": [0, 0.9]}, where="momentum > learning_rate")
    [{'learning_rate': 0.01, 'momentum': 0.9}, {'learning_rate': 0.1, 'momentum': 0.9}]
    >>> points({"b1": [0.5, 0.9], "b2": [0.9, 0.999]}, paired=["b1", "b2"])
    [{'b1': 0.5, 'b2': 0.9}, {'b1': 0.9, 'b2': 0.999}]
    >>> len(points({"learning_rate": "1e-4:1:log", "momentum": "0:0.99:linear"}, samples=16, sampler="sobol"))
    16

    Args:
        axes: the values of each axis; see :func:`jaxopt_study.grids.ranges.values`. A range without a step
            (``1e-4:1:log``, ``0:0.99:linear``) is sampled.
        paired: the names of axes that go together, value by value, or several such groups.
        when: axes that a point has only where a condition on its other numbers holds. An axis whose condition on
            ``context`` alone does not hold need not be known.
        where: points for which it does not hold are left out; those that lack a number that it names stay. Conditions
            see defaults of ``hyperparameters`` where a point has no value.
        listed: points besides those of the axes, or the only ones without axes; ``where`` does not touch them.
        samples: number of points drawn from the ranges that have no step, together; each meets every combination of
            the other axes.
        sampler: ``random`` (independent) or ``sobol`` (scrambled Sobol points, which leave smaller gaps).
        seed: of the sampler.
        hyperparameters: what axes may be called, with their legal ranges; None for no range. Any name if not given.
        context: further names for conditions, such as the optimizer's.

    Raises:
        InputError: an unknown name, with the nearest one; an illegal value; axes that cannot be paired; ranges without
            samples or the reverse; more than ``MOST_POINTS`` points; :class:`NoneLeft`.
    """
    when, context = when or {}, context or {}
    known = hyperparameters if hyperparameters is not None else dict.fromkeys(axes)
    defaults = {name: number.default for name, number in known.items() if number and math.isfinite(number.default)}
    facts = {**context, **defaults}
    names = [*known, *axes, *facts]
    fixed = _when(when, axes, names, {})
    never = {name for name, test in fixed.items() if isinstance(when[name], str) and test(context) is False}
    specs = _specs({name: spec for name, spec in axes.items() if name not in never}, known)
    joint = [*_paired(_groups(paired), specs), *_drawn(specs, samples, sampler, seed)]
    blocks = _blocks(specs, joint)
    there = {name: {point[name] for point in block} for block in blocks for name in block[0]}
    conditions, chosen = _when(when, axes, names, there), _condition(where, names, "where", there)
    product = [_conditional(point, facts, conditions) for point in _product(blocks)]
    kept = [point for point in product if chosen(facts | point) is not False] if axes or not listed else []
    if isinstance(where, str) and product and not kept and not listed:
        allowed = f"it leaves none of {len(product)} points; {unmet(where, [facts | point for point in product])}"
        raise NoneLeft("where", where, allowed)
    return _once(kept + [_listed(point, known) for point in listed])


def _specs(axes: Mapping[str, Spec], known: Mapping[str, Hyperparameter | None]) -> dict[str, list[float] | Range]:
    for name in axes:
        check_name("axis", name, known)
    return {name: parsed(spec, known[name], name=name) for name, spec in axes.items()}


def check_size(configurations: int, seeds: int) -> None:
    """Refuses what would keep the machine busy with counting: InputError for more than ``MOST_POINTS`` runs."""
    if configurations * seeds > MOST_POINTS:
        allowed = f"{configurations} configurations with as many seeds each are more than {MOST_POINTS} runs"
        raise InputError("seeds", seeds, allowed)


def _when(
    when: Mapping[str, When], axes: Mapping[str, Spec], names: Sequence[str], values: Mapping[str, Collection[float]]
) -> dict[str, Condition]:
    for name in when:
        check_name("when", name, axes)
    return {name: _condition(test, names, f"when {name}", values) for name, test in when.items()}


def _condition(
    test: When | None, names: Sequence[str], name: str, values: Mapping[str, Collection[float]]
) -> Condition:
    if test is None:
        return lambda point: True
    if callable(test):
        return _own_condition(test, name)
    return condition(test, dict.fromkeys(names), name=name, values=values)


def _own_condition(test: Callable[[Mapping[str, Value]], object], name: str) -> Condition:
    def holds(point: Mapping[str, Value]) -> bool | None:
        try:
            found = test(point)
        except Exception as error:  # a user's function raises what it likes
            given = f"{getattr(test, '__name__', test)} of {dict(point)}"
            raise InputError(name, given, f"it fails with {type(error).__name__}: {one_line(error)}") from error
        try:
            return None if found is None else bool(found)  # truth values of NumPy and JAX are not Python's
        except (TypeError, ValueError):
            raise InputError(name, repr(found), "allowed is a function that returns True or False") from None

    return holds


def _groups(paired: object) -> list[list[str]]:
    groups = [paired] if _are_names(paired) and paired else paired
    if not isinstance(groups, list | tuple) or not all(map(_are_names, groups)):
        raise InputError("paired", paired, "allowed is a list of names of axes, or several such lists")
    for name, count in Counter(name for group in groups for name in group).items():
        if count > 1:
            raise InputError("paired", name, "an axis is paired once")
    return [list(group) for group in groups]


def _are_names(values: object) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(value, str) for value in values)


def _paired(groups: list[list[str]], specs: Mapping[str, list[float] | Range]) -> list[list[Point]]:
    blocks = []
    for group in groups:
        for name in group:
            check_name("paired", name, specs)
            if isinstance(specs[name], Range):
                raise InputError("paired", name, "an axis that is sampled cannot be paired")
        lists = [specs[name] for name in group]
        lengths = [len(values) for values in lists]
        if len(group) < 2 or len(set(lengths)) > 1:
            counts = ", ".join(f"{name} ({number})" for name, number in zip(group, lengths, strict=True))
            raise InputError("paired", counts, "allowed are two or more axes with as many values each")
        blocks.append([dict(zip(group, values, strict=True)) for values in zip(*lists, strict=True)])
    return blocks


def _drawn(specs: Mapping[str, list[float] | Range], samples: int | None, sampler: str, seed: int) -> list[list[Point]]:
    """The samples of all ranges without a step, as one block of points; no block if there is no such range.

    InputError: ranges without samples or the reverse, or one of the arguments is not what it must be.
    """
    ranges = {name: spec for name, spec in specs.items() if isinstance(spec, Range)}
    if not isinstance(sampler, str) or sampler not in SAMPLERS:
        raise InputError("sampler", sampler, f"allowed are {', '.join(SAMPLERS)}")
    if samples is None and not ranges:
        return []
    if samples is None:
        raise InputError("samples", "none", f"{', '.join(ranges)} can only be sampled: say how many samples")
    if not _whole(samples) or not 1 <= samples <= MOST_POINTS:
        raise InputError("samples", samples, f"allowed is a whole number from 1 to {MOST_POINTS}")
    if not _whole(seed) or seed < 0:
        raise InputError("seed", seed, "allowed is a whole number from 0")
    if not ranges:
        raise InputError("samples", samples, "no axis is a range without a step, such as 1e-4:1:log or 0:0.99:linear")
    shares = _shares(samples, len(ranges), sampler, seed)
    return [[{name: of.at(u) for (name, of), u in zip(ranges.items(), row, strict=True)} for row in shares.tolist()]]


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shares(samples: int, axes: int, sampler: str, seed: int) -> np.ndarray:
    """Points of the unit cube, ``[samples, axes]``."""
    generator = np.random.default_rng(seed)
    if sampler == "random":
        return generator.random((samples, axes))
    from scipy.stats import qmc  # takes its time to import

    # Whole powers of two are drawn, which Sobol points are balanced at, and the first of them taken.
    drawn: np.ndarray = qmc.Sobol(axes, rng=generator).random_base2(math.ceil(math.log2(samples)))
    return drawn[:samples]


def _blocks(specs: Mapping[str, list[float] | Range], joint: list[list[Point]]) -> list[list[Point]]:
    """Axes and groups of axes that vary together, in the order of the axes."""
    together = {name: block for block in joint for name in block[0]}
    blocks: list[list[Point]] = []
    for name, spec in specs.items():
        if name not in together:
            blocks.append([{name: value} for value in spec])
        elif not any(together[name] is block for block in blocks):
            blocks.append(together[name])
    return blocks


def _product(blocks: list[list[Point]]) -> Iterator[Point]:
    number = math.prod(map(len, blocks))
    if number > MOST_POINTS:
        raise InputError("axes", f"{number} points", f"allowed are up to {MOST_POINTS}")
    for parts in itertools.product(*blocks):
        yield {name: value for part in parts for name, value in part.items()}


def _conditional(point: Point, facts: Mapping[str, Value], conditions: Mapping[str, Condition]) -> Point:
    """The point without the axes that it does not have; later conditions see the defaults of these."""
    for name, test in conditions.items():
        rest = {other: value for other, value in point.items() if other != name}
        if not test({**facts, **rest}):
            point = rest
    return point


def _listed(point: object, known: Mapping[str, Hyperparameter | None]) -> Point:
    if not isinstance(point, Mapping):
        raise InputError("points", point, "allowed is a table of numbers by their names")
    checked = {}
    for name, value in point.items():
        check_name("points", name, known)
        number = known[name]
        value = number.place(value) if number else value
        numbers = values(value, number, name=name)
        if isinstance(value, str) or len(numbers) != 1 or isinstance(value, Sequence):
            raise InputError(name, value, "allowed is one number")
        checked[name] = numbers[0]
    return checked


def _once(points: Sequence[Point]) -> list[Point]:
    return list({tuple(sorted(point.items())): point for point in reversed(points)}.values())[::-1]
