"""Any optimizer as a rule of the registry: Optax's aliases or a user's own factory, with a schedule or without."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter
from numbers import Real
from typing import Any

import optax

from jaxopt_study.errors import InputError
from jaxopt_study.identity import identity
from jaxopt_study.optimizers import registry, tracing, triangular
from jaxopt_study.optimizers.family import Family, Hyperparameter
from jaxopt_study.optimizers.scalars import Scalar
from jaxopt_study.optimizers.tracing import Call

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
    ranges = {number.name: number for number in hyperparameters}
    _check_names("hyperparameters", ranges, taken, f" for {label(factory)}")
    text = name or label(factory) + _listed(static or {})
    return _family(text, taken, lambda numbers, steps: factory(**numbers), static or {}, ranges, factory)


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
    rest, factory, rule_name = _rule_parameters(optimizer)
    of_schedule = parameters(schedule)
    names = [parameter.name for parameter in of_schedule]
    for shared in (name for name in names if name in [parameter.name for parameter in rest]):
        raise InputError("schedule", label(schedule), f"it and {rule_name} both take {shared}; rename one of them")
    epochs = list(in_epochs) if in_epochs is not None else ["step_size"] * (schedule is triangular)
    _check_names("in_epochs", epochs, of_schedule)

    def make(numbers: Mapping[str, Any], steps_per_epoch: int) -> optax.GradientTransformation:
        counted = {n: v * steps_per_epoch if n in epochs and v is not None else v for n, v in numbers.items()}
        rate = schedule(**{n: v for n, v in counted.items() if n in names})
        return factory(learning_rate=rate, **{n: v for n, v in numbers.items() if n not in names})

    text = name or f"{rule_name}+{label(schedule)}" + _listed(static or {})
    ranges = {parameter.name: ranged(parameter, "epochs") for parameter in of_schedule if parameter.name in epochs}
    return _family(text, [*of_schedule, *rest], make, static or {}, ranges, (optimizer, schedule, epochs))


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """What a function takes; InputError if it is no function, or cannot be called by names."""
    if not callable(function):
        allowed = "allowed is a name of the registry or a function that returns an optax.GradientTransformation"
        raise InputError("optimizer", repr(function), allowed)
    try:
        taken = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise InputError("optimizer", label(function), "its parameters cannot be seen; wrap it in a function") from None
    if any(parameter.kind is Parameter.POSITIONAL_ONLY for parameter in taken):
        raise InputError("optimizer", label(function), "allowed are parameters that can be given by name")
    return [p for p in taken if p.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)]


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
        defaults = {h.name: Parameter.empty if math.isnan(h.default) else h.default for h in family.hyperparameters}
        taken = [Parameter(name, Parameter.KEYWORD_ONLY, default=default) for name, default in defaults.items()]
        factory, rule_name = lambda **numbers: family.make(numbers, 1), family.name
    else:
        taken, factory, rule_name = parameters(optimizer), optimizer, label(optimizer)
    rest = [parameter for parameter in taken if parameter.name != "learning_rate"]
    if len(rest) == len(taken):
        raise InputError("optimizer", rule_name, "allowed is a rule with a learning_rate, which the schedule gives")
    return rest, factory, rule_name


def _check_names(what: str, names: Iterable[str], taken: Sequence[Parameter], owner: str = "") -> None:
    for name in names:
        registry.check_name(what, name, [parameter.name for parameter in taken], owner)


def _family(
    name: str, taken: Sequence[Parameter], make: Call, static: Mapping[str, Any],
    ranges: Mapping[str, Hyperparameter], code: object,
) -> Family:  # fmt: skip
    _check_names("static", static, taken, f" for {name}")
    free = [parameter for parameter in taken if parameter.name not in static]
    numbers = [p for p in free if p.default is Parameter.empty or _is_number(p.default)]
    blank = [p for p in free if p.default is None and not any(part in p.name.split("_") for part in _NO_NUMBERS)]
    traced, optional, fixed = tracing.traceable(name, make, numbers, blank, static)
    constants = dict(static) | {number.name: number.default for number in numbers if number.name in fixed}
    one_value = "it cannot be an axis of {0} ({1}); allowed is one value, static={{{2!r}: ..}}"
    reasons = {number: one_value.format(name, why, number) for number, why in fixed.items()}
    reasons |= {p: f"it is static, {_short(value)} in all runs of {name}" for p, value in static.items()}

    def make_rule(values: Mapping[str, Scalar], steps_per_epoch: int) -> optax.GradientTransformation:
        return make({**constants, **values}, steps_per_epoch)

    return registry.add(
        Family(
            name=name,
            make=make_rule,
            hyperparameters=tuple(ranges.get(number.name) or ranged(number) for number in traced),
            title=name,
            optional=tuple(ranges.get(number.name) or ranged(number) for number in optional),
            identity=identity(name, code, dict(static), sorted(fixed), of="optimizer"),
            fixed=tuple(reasons.items()),
        )
    )


def ranged(parameter: Parameter, unit: str = "") -> Hyperparameter:
    """A number with the legal range that its name has in Optax; any finite number for other names."""
    name, default = parameter.name, parameter.default
    default = math.nan if default in (None, Parameter.empty) else float(default)
    number = Hyperparameter(name, default, -math.inf, math.inf, unit=unit)
    if name.endswith("learning_rate") or name == "peak_value":
        number = Hyperparameter(name, default, 0.0, math.inf, low_open=True)
    elif name in _SHARES:
        number = Hyperparameter(name, default, 0.0, 1.0)
    elif name in _NOT_NEGATIVE:
        number = Hyperparameter(name, default, 0.0, math.inf, low_open=name == "eps" and default != 0)
    elif name.endswith("_steps") or name == "step_size":
        number = Hyperparameter(name, default, 0.0, math.inf, low_open=True, unit=unit)
    legal = math.isnan(default) or number.low < default < number.high or (default == number.low and not number.low_open)
    return number if legal else Hyperparameter(name, default, -math.inf, math.inf)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _listed(static: Mapping[str, Any]) -> str:
    return "(" + ", ".join(f"{name}={_short(value)}" for name, value in static.items()) + ")" if static else ""


def _short(value: object) -> str:
    return label(value) if callable(value) else repr(value)
