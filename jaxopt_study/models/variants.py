"""Axes of the network itself, such as width, depth, activation and precision: a network, and a program, a value."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from flax import linen

from jaxopt_study.errors import InputError, one_line
from jaxopt_study.models.build import Model
from jaxopt_study.models.own import model_of, nnx_model

Values = tuple[tuple[str, float], ...]
"""A value of each axis of the network, by its name; of choices the place in their list."""
MOST = 100
"""Networks of a study, a program each: more is a slip of the keyboard."""


class Variants(NamedTuple):
    """The networks of a study.

    Attributes:
        models: by the values of the axes.
        choices: of axes that are no numbers, what each place in the list stands for.
    """

    models: Mapping[Values, Model]
    choices: Mapping[str, Sequence[str]]


def variants(model: Any, axes: Mapping[str, Any]) -> Variants:
    """A network for every combination of the values of axes.

    Args:
        model: a Linen module's class or an NNX module's, or a function; called with a value of each axis by its name
            (an NNX class with ``rngs`` too), it gives a network as :func:`~jaxopt_study.models.own.model_of` takes it.
        axes: lists of values; those that are not all numbers (functions, text, truth values, None) are choices.

    Raises:
        InputError: the model cannot be called with them, or there are too many.
    """
    if not isinstance(axes, Mapping) or not axes or not all(isinstance(name, str) for name in axes):
        raise InputError("model_axes", repr(axes), 'allowed is a dictionary such as {"width": [16, 64]}')
    for name, values in axes.items():
        if not name.isidentifier() or isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise InputError(f"model_axes[{name!r}]", repr(values), "allowed is a list of values")
    if (count := math.prod(map(len, axes.values()))) > MOST:
        raise InputError("model_axes", f"{count} networks", f"allowed are up to {MOST}, each compiled by itself")
    if not callable(model) or isinstance(model, linen.Module | Model):
        given = model.identity.split()[0] if isinstance(model, Model) else type(model).__name__
        allowed = f"allowed with model_axes is what makes it: its class, or a function of {', '.join(axes)}"
        raise InputError("model", given, allowed)
    choices = {name: list(map(_text, values)) for name, values in axes.items() if not all(map(_is_number, values))}
    found = {}
    for places in itertools.product(*(range(len(values)) for values in axes.values())):
        values = {name: axes[name][place] for name, place in zip(axes, places, strict=True)}
        key = [(n, float(p if n in choices else values[n])) for n, p in zip(axes, places, strict=True)]
        found[tuple(key)] = _made(model, values)
    if len(found) < count or len({each.identity for each in found.values()}) < count:
        raise InputError("model_axes", repr(dict(axes)), "allowed are values that give different networks, each once")
    return Variants(found, choices)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _text(value: object) -> str:
    return str(getattr(value, "__name__", value))


def _made(model: Callable[..., Any], values: Mapping[str, Any]) -> Model:
    try:
        if isinstance(model, type) and not issubclass(model, linen.Module):
            from flax import nnx  # slow to import, with IPython where that is installed

            if issubclass(model, nnx.Module):
                cls: Any = model
                return nnx_model(lambda rngs: cls(rngs=rngs, **values), cls.__name__, code=(cls, dict(values)))
        return model_of(model(**values))
    except InputError:
        raise
    except Exception as error:  # a user's class raises what it likes
        given = f"{_text(model)}({', '.join(f'{name}={_text(value)}' for name, value in values.items())})"
        raise InputError("model", given, f"it fails with {type(error).__name__}: {one_line(error)}") from error
