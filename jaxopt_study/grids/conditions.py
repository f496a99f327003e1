"""Conditions on the numbers of a configuration, as text: ``momentum < 0.99 or learning_rate <= 0.01``."""

import ast
import operator
import warnings
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, TypeVar

from jaxopt_study.errors import InputError
from jaxopt_study.optimizers import registry

Value = float | str
Condition = Callable[[Mapping[str, Value]], bool | None]
"""Whether a configuration meets it; None where the configuration lacks a number that it names."""

ALLOWED = (
    "allowed are comparisons (<, <=, >, >=, ==, !=, in) of names, numbers and texts in quotes, + - * /, and, or, not"
)
LONGEST = 500
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda value, several: value in several,
    ast.NotIn: lambda value, several: value not in several,
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


_Result = TypeVar("_Result")
_Of = Callable[[Mapping[str, Value]], _Result]


class _NotAllowed(Exception):
    """Something in the text that is not of the language."""


def condition(text: str, names: Iterable[str], *, name: str = "where") -> Condition:
    """The condition that a text stands for. It is read by its own small grammar: nothing in it is run as code.

    >>> small = condition("momentum < 0.99 or learning_rate <= 0.01", ["momentum", "learning_rate"])
    >>> small({"momentum": 0.99, "learning_rate": 0.1})
    False

    Args:
        text: the condition.
        names: what it may name.
        name: what errors call it.

    Raises:
        InputError: it is not a condition, or names something else; with the nearest name. Calling it raises the
            same where it divides by zero or compares a text with a number.
    """
    tree = _tree(text, name)
    known = list(names)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for used_name in sorted(used):
        registry.check_name(f"{name}: name", used_name, known)
    try:
        truth = _truth(tree)
    except (_NotAllowed, OverflowError, RecursionError):
        raise InputError(name, " ".join(text.split()), ALLOWED) from None

    def holds(point: Mapping[str, Value]) -> bool | None:
        if not used <= set(point):
            return None
        try:
            return truth(point)
        except (ArithmeticError, TypeError, RecursionError):
            numbers = ", ".join(f"{name}={point[name]}" for name in sorted(used))
            raise InputError(name, " ".join(text.split()), f"it cannot be computed for {numbers}") from None

    return holds


def _tree(text: str, name: str) -> ast.expr:
    if not isinstance(text, str) or len(text) > LONGEST:
        raise InputError(name, str(text)[:80], f"allowed is a text of up to {LONGEST} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of the parser, on numbers such as 1or
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError, Warning):
        raise InputError(name, " ".join(text.split()), ALLOWED) from None


def _truth(node: ast.expr) -> _Of[bool]:
    match node:
        case ast.BoolOp():
            parts, combined = [_truth(part) for part in node.values], all if isinstance(node.op, ast.And) else any
            return lambda point: combined(part(point) for part in parts)
        case ast.UnaryOp(op=ast.Not()):
            inner = _truth(node.operand)
            return lambda point: not inner(point)
        case ast.Compare():
            sides = [node.left, *node.comparators]
            pairs = [_compared(op, *pair) for op, pair in zip(node.ops, pairwise(sides), strict=True)]
            return lambda point: all(pair(point) for pair in pairs)
    raise _NotAllowed


def _compared(op: ast.cmpop, left: ast.expr, right: ast.expr) -> _Of[bool]:
    if type(op) not in _COMPARISONS:
        raise _NotAllowed
    compare, first = _COMPARISONS[type(op)], _value(left)
    if isinstance(op, ast.In | ast.NotIn):
        if not isinstance(right, ast.Tuple | ast.List):
            raise _NotAllowed
        several = [_value(element) for element in right.elts]
        return lambda point: compare(first(point), [value(point) for value in several])
    second = _value(right)
    return lambda point: compare(first(point), second(point))


def _value(node: ast.expr) -> _Of[Any]:
    match node:
        case ast.Name(id=name):
            return lambda point: point[name]
        case ast.Constant(value=str() as text):
            return lambda point: text
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            constant = float(number)
            return lambda point: constant
        case ast.UnaryOp(op=ast.USub()):
            inner = _value(node.operand)
            return lambda point: -inner(point)
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            compute, left, right = _ARITHMETIC[type(node.op)], _value(node.left), _value(node.right)
            return lambda point: compute(left(point), right(point))
    raise _NotAllowed
