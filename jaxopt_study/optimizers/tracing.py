"""Which numbers of an optimizer can vary in a compiled program: found by tracing it, not from a list."""

import re
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.errors import InputError, one_line
from jaxopt_study.optimizers import protocol
from jaxopt_study.optimizers.protocol import EvalParams
from jaxopt_study.settings import own_switches

PyTree = Any
Call = Callable[[Mapping[str, Any], int], optax.GradientTransformation]
"""``(values by name, steps per epoch) -> transformation``."""

_WEIGHTS = {"w": jax.ShapeDtypeStruct((3, 4), jnp.float32), "b": jax.ShapeDtypeStruct((4,), jnp.float32)}
_OF_OTHER_WEIGHTS = re.compile("KeyError|'dict' object|structure|mismatch|Expected")
_UNTRACEABLE = {
    "TracerBoolConversionError": "it is branched on",
    "TracerIntegerConversionError": "it is used as an index or a size",
    "ConcretizationTypeError": "its value is needed before the program runs",
    "TracerArrayConversionError": "it is turned into a NumPy array",
}


class Traceable(NamedTuple):
    """What was found of an optimizer.

    Attributes:
        numbers: those that may vary.
        optional: those left out unless they are given that may.
        fixed: why others cannot, by name.
        untried: whether it was built only, since it wants the weights of a network that is not known yet (a mask or
            labels for them).
        judged_by: the state that its weights to be judged come from; empty where they are those that it trains.
    """

    numbers: list[Parameter]
    optional: list[Parameter]
    fixed: dict[str, str]
    untried: bool
    judged_by: str


class Trial(NamedTuple):
    """Why an optimizer cannot be used, empty if it can; and ``judged_by`` as in :class:`Traceable`."""

    fault: str
    judged_by: str = ""


@own_switches()
def traceable(
    name: str, make: Call, numbers: Sequence[Parameter], blank: Sequence[Parameter], static: Mapping[str, Any],
    eval_params: EvalParams | None = None,
) -> Traceable:  # fmt: skip
    """Tries an optimizer with its numbers traced, all at once, else one by one.

    Args:
        name: of the optimizer, for errors.
        make: builds it.
        numbers: parameters that are numbers, or have no default.
        blank: parameters that are left out unless they are given.
        static: all other values that it is built with.
        eval_params: gives the weights to be judged from its state; None where Optax's state tells.

    Raises:
        InputError: it does not work even with plain numbers, or a number without a default cannot be traced.
    """

    def tried(traced: Sequence[Parameter], built_only: bool) -> Trial:
        plain = {number.name: _plain(number) for number in numbers if number not in traced}

        def with_static(values: Mapping[str, Any], steps: int) -> optax.GradientTransformation:
            return make({**static, **plain, **values}, steps)

        names = [number.name for number in traced]
        return trial(with_static, names, _WEIGHTS, 10, eval_params, built_only=built_only)

    def fails(traced: Sequence[Parameter], built_only: bool) -> str:
        return tried(traced, built_only).fault

    reason = fails((), False)
    deferred = bool(_OF_OTHER_WEIGHTS.search(reason)) and not fails((), True)
    fixed: dict[str, str] = {}
    if fails(numbers, deferred):
        fixed = {number.name: reason for number in numbers if (reason := fails([number], deferred))}
    traced = [number for number in numbers if number.name not in fixed]
    all_traced = tried(traced, deferred)
    if all_traced.fault:
        plain = reason in _UNTRACEABLE.values()  # with no number traced: so it is the state, or the weights
        told = reason.replace("it", "what it remembers", 1).replace("its", "the", 1) if plain else all_traced.fault
        raise InputError("optimizer", name, f"it cannot be used here: {told}")
    for number in numbers:
        if number.default is Parameter.empty and number.name in fixed:
            reason = f"it cannot vary within a program ({fixed[number.name]})"
            raise InputError(number.name, "nothing", f"{reason}; {one_value(number.name)}")
    optional = [n for n in blank if not fails([*traced, n], deferred)]
    return Traceable(traced, optional, fixed, deferred, all_traced.judged_by)


def one_value(number: str) -> str:
    """What is allowed for a number that cannot vary."""
    value = f'allowed is one value, static={{"{number}": ..}} of js.rule or js.scheduled'
    if not number.endswith(("_value", "_rate")):
        return value
    return f'{value}; a schedule\'s rate varies with js.scheduled(.., peak="{number}") or in a function of your own'


def trial(
    make: Call, traced: Sequence[str], params: PyTree, steps: int, eval_params: EvalParams | None = None,
    *, built_only: bool = False,
) -> Trial:  # fmt: skip
    """Tries whether an optimizer can take the numbers ``traced`` from a program and update such weights."""
    judge = eval_params or protocol.eval_params

    def one(values: Mapping[str, jax.Array]) -> PyTree:
        weights = jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), params)
        rule = protocol.adapted(make(values, steps))
        if built_only:
            return (), (), (), (), ()
        state = jax.tree.map(jnp.asarray, rule.init(weights))  # as training has it: a bool of Python's is none there
        if eval_params is None and (reason := protocol.unclear(state, weights)):
            raise _Unclear(reason)
        updates, after = rule.update(weights, state, weights, **_arguments(weights))
        return state, after, weights, updates, judge(after, weights)

    arguments = {name: jax.ShapeDtypeStruct((2,), jnp.float32) for name in traced}
    try:
        before, after, weights, updates, judged = jax.eval_shape(jax.vmap(one, axis_size=2), arguments)
    except _Unclear as unclear:
        return Trial(str(unclear))
    except Exception as error:  # whatever a factory or Optax raises
        return Trial(_line(error))
    return Trial(_fault(before, after, weights, updates, judged), protocol.judged_by(after))


class _Unclear(Exception):  # never seen outside
    pass


def _arguments(params: PyTree) -> dict[str, Any]:
    """What a training step gives a rule beside the gradient, of a loss that is the sum of all weights."""

    def total(weights: PyTree, obj_fn: object = None, grad_fn: object = None) -> jax.Array:
        del obj_fn, grad_fn  # as in a training step
        return jnp.stack([jnp.sum(x, dtype=jnp.float32) for x in jax.tree.leaves(weights)]).sum()

    def grad_fn(weights: PyTree, step: object = None) -> PyTree:
        del step
        return jax.grad(total)(weights)

    return {"value": jnp.float32(1), "grad": params, "value_fn": total, "obj_fn": total, "grad_fn": grad_fn}


def _fault(before: PyTree, after: PyTree, weights: PyTree, updates: PyTree, judged: PyTree) -> str:
    if any(jnp.issubdtype(x.dtype, jax.dtypes.extended) for x in jax.tree.leaves(before)):
        return "its state holds a random key, which is no array of numbers and cannot be kept in a checkpoint"
    if [shape for shape, _ in _shapes(updates)[1]] != [shape for shape, _ in _shapes(weights)[1]]:
        return "its updates are not shaped like the weights"
    if _shapes(judged) != _shapes(weights):
        return "what its eval_params returns is not shaped like the weights"
    if _shapes(before) == _shapes(after):
        return ""
    types = sorted({str(x.dtype) for x in jax.tree.leaves(weights)} - {"float32"})
    hint = f": weights of {', '.join(types)} want float32 here (in Flax param_dtype; dtype may be shorter)"
    return "its state changes its shapes or types from step to step" + hint * bool(types)


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
