"""Any optimizer as a rule of the registry: Optax's aliases or a user's own factory, with a schedule or without."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter
from typing import Any

import optax

from jaxopt_study.errors import InputError
from jaxopt_study.optimizers import registry, tracing, triangular
from jaxopt_study.optimizers.family import Family, Hyperparameter, ranged
from jaxopt_study.optimizers.parts import (
    Factory,
    check_names,
    family_of_parts,
    inner_rule,
    label,
    listed,
    named,
    parameters,
)
from jaxopt_study.optimizers.protocol import EvalParams
from jaxopt_study.optimizers.scalars import Scalar

_WHOLE_RUN = 2**20
"""Steps of a schedule over the whole run; it is stretched to those that the run has, since Optax's schedules branch on
their length, and that of a run is an argument of the compiled program."""


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
    inner = inner_rule(optimizer)
    rest, rule_name, whole_run = inner.rest, inner.name, inner.whole_run or bool(in_runs)
    of_schedule, unit = parameters(schedule), {peak: 1.0} if peak is not None else {}
    check_names("peak", unit, of_schedule)
    of_schedule = [parameter for parameter in of_schedule if parameter.name not in unit]
    names = [parameter.name for parameter in of_schedule]
    for shared in (name for name in names if name in [parameter.name for parameter in rest]):
        raise InputError("schedule", label(schedule), f"it and {rule_name} both take {shared}; rename one of them")
    epochs = list(in_epochs) if in_epochs is not None else ["step_size"] * (schedule is triangular and not in_runs)
    check_names("in_epochs", epochs, of_schedule)
    check_names("in_runs", in_runs, of_schedule)
    if whole_run and "max_epochs" in [parameter.name for parameter in (*of_schedule, *rest)]:
        what, given = ("in_runs", list(in_runs)) if in_runs else ("optimizer", rule_name)
        raise InputError(what, given, "not allowed where the rule has max_epochs of its own")
    if epochs and in_runs:
        raise InputError("in_runs", list(in_runs), "not allowed with in_epochs; allowed is one of them")

    def make(numbers: Mapping[str, Any], steps_per_epoch: int) -> optax.GradientTransformation:
        units = dict.fromkeys(epochs, steps_per_epoch) | dict.fromkeys(in_runs, _WHOLE_RUN)
        counted = {n: v * units[n] if n in units and v is not None else v for n, v in numbers.items()}
        rate = schedule(**{n: v for n, v in counted.items() if n in names}, **unit)
        others = {n: v for n, v in numbers.items() if n not in names}
        if in_runs:
            rate = _stretched(rate, numbers["max_epochs"] * steps_per_epoch / _WHOLE_RUN)
        if in_runs and not inner.whole_run:
            del others["max_epochs"]
        if unit:
            rate = _times(others.pop("learning_rate"), rate)
        return inner.make({"learning_rate": rate, **others}, steps_per_epoch)

    if unit:
        rest = [Parameter("learning_rate", Parameter.KEYWORD_ONLY), *rest]
    text = named(name, f"{rule_name}+{label(schedule)}" + listed(static or {}))
    ranges = {parameter.name: ranged(parameter, "epochs") for parameter in of_schedule if parameter.name in epochs}
    code = {"its optimizer": inner.code, "its schedule": schedule, "what is in epochs": epochs, "its peak": peak}
    if in_runs:
        code["what is in runs"] = list(in_runs)
    taken, judge = [*of_schedule, *rest], inner.eval_params
    return family_of_parts(text, taken, make, static or {}, ranges, code, judge, whole_run=whole_run)


def _stretched(rate: Callable[[Any], Any], factor: Scalar) -> Callable[[Any], Any]:
    return lambda count: rate(count / factor)


def _times(peak: Scalar, rate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda count: peak * rate(count)


def check_weights(family: Family, numbers: Sequence[str], params: Any) -> None:
    """Tries a rule with the weights of a network: InputError if it cannot update them."""
    build, judge = functools.partial(registry.build, family), registry.eval_params(family, numbers)
    if reason := tracing.trial(build, numbers, params, 10, judge).fault:
        raise InputError("optimizer", family.name, f"it cannot be used with this network: {reason}")
