"""A rule around another one: Lookahead, SAM, schedule-free, cautious, or a wrapper of one's own."""

from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any

import optax

from jaxopt_study.errors import InputError
from jaxopt_study.optimizers.family import Family
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

Wrapper = Callable[..., optax.GradientTransformation]
"""``(transformation, numbers by their names) -> transformation``."""


def wrapped(
    wrapper: Wrapper,
    optimizer: Factory | str,
    name: str | None = None,
    *,
    inner: Mapping[str, Any] | None = None,
    static: Mapping[str, Any] | None = None,
    eval_params: EvalParams | None = None,
) -> Family:
    """Makes a rule of a wrapper around a rule; the numbers of both are hyperparameters.

    >>> wrapped(optax.lookahead, "adam", static={"sync_period": 5}).name
    'optax.lookahead(adam, sync_period=5)'
    >>> free = wrapped(optax.contrib.schedule_free, "adam", inner={"b1": 0.0})  # whose b1 takes the place of Adam's
    >>> [number.name for number in free.hyperparameters]
    ['learning_rate', 'b2', 'eps', 'b1', 'weight_lr_power']

    Args:
        wrapper: a function that takes a transformation first, then numbers, such as ``optax.lookahead``,
            ``optax.contrib.schedule_free``, :func:`~jaxopt_study.optimizers.sam` or
            :func:`~jaxopt_study.optimizers.cautious`. A ``learning_rate`` of its own is that of the rule.
        optimizer: a factory that takes a ``learning_rate``, or the name of a rule of the registry that does.
        name: as in :func:`~jaxopt_study.optimizers.foreign.rule`.
        inner: values of the rule's parameters that are the same in all runs.
        static: the same of the wrapper's.
        eval_params: as in :func:`~jaxopt_study.optimizers.foreign.rule`, of the wrapper's state.

    Raises:
        InputError: as :func:`~jaxopt_study.optimizers.foreign.rule`, where the two share the name of a parameter, and
            where the rule has ``eval_params`` of its own, which know nothing of the wrapper's state.
    """
    rule = inner_rule(optimizer)
    of_rule, rule_name = rule.rest, rule.name
    if rule.eval_params is not None and eval_params is None:
        allowed = (
            "its eval_params know its own state; allowed is js.wrapped(.., eval_params=a function of the wrapper's)"
        )
        raise InputError("optimizer", rule_name, allowed)
    first, *of_wrapper = parameters(wrapper) or [Parameter("", Parameter.KEYWORD_ONLY)]
    inner, static = dict(inner or {}), dict(static or {})
    check_names("inner", inner, of_rule, f" for {rule_name}")
    check_names("static", static, of_wrapper, f" for {label(wrapper)}")
    of_rule = [parameter for parameter in of_rule if parameter.name not in inner]
    own = [parameter for parameter in of_wrapper if parameter.name != "learning_rate"]
    names = [parameter.name for parameter in own]
    of_both = {*names} & {*(parameter.name for parameter in of_rule), *["max_epochs"] * rule.whole_run}
    for shared in sorted(of_both):
        allowed = f'{label(wrapper)} and {rule_name} both take {shared}; allowed is inner={{"{shared}": ..}}'
        raise InputError("optimizer", rule_name, allowed)

    def make(numbers: Mapping[str, Any], steps_per_epoch: int) -> optax.GradientTransformation:
        rate = {"learning_rate": numbers["learning_rate"]}
        others = {n: v for n, v in numbers.items() if n not in names and n != "learning_rate"}
        around = {n: v for n, v in numbers.items() if n in names}
        around |= rate if len(own) < len(of_wrapper) else {}
        return wrapper(**{first.name: rule.make({**rate, **inner, **others}, steps_per_epoch)}, **around)

    text = named(name, f"{label(wrapper)}({', '.join([rule_name + listed(inner), listed(static)[1:-1]]).rstrip(', ')})")
    code = {"its wrapper": wrapper, "its optimizer": rule.code, **{f"inner {n}": inner[n] for n in sorted(inner)}}
    taken = [Parameter("learning_rate", Parameter.KEYWORD_ONLY), *of_rule, *own]
    return family_of_parts(text, taken, make, static, {}, code, eval_params, whole_run=rule.whole_run)
