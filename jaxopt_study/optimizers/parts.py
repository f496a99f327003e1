"""What a rule of the user's own is made of: functions, their parameters and names, and the family that they become."""

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter
from numbers import Real
from types import NoneType
from typing import Any, NamedTuple

import numpy as np
import optax
import optax.contrib

from jaxopt_study.errors import InputError
from jaxopt_study.identity import identity
from jaxopt_study.identity.packages import version
from jaxopt_study.optimizers import registry, tracing
from jaxopt_study.optimizers.family import Family, Hyperparameter, ranged
from jaxopt_study.optimizers.protocol import EvalParams
from jaxopt_study.optimizers.scalars import Scalar
from jaxopt_study.optimizers.tracing import Call

Factory = Callable[..., optax.GradientTransformation]

MOST_LETTERS = 100
"""Of a rule's name."""

_NO_NUMBERS = ("mask", "dtype", "key", "seed")


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
    """``optax.adamw``, ``optax.contrib.muon``, or a user's function by its own name and what ``partial`` gave it."""
    for prefix, members in (("optax", vars(optax)), ("optax.contrib", vars(optax.contrib))):
        for public in (name for name, value in members.items() if value is function and name[0] != "_"):
            return f"{prefix}.{public}"
    if isinstance(function, functools.partial):
        given = dict(zip(inspect.signature(function.func).parameters, function.args, strict=False))
        return label(function.func) + listed({**given, **function.keywords})
    name = getattr(function, "__name__", type(function).__name__)
    if (getattr(function, "__module__", "") or "").partition(".")[0] == "optax":
        return f"optax.{name}"
    return f"lambda-{identity(function, of='optimizer')[:4]}" if name == "<lambda>" else name


class Inner(NamedTuple):
    """The rule within one with a schedule or a wrapper.

    Attributes:
        rest: its parameters but the learning rate.
        make: builds it.
        name: of it.
        code: what tells it from others: a factory, a name of this project's own, or the rule that has the name.
        eval_params: as in :class:`~jaxopt_study.optimizers.family.Family`.
        whole_run: likewise.
    """

    rest: list[Parameter]
    make: Call
    name: str
    code: Factory | str | Family
    eval_params: EvalParams | None = None
    whole_run: bool = False


def inner_rule(optimizer: Factory | str) -> Inner:
    """What is known of a factory, or of the rule that has a name."""
    if isinstance(optimizer, str):
        family = registry.family(optimizer)
        defaults = {h.name: Parameter.empty if math.isnan(h.default) else h.default for h in family.hyperparameters}
        taken = [Parameter(name, Parameter.KEYWORD_ONLY, default=default) for name, default in defaults.items()]
        code = family if family.identity else family.name
        inner = Inner(taken, family.make, family.name, code, family.eval_params, family.whole_run)
    else:
        taken = parameters(optimizer)
        inner = Inner(taken, lambda numbers, steps_per_epoch: optimizer(**numbers), label(optimizer), optimizer)
    rest = [parameter for parameter in taken if parameter.name != "learning_rate"]
    if len(rest) == len(taken):
        raise InputError("optimizer", inner.name, "allowed is a rule with a learning_rate, which the schedule gives")
    return inner._replace(rest=rest)


def check_names(what: str, names: Iterable[str], taken: Sequence[Parameter], owner: str = "") -> None:
    """Refuses names that are none of the parameters'."""
    for name in names:
        registry.check_name(what, name, [parameter.name for parameter in taken], owner)


def family_of_parts(
    name: str, taken: Sequence[Parameter], make: Call, static: Mapping[str, Any],
    ranges: Mapping[str, Hyperparameter], code: Mapping[str, object], eval_params: EvalParams | None = None,
    *, whole_run: bool = False,
) -> Family:  # fmt: skip
    """The rule that ``make`` builds of parameters, tried and added to the registry; ``code`` tells it from others."""
    check_names("static", static, taken, f" for {name}")
    free = [parameter for parameter in taken if parameter.name not in static]
    off = [p for p in free if _is_number(p.default) and not math.isfinite(p.default)]  # as a clip of infinity is
    numbers = [p for p in free if p.default is Parameter.empty or (_is_number(p.default) and p not in off)]
    blank = [p for p in free if p.default is None and not any(part in p.name.split("_") for part in _NO_NUMBERS)]
    some_run = {"max_epochs": 100.0} if whole_run else {}
    tried = tracing.traceable(name, make, numbers, [*off, *blank], {**static, **some_run}, eval_params)
    traced, optional, fixed, untried = tried.numbers, tried.optional, tried.fixed, tried.untried
    constants = dict(static) | {number.name: number.default for number in numbers if number.name in fixed}
    reasons = {n: f"it cannot be an axis of {name} ({why}); {tracing.one_value(n)}" for n, why in fixed.items()}
    reasons |= {p: f"it is static, {_short(value)} in all runs of {name}" for p, value in static.items()}

    def make_rule(values: Mapping[str, Scalar], steps_per_epoch: int) -> optax.GradientTransformation:
        return make({**constants, **values}, steps_per_epoch)

    parts = {**code, **{f"static {n}": static[n] for n in sorted(static)}, "hyperparameters": sorted(ranges.items())}
    if judged := eval_params or tried.judged_by:
        parts["its evaluation weights"] = judged

    def digests() -> list[str]:
        return [identity(_told(part), of="optimizer") for part in parts.values()]

    def identified() -> str:
        return identity(name, digests(), sorted(fixed))

    made_of = tuple(zip(parts, digests(), map(_origin, parts.values()), strict=True))
    return registry.add(
        Family(
            name=name,
            make=make_rule,
            hyperparameters=tuple(ranges.get(number.name) or ranged(number) for number in traced),
            title=name,
            optional=tuple(ranges.get(number.name) or ranged(number) for number in optional),
            identity=identified(),
            fixed=tuple(reasons.items()),
            made_of=made_of,
            untried=untried,
            eval_params=eval_params,
            whole_run=whole_run,
            code=identified,
        )
    )


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _told(part: object) -> object:
    """A part as it is now, for its identity; a rule of the registry by its name and its own."""
    return (part.name, part.code() if part.code else part.identity) if isinstance(part, Family) else part


def _origin(value: Any) -> str:
    """Where a function of the user's own stands, so that another one there is the same one edited, and so for a rule
    the name that it has in the registry; empty for others."""
    if isinstance(value, Family):
        return f"the rule {value.name}"
    function = value.func if isinstance(value, functools.partial) else value
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "<")
    return "" if "<" in name or module is None or version(module) is not None else f"{module}.{name}"


def named(given: object, made: str) -> str:
    """The name of a rule: the one that is given, or one made of what it is; files and tables are named after it."""
    if given is None:
        return made if len(made) <= MOST_LETTERS else f"{made[: MOST_LETTERS - 5]}-{identity(made)[:4]}"
    if not isinstance(given, str) or not given.strip() or not given.isprintable() or len(given) > MOST_LETTERS:
        raise InputError("name", repr(given)[:150], f"allowed is text of up to {MOST_LETTERS} letters, in one line")
    return given


def listed(static: Mapping[str, Any]) -> str:
    """``(momentum=0.9)``; empty where nothing is static."""
    return "(" + ", ".join(f"{name}={_short(value)}" for name, value in static.items()) + ")" if static else ""


def _short(value: Any) -> str:
    if callable(value):
        return label(value)
    value = value.item() if isinstance(value, np.generic) else value
    return repr(value) if isinstance(value, Real | str | NoneType) else type(value).__name__
