"""Any optimizer as a rule of the registry: Optax's aliases or a user's own factory, with a schedule or without."""

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter
from numbers import Real
from types import NoneType
from typing import Any

import numpy as np
import optax
import optax.contrib

from jaxopt_study.errors import InputError
from jaxopt_study.identity import identity
from jaxopt_study.identity.packages import version
from jaxopt_study.optimizers import registry, tracing, triangular
from jaxopt_study.optimizers.family import Family, Hyperparameter, ranged
from jaxopt_study.optimizers.protocol import EvalParams
from jaxopt_study.optimizers.scalars import Scalar
from jaxopt_study.optimizers.tracing import Call

Factory = Callable[..., optax.GradientTransformation]

_WHOLE_RUN = 2**20
"""Steps of a schedule over the whole run; it is stretched to those that the run has, since Optax's schedules branch on
their length, and that of a run is an argument of the compiled program."""

MOST_LETTERS = 100
"""Of a rule's name."""

_NO_NUMBERS = ("mask", "dtype", "key", "seed")


def rule(
    factory: Factory,
    name: str | None = None,
    *,
    static: Mapping[str, Any] | None = None,
    hyperparameters: Iterable[Hyperparameter] = (),
    eval_params: EvalParams | None = None,
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
        eval_params: ``(state, params) -> params``, the weights to be judged (validated, saved), from the state and the
            weights that are trained, where they are not these: an average of a rule's own, say. Those of Optax's
            schedule-free rules, Lookahead and SAM are known. Batch norm's statistics are estimated again for them.

    Raises:
        InputError: the factory cannot be used; the message says why.
    """
    taken = parameters(factory)
    ranges = {number.name: number for number in hyperparameters}
    check_names("hyperparameters", ranges, taken, f" for {label(factory)}")
    text = named(name, label(factory) + listed(static or {}))
    code = {"its code": factory}

    def make(numbers: Mapping[str, Any], steps_per_epoch: int) -> optax.GradientTransformation:
        del steps_per_epoch
        return factory(**numbers)

    return family_of_parts(text, taken, make, static or {}, ranges, code, eval_params)


def scheduled(
    optimizer: Factory | str,
    schedule: Callable[..., Any],
    name: str | None = None,
    *,
    static: Mapping[str, Any] | None = None,
    in_epochs: Sequence[str] | None = None,
    in_runs: Sequence[str] = (),
    peak: str | None = None,
) -> Family:
    """Makes a rule whose learning rate follows a schedule; the schedule's numbers are hyperparameters too.

    Optax's cosine schedule branches on its length, so that this cannot be an axis. It is static then; several lengths
    are several rules of one study. A rate that it branches on is an axis as the ``peak``, or in a function of one's
    own, whose parameters are axes.

    >>> cosine, length = optax.cosine_decay_schedule, {"decay_steps": 20}
    >>> family = scheduled(optax.adam, cosine, static=length, in_epochs=["decay_steps"])
    >>> [each.name for each in family.hyperparameters]
    ['init_value', 'alpha', 'exponent', 'b1', 'b2', 'eps', 'eps_root']
    >>> numbers = {"init_value": 0.0, "warmup_steps": 2, "decay_steps": 20}
    >>> warmup = optax.warmup_cosine_decay_schedule
    >>> scheduled(optax.sgd, warmup, static=numbers, in_epochs=["warmup_steps", "decay_steps"], peak="peak_value").name
    'optax.sgd+optax.warmup_cosine_decay_schedule(init_value=0.0, warmup_steps=2, decay_steps=20)'

    Args:
        optimizer: a factory that takes a ``learning_rate``, or the name of a rule of the registry that does.
        schedule: a function of numbers that returns a function of the steps taken so far, such as
            ``optax.linear_schedule`` or ``jaxopt_study.triangular``.
        name: as in :func:`rule`.
        static: as in :func:`rule`, of either.
        in_epochs: numbers of the schedule that are given in epochs where the schedule counts steps; ``step_size`` of
            ``triangular`` if not given.
        in_runs: numbers of the schedule that are given in lengths of the run, its ``max_epochs``, where the schedule
            counts steps: with 1 for its last step the schedule ends where the run's budget does, whatever that is.
        peak: a rate of the schedule that ``learning_rate`` takes the place of: the schedule is made with 1 for it, so
            that its other rates are shares of it, and multiplied.

    Raises:
        InputError: as :func:`rule`, and where the two share the name of a parameter.
    """
    rest, factory, rule_name = rule_parameters(optimizer)
    of_schedule, unit = parameters(schedule), {peak: 1.0} if peak is not None else {}
    check_names("peak", unit, of_schedule)
    of_schedule = [parameter for parameter in of_schedule if parameter.name not in unit]
    names = [parameter.name for parameter in of_schedule]
    for shared in (name for name in names if name in [parameter.name for parameter in rest]):
        raise InputError("schedule", label(schedule), f"it and {rule_name} both take {shared}; rename one of them")
    epochs = list(in_epochs) if in_epochs is not None else ["step_size"] * (schedule is triangular and not in_runs)
    check_names("in_epochs", epochs, of_schedule)
    check_names("in_runs", in_runs, of_schedule)
    if in_runs and "max_epochs" in [parameter.name for parameter in (*of_schedule, *rest)]:
        raise InputError("in_runs", list(in_runs), "not allowed where the rule has max_epochs of its own")
    if epochs and in_runs:
        raise InputError("in_runs", list(in_runs), "not allowed with in_epochs; allowed is one of them")

    def make(numbers: Mapping[str, Any], steps_per_epoch: int) -> optax.GradientTransformation:
        units = dict.fromkeys(epochs, steps_per_epoch) | dict.fromkeys(in_runs, _WHOLE_RUN)
        counted = {n: v * units[n] if n in units and v is not None else v for n, v in numbers.items()}
        rate = schedule(**{n: v for n, v in counted.items() if n in names}, **unit)
        others = {n: v for n, v in numbers.items() if n not in names}
        if in_runs:
            rate = _stretched(rate, others.pop("max_epochs") * steps_per_epoch / _WHOLE_RUN)
        if unit:
            rate = _times(others.pop("learning_rate"), rate)
        return factory(learning_rate=rate, **others)

    if unit:
        rest = [Parameter("learning_rate", Parameter.KEYWORD_ONLY), *rest]
    text = named(name, f"{rule_name}+{label(schedule)}" + listed(static or {}))
    ranges = {parameter.name: ranged(parameter, "epochs") for parameter in of_schedule if parameter.name in epochs}
    code = {"its optimizer": optimizer, "its schedule": schedule, "what is in epochs": epochs, "its peak": peak}
    if in_runs:
        code["what is in runs"] = list(in_runs)
    return family_of_parts(text, [*of_schedule, *rest], make, static or {}, ranges, code, whole_run=bool(in_runs))


def _stretched(rate: Callable[[Any], Any], factor: Scalar) -> Callable[[Any], Any]:
    return lambda count: rate(count / factor)


def _times(peak: Scalar, rate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda count: peak * rate(count)


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


def rule_parameters(optimizer: Factory | str) -> tuple[list[Parameter], Factory, str]:
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
    made_of = tuple((what, identity(part, of="optimizer"), _origin(part)) for what, part in parts.items())
    return registry.add(
        Family(
            name=name,
            make=make_rule,
            hyperparameters=tuple(ranges.get(number.name) or ranged(number) for number in traced),
            title=name,
            optional=tuple(ranges.get(number.name) or ranged(number) for number in optional),
            identity=identity(name, [digest for _, digest, _ in made_of], sorted(fixed)),
            fixed=tuple(reasons.items()),
            made_of=made_of,
            untried=untried,
            eval_params=eval_params,
            whole_run=whole_run,
        )
    )


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _origin(value: Any) -> str:
    """Where a function of the user's own stands, so that another one there is the same one edited; empty for others."""
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


def check_weights(family: Family, numbers: Sequence[str], params: Any) -> None:
    """Tries a rule with the weights of a network: InputError if it cannot update them."""
    build, judge = functools.partial(registry.build, family), registry.eval_params(family, numbers)
    if reason := tracing.trial(build, numbers, params, 10, judge).fault:
        raise InputError("optimizer", family.name, f"it cannot be used with this network: {reason}")
