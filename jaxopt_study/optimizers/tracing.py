"""Which numbers of an optimizer can vary in a compiled program: found by tracing it, not from a list."""

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.errors import InputError, one_line

PyTree = Any
Call = Callable[[Mapping[str, Any], int], optax.GradientTransformation]
"""``(values by name, steps per epoch) -> transformation``."""

_UNTRACEABLE = {
    "TracerBoolConversionError": "it is branched on",
    "TracerIntegerConversionError": "it is used as an index or a size",
    "ConcretizationTypeError": "its value is needed before the program runs",
    "TracerArrayConversionError": "it is turned into a NumPy array",
}


def traceable(
    name: str, make: Call, numbers: Sequence[Parameter], blank: Sequence[Parameter], static: Mapping[str, Any]
) -> tuple[list[Parameter], list[Parameter], dict[str, str]]:
    """Tries an optimizer with its numbers traced, all at once, else one by one.

    Args:
        name: of the optimizer, for errors.
        make: builds it.
        numbers: parameters that are numbers, or have no default.
        blank: parameters that are None unless they are given.
        static: all other values that it is built with.

    Returns:
        The numbers that may vary, those of ``blank`` that may, and why others cannot, by name.

    Raises:
        InputError: it does not work even with plain numbers, or a number without a default cannot be traced.
    """
    fixed: dict[str, str] = {}
    if why(make, numbers, (), static):
        fixed = {number.name: reason for number in numbers if (reason := why(make, [number], numbers, static))}
    traced = [number for number in numbers if number.name not in fixed]
    reason = why(make, traced, numbers, static)
    if reason:
        raise InputError("optimizer", name, f"it cannot be used here: {reason}")
    for number in numbers:
        if number.default is Parameter.empty and number.name in fixed:
            reason = f"it cannot vary within a program ({fixed[number.name]})"
            raise InputError(number.name, "nothing", f"{reason}; allowed is one value, static={{'{number.name}': ..}}")
    optional = [number for number in blank if not why(make, [*traced, number], numbers, static)]
    return traced, optional, fixed


def why(make: Call, traced: Sequence[Parameter], numbers: Sequence[Parameter], static: Mapping[str, Any]) -> str:
    """Why the optimizer cannot take ``traced`` from a program, the other ``numbers`` plain; empty if it can."""
    others = {number.name: _plain(number) for number in numbers if number not in traced}

    def one(values: Mapping[str, jax.Array]) -> PyTree:
        params = {"w": jnp.ones((3, 4)), "b": jnp.ones(4)}
        rule = optax.with_extra_args_support(make({**static, **others, **values}, 10))
        state = rule.init(params)
        updates, after = rule.update(params, state, params, value=jnp.float32(1), grad=params)
        return state, after, params, updates

    arguments = {number.name: jax.ShapeDtypeStruct((2,), jnp.float32) for number in traced}
    try:
        before, after, params, updates = jax.eval_shape(jax.vmap(one, axis_size=2), arguments)
    except Exception as error:  # whatever a factory or Optax raises
        return _line(error)
    if any(jnp.issubdtype(x.dtype, jax.dtypes.extended) for x in jax.tree.leaves(before)):
        return "its state holds a random key, which is no array of numbers and cannot be kept in a checkpoint"
    if _shapes(updates) != _shapes(params):
        return "its updates are not shaped like the weights"
    return "" if _shapes(before) == _shapes(after) else "its state changes its shapes or types from step to step"


def _plain(parameter: Parameter) -> Any:
    if parameter.default is not Parameter.empty:
        return parameter.default
    if parameter.name.endswith("_steps"):
        return 2 if "warmup" in parameter.name else 10
    return 0.5


def _shapes(tree: PyTree) -> tuple[Any, list[tuple[Any, Any]]]:
    return jax.tree.structure(tree), [(x.shape, x.dtype) for x in jax.tree.leaves(tree)]


def _line(error: Exception) -> str:
    kind, text = type(error).__name__, one_line(error, most=160)
    return _UNTRACEABLE.get(kind) or (kind if text == kind else f"{kind}: {text}")
