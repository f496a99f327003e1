"""Conditions on the numbers of a configuration, as text: ``momentum < 0.99 or learning_rate <= 0.01``."""

import ast
import decimal
import functools
import operator
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from jaxopt_study.analysis.numbers import listed, meant
from jaxopt_study.errors import InputError
from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.family import COMMON

Value = float | str
Condition = Callable[[Mapping[str, Value]], bool | None]
"""Whether a configuration meets it; None where the configuration lacks a number that it names."""

ALLOWED = (
    "allowed are comparisons (<, <=, >, >=, ==, !=, in) of names, numbers and texts in quotes, + - * /, and, or, not"
)
LONGEST = 500
MOST_PARTS = 100
"""Of one condition: names, numbers, texts, comparisons, + - * /, not."""

# Of two values, and whether they are the same.
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any, bool], bool]] = {
    ast.Lt: lambda first, second, same: not same and first < second,
    ast.LtE: lambda first, second, same: same or first <= second,
    ast.Gt: lambda first, second, same: not same and first > second,
    ast.GtE: lambda first, second, same: same or first >= second,
    ast.Eq: lambda first, second, same: same,
    ast.NotEq: lambda first, second, same: not same,
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_DECIMALS = decimal.Context(prec=28, traps=[decimal.DivisionByZero, decimal.InvalidOperation, decimal.Overflow])
_AS_GIVEN = 1e-9
"""The share of themselves by which two numbers that are one may differ."""
_AS_COMPUTED = 6
"""Significant digits in which they agree where one of them is computed."""
_ROUNDING = decimal.Decimal("1e-15")
"""The share of the largest of some terms that is nothing where they add up to zero."""
_SHOWN = 12
_PLACES = {number.name: number.names for number in COMMON if number.names}
"""What is no number, by name, and what each of its places stands for."""


_Result = TypeVar("_Result")
_Of = Callable[[Mapping[str, Value]], _Result]


class _NotAllowed(Exception):
    """Something in the text that is not of the language."""


def condition(
    text: str, names: Iterable[str], *, name: str = "where", values: Mapping[str, Collection[Value]] | None = None
) -> Condition:
    """The condition that a text stands for. It is read by its own small grammar: nothing in it is run as code.

    >>> small = condition("momentum < 0.99 or learning_rate <= 0.01", ["momentum", "learning_rate"])
    >>> small({"momentum": 0.99, "learning_rate": 0.1})
    False
    >>> condition("learning_rate / (1 - momentum) <= 1", ["momentum", "learning_rate"])(
    ...     {"momentum": 0.9, "learning_rate": 0.1})  # which is 1.0000000000000002 in binary numbers
    True

    Numbers are computed with as the decimals that they are written as. A text that is compared with a number of which
    each place has a name, ``matmul_precision == 'bfloat16'``, stands for that place.

    Args:
        text: the condition.
        names: what it may name.
        name: what errors call it.
        values: that names have, where they are known: a number that is compared with a name and written as one of its
            values is shown, such as 0.316 for the square root of 0.1, stands for that value.

    Raises:
        InputError: it is not a condition, has more than ``MOST_PARTS``, or names something else; with the nearest name.
            Calling it raises the same where it divides by zero or compares a text with a number.
    """
    tree = _tree(text, name)
    known = list(names)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for used_name in sorted(used):
        registry.check_name(f"{name}: name", used_name, known)
    try:
        truth = _truth(_with_meant(_with_places(tree, known), values or {}))
    except (_NotAllowed, OverflowError, RecursionError):
        raise InputError(name, " ".join(text.split()), ALLOWED) from None

    def holds(point: Mapping[str, Value]) -> bool | None:
        if not used <= set(point):
            return None
        try:
            with decimal.localcontext(_DECIMALS):
                return truth(point)
        except (ArithmeticError, TypeError, RecursionError):
            numbers = ", ".join(f"{name}={point[name]}" for name in sorted(used))
            raise InputError(name, " ".join(text.split()), f"it cannot be computed for {numbers}") from None

    return holds


def unmet(text: str, points: Sequence[Mapping[str, Value]]) -> str:
    """Why a condition may have left none of some points: the values that there are of what it names."""
    used = [node.id for node in ast.walk(_tree(text, "where")) if isinstance(node, ast.Name)]
    found = {name: [point[name] for point in points if name in point] for name in dict.fromkeys(used)}
    told = [
        f"{name} {', '.join(dict.fromkeys(map(str, of))) if isinstance(of[0], str) else listed(map(float, of), _SHOWN)}"
        for name, of in found.items()
        if of
    ]
    return f"there {'are' if told else 'is'} {'; '.join(told) or 'nothing that it names'}"


def _same(first: Any, second: Any, largest: Any = 0) -> bool:
    """Whether two numbers, floats or decimals, are one but for rounding; texts are one or not.

    ``largest`` of what is added up in them: zero is what is nothing beside it. TypeError: a text and a number.
    """
    if isinstance(first, str) != isinstance(second, str):
        raise TypeError("a text and a number")
    if first == second or isinstance(first, str):
        return bool(first == second)
    if isinstance(first, float):
        return bool(abs(first - second) <= _AS_GIVEN * max(abs(first), abs(second)))
    if not first or not second:
        return bool(abs(first - second) <= _ROUNDING * largest)
    half = decimal.Decimal(5).scaleb(max(first.adjusted(), second.adjusted()) - _AS_COMPUTED)
    return bool(abs(first - second) <= half)


def _with_places(tree: ast.expr, known: Collection[str]) -> ast.expr:
    """The condition with places instead of the names that they have."""
    for first, one in _pairs(tree):
        if first.id in _PLACES and first.id in known and isinstance(one.value, str):
            registry.check_name(first.id, one.value, _PLACES[first.id])
            one.value = float(_PLACES[first.id].index(one.value))
    return tree


def _pairs(tree: ast.expr) -> Iterator[tuple[ast.Name, ast.Constant]]:
    """The names that are compared with a constant, or with several, each with it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for first, second in [*pairwise(sides), *pairwise(sides[::-1])]:
                if isinstance(first, ast.Name):
                    several = second.elts if isinstance(second, ast.Tuple | ast.List) else [second]
                    yield from ((first, one) for one in several if isinstance(one, ast.Constant))


def _with_meant(tree: ast.expr, values: Mapping[str, Collection[Value]]) -> ast.expr:
    """The condition with the values of names in place of numbers that are written like them."""
    for first, one in _pairs(tree):
        number = one.value
        if first.id in values and isinstance(number, int | float) and number is not bool(number):
            one.value = meant(float(number), [value for value in values[first.id] if not isinstance(value, str)])
    return tree


def _tree(text: str, name: str) -> ast.expr:
    if not isinstance(text, str) or len(text) > LONGEST:
        raise InputError(name, str(text)[:80], f"allowed is a text of up to {LONGEST} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of the parser, on numbers such as 1or
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError, Warning):
        raise InputError(name, " ".join(text.split()), ALLOWED) from None
    parts = sum(
        isinstance(node, ast.cmpop | ast.operator | ast.unaryop | ast.Name | ast.Constant) for node in ast.walk(tree)
    )
    if parts > MOST_PARTS:
        raise InputError(name, f"{text[:80]} ..", f"allowed are up to {MOST_PARTS} names, numbers and operations")
    return tree


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
    exact = any(isinstance(node, ast.BinOp) for side in (left, right) for node in ast.walk(side))
    first = _value(left, exact)
    if isinstance(op, ast.In | ast.NotIn):
        if not isinstance(right, ast.Tuple | ast.List):
            raise _NotAllowed
        equal = [_compared(ast.Eq(), left, element) for element in right.elts]
        wanted = isinstance(op, ast.In)
        return lambda point: any(one(point) for one in equal) is wanted
    if type(op) not in _COMPARISONS:
        raise _NotAllowed
    compare, second = _COMPARISONS[type(op)], _value(right, exact)
    sizes = [_size(left), _size(right)] if exact else []

    def holds(point: Mapping[str, Value]) -> bool:
        one, other = first(point), second(point)
        largest = 0 if one and other else max((size(point) for size in sizes), default=0)
        return compare(one, other, _same(one, other, largest))

    return holds


def _size(node: ast.expr) -> _Of[Any]:
    """How large a number is before anything in it cancels: what its rounding is a share of."""
    match node:
        case ast.UnaryOp(op=ast.USub()):
            return _size(node.operand)
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            terms = [_size(node.left), _size(node.right)]
            return lambda point: max(term(point) for term in terms)
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            compute, left = _ARITHMETIC[type(node.op)], _size(node.left)
            right = _size(node.right) if isinstance(node.op, ast.Mult) else _value(node.right, exact=True)
            return lambda point: compute(left(point), abs(right(point)))
    value = _value(node, exact=True)
    return lambda point: abs(value(point))


def _value(node: ast.expr, exact: bool) -> _Of[Any]:
    """A text or a number: a float or, with ``exact``, the decimal that it is written as, so that 1 - 0.9 is 0.1."""
    match node:
        case ast.Name(id=name):
            return (lambda point: _exact(point[name])) if exact else operator.itemgetter(name)
        case ast.Constant(value=str() as text):
            return lambda point: text
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            constant = _exact(float(number)) if exact else float(number)
            return lambda point: constant
        case ast.UnaryOp(op=ast.USub()):
            inner = _value(node.operand, exact)
            return lambda point: -inner(point)
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            compute = _ARITHMETIC[type(node.op)]
            left, right = _value(node.left, exact), _value(node.right, exact)
            return lambda point: compute(left(point), right(point))
    raise _NotAllowed


@functools.lru_cache(maxsize=4096)
def _exact(value: Value) -> Any:
    return value if isinstance(value, str) else decimal.Decimal(repr(float(value)))
