"""How a network is told that it trains: by the switches that its function or module has."""

import dataclasses
import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any

from jaxopt_study.errors import InputError

TRAINING = {
    "train": True, "training": True, "is_training": True, "is_train": True,
    "deterministic": False, "use_running_average": False,
}  # fmt: skip
"""The switches that are known, and what each is in training; the reverse in evaluation."""

_NOT_TOLD = "it cannot be told whether that is on in training; allowed are {0} or nothing of the kind: wrap it"


def set_to(names: list[str], train: bool) -> dict[str, bool]:
    """The switches' values."""
    return {name: TRAINING[name] == train for name in names}


def taken_by(function: Callable[..., Any], name: str) -> list[str]:
    """The switches among what a function takes.

    Raises:
        InputError: it takes some other truth value, or whatever it is given: what it does in training is not known.
    """
    parameters = inspect.signature(function).parameters.values()
    for parameter in parameters:
        if parameter.name not in TRAINING and _may_be_one(parameter, function):
            stars = "**" if parameter.kind is Parameter.VAR_KEYWORD else ""
            raise InputError(
                "model", f"{name} that takes {stars}{parameter.name}", _NOT_TOLD.format(", ".join(TRAINING))
            )
    return [parameter.name for parameter in parameters if parameter.name in TRAINING]


def _may_be_one(parameter: Parameter, function: Callable[..., Any]) -> bool:
    if parameter.kind is Parameter.VAR_KEYWORD:  # flax's own, such as Sequential's, are no switches
        return not (getattr(function, "__module__", None) or "").startswith("flax.")
    return isinstance(parameter.default, bool) or "bool" in str(parameter.annotation)


def fields_of(module: Any) -> list[str]:
    """The switches among a dataclass's fields that the caller is not to give: set, or not taken by ``__call__``."""
    taken = inspect.signature(type(module).__call__).parameters
    known = {field.name: getattr(module, field.name) for field in dataclasses.fields(module) if field.name in TRAINING}
    return [n for n, value in known.items() if isinstance(value, bool) or (value is None and n not in taken)]
