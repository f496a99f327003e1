"""Any optimizer as a rule of the registry: Optax's aliases or a user's own factory, with a schedule or without."""

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import optax

from jaxopt_study.errors import InputError
from jaxopt_study.identity import identity
from jaxopt_study.optimizers import registry, tracing, triangular
from jaxopt_study.optimizers.family import Family, Hyperparameter
from jaxopt_study.optimizers.scalars import Scalar
from jaxopt_study.optimizers.tracing import Call, Parameter

Factory = Callable[..., optax.GradientTransformation]

_SHARES = ("momentum", "decay", "b1", "b2", "b3", "rho")
_NOT_NEGATIVE = ("weight_decay", "eps", "eps_root", "init_value", "end_value", "initial_accumulator_value")
_NO_NUMBERS = ("mask", "dtype", "key", "seed")


def rule(
    factory: Factory,
    name: str | None = None,
    *,
    static: Mapping[str, Any] | None = None,
    hyperparameters: Iterable[Hyperparameter] = (),
) -> Family:
    """Makes a rule of a function that returns an Optax transformation, and adds it to the registry.

    Parameters with numbers as defaults, and those without a default, are hyperparameters: any of them may be an axis of
    a grid. One whose default is None is a hyperparameter where a run gives it. Flags, functions and text are static.
    Which numbers the factory can take from a compiled program is found by trying: a number that it branches on, or that
    sizes an array, is static too.

    >>> rule(optax.lion).name
    'optax.lion'
    >>> rule(optax.sgd, static={"nesterov": True}).name
    'optax.sgd(nesterov=True)'

    Args:
        factory: such as ``optax.adamw``, or a function of one's own.
        name: of the rule in tables, figures and files; made of the factory's name and ``static`` if not given.
        static: values of parameters that are the same in all runs.
        hyperparameters: take the place of those found, to give them other ranges or defaults.

    Raises:
        InputError: the factory cannot be used; the message says why.
    """
    taken = parameters(factory)
    own = label(factory)
    told = {each.name: each for each in hyperparameters}
    for each in told:
        if each not in [parameter.name for parameter in taken]:
            raise registry.unknown("hyperparameters", each, [parameter.name for parameter in taken], f" for {own}")
    text = name or own + _listed(static or {})
    return _family(text, taken, lambda numbers, steps: factory(**numbers), static or {}, told, factory)


def scheduled(
    optimizer: Factory | str,
    schedule: Callable[..., Any],
    name: str | None = None,
    *,
    static: Mapping[str, Any] | None = None,
    in_epochs: Sequence[str] | None = None,
) -> Family:
    """Makes a rule whose learning rate follows a schedule; the schedule's numbers are hyperparameters too.

    Optax's cosine schedule branches on its length, so that this cannot be an axis. It is static then; several lengths
    are several rules of one study.

    >>> cosine, length = optax.cosine_decay_schedule, {"decay_steps": 20}
    >>> family = scheduled(optax.adam, cosine, static=length, in_epochs=["decay_steps"])
    >>> [each.name for each in family.hyperparameters]
    ['init_value', 'alpha', 'exponent', 'b1', 'b2', 'eps', 'eps_root']

    Args:
        optimizer: a factory that takes a ``learning_rate``, or the name of a rule of the registry that does.
        schedule: a function of numbers that returns a function of the steps taken so far, such as
            ``optax.linear_schedule`` or ``jaxopt_study.triangular``.
        name: as in :func:`rule`.
        static: as in :func:`rule`, of either.
        in_epochs: numbers of the schedule that are given in epochs where the schedule counts steps; ``step_size`` of
            ``triangular`` if not given.

    Raises:
        InputError: as :func:`rule`, and where the two share the name of a parameter.
    """
    rest, factory, own = _rule_parameters(optimizer)
    of_schedule = parameters(schedule)
    for each in of_schedule:
        if any(each.name == other.name for other in rest):
            raise InputError("schedule", label(schedule), f"it and {own} both take {each.name}; rename one of them")
    names = [each.name for each in of_schedule]
    epochs = list(in_epochs) if in_epochs is not None else ["step_size"] * (schedule is triangular)
    for each_name in epochs:
        if each_name not in names:
            raise registry.unknown("in_epochs", str(each_name), names)

    def make(numbers: Mapping[str, Any], steps_per_epoch: int) -> optax.GradientTransformation:
        counted = {n: v * steps_per_epoch if n in epochs and v is not None else v for n, v in numbers.items()}
        rate = schedule(**{n: v for n, v in counted.items() if n in names})
        return factory(learning_rate=rate, **{n: v for n, v in numbers.items() if n not in names})

    text = name or f"{own}+{label(schedule)}" + _listed(static or {})
    told = {each.name: ranged(each, "epochs") for each in of_schedule if each.name in epochs}
    return _family(text, [*of_schedule, *rest], make, static or {}, told, (optimizer, schedule, epochs))


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """What a function takes.

    Raises:
        InputError: it is no function, or cannot be called by names.
    """
    if not callable(function):
        allowed = "allowed is a name of the registry or a function that returns an optax.GradientTransformation"
        raise InputError("optimizer", repr(function), allowed)
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise InputError("optimizer", label(function), "its parameters cannot be seen; wrap it in a function") from None
    if any(each.kind is inspect.Parameter.POSITIONAL_ONLY for each in found):
        raise InputError("optimizer", label(function), "allowed are parameters that can be given by name")
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        Parameter(each.name, None if each.default is each.empty else each.default, each.default is each.empty)
        for each in found
        if each.kind not in variadic
    ]


def label(function: Callable[..., Any]) -> str:
    """``optax.adamw``, ``optax.contrib.muon``, or a user's function by its own name."""
    name = getattr(function, "__name__", type(function).__name__)
    module = getattr(function, "__module__", "") or ""
    if module.partition(".")[0] == "optax":
        return f"optax.contrib.{name}" if module.startswith("optax.contrib") else f"optax.{name}"
    return "rule" if name == "<lambda>" else name


def _rule_parameters(optimizer: Factory | str) -> tuple[list[Parameter], Factory, str]:
    """Of what a schedule is to be the rate of: the other parameters, the factory, the name."""
    if isinstance(optimizer, str):
        family = registry.family(optimizer)
        found = [Parameter(h.name, h.default, math.isnan(h.default)) for h in family.hyperparameters]
        factory, own = _factory_of(family), family.name
    else:
        found, factory, own = parameters(optimizer), optimizer, label(optimizer)
    if all(each.name != "learning_rate" for each in found):
        raise InputError("optimizer", own, "allowed is a rule with a learning_rate, which the schedule gives")
    return [each for each in found if each.name != "learning_rate"], factory, own


def _factory_of(family: Family) -> Factory:
    def factory(**numbers: Scalar) -> optax.GradientTransformation:
        return family.make(numbers, 1)

    return factory


def _family(
    name: str, taken: Sequence[Parameter], make: Call, static: Mapping[str, Any],
    told: Mapping[str, Hyperparameter], code: object,
) -> Family:  # fmt: skip
    known = [each.name for each in taken]
    for each in static:
        if each not in known:
            raise registry.unknown("static", str(each), known, f" for {name}")
    open_ = [each for each in taken if each.name not in static]
    numbers = [each for each in open_ if each.required or _is_number(each.default)]
    blank = [each for each in open_ if each.default is None and not each.required and _may_be_number(each.name)]
    found = tracing.traceable(name, make, numbers, blank, static)
    constants = dict(static) | {each.name: each.default for each in numbers if each.name in found.fixed}

    def make_rule(values: Mapping[str, Scalar], steps_per_epoch: int) -> optax.GradientTransformation:
        return make({**constants, **values}, steps_per_epoch)

    return registry.add(
        Family(
            name=name,
            make=make_rule,
            hyperparameters=tuple(told.get(each.name) or ranged(each) for each in found.traced),
            title=name,
            optional=tuple(told.get(each.name) or ranged(each) for each in found.optional),
            identity=identity(name, code, dict(static), sorted(found.fixed)),
            fixed=tuple(_fixed(name, found.fixed, static)),
        )
    )


def _fixed(name: str, fixed: Mapping[str, str], static: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for each, reason in fixed.items():
        yield each, f"it cannot be an axis of {name} ({reason}); allowed is one value, static={{'{each}': ..}}"
    for each, value in static.items():
        yield each, f"it is static, {_short(value)} in all runs of {name}"


def ranged(parameter: Parameter, unit: str = "") -> Hyperparameter:
    """A number with the legal range that its name has in Optax; any finite number for other names."""
    name, default = parameter.name, math.nan if parameter.default is None else float(parameter.default)
    found = Hyperparameter(name, default, -math.inf, math.inf, unit=unit)
    if name.endswith("learning_rate") or name == "peak_value":
        found = Hyperparameter(name, default, 0.0, math.inf, low_open=True)
    elif name in _SHARES:
        found = Hyperparameter(name, default, 0.0, 1.0)
    elif name in _NOT_NEGATIVE:
        found = Hyperparameter(name, default, 0.0, math.inf, low_open=name == "eps" and default != 0)
    elif name.endswith("_steps") or name == "step_size":
        found = Hyperparameter(name, default, 0.0, math.inf, low_open=True, unit=unit)
    legal = math.isnan(default) or (found.low < default < found.high) or (default == found.low and not found.low_open)
    return found if legal else Hyperparameter(name, default, -math.inf, math.inf)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _may_be_number(name: str) -> bool:
    return not any(part in name.split("_") for part in _NO_NUMBERS)


def _listed(static: Mapping[str, Any]) -> str:
    return "(" + ", ".join(f"{name}={_short(value)}" for name, value in static.items()) + ")" if static else ""


def _short(value: object) -> str:
    return label(value) if callable(value) else repr(value)
