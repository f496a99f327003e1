"""The values of one axis, as people write them: numbers, lists, and ranges in text such as ``1e-4:1:half_decade``."""

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxopt_study.errors import InputError
from jaxopt_study.optimizers.family import NOT_IN_FLOAT32, Hyperparameter, as_number, in_float32

Spec = float | str | Iterable[float | str] | Any
"""A number, text, a sequence or an iterator of both, or an array ``[]`` or ``[N]`` of NumPy's or JAX's."""

MOST_VALUES = 10_000
"""Of one range."""
MOST_OF_AXIS = 100_000

STEPS_A_DECADE = {"decade": 1, "half_decade": 2, "third_decade": 3}
RANGES = "LOW:HIGH:STEP with decade, half_decade, third_decade, logN or linearN (N values) for STEP"
_COUNTED = re.compile(r"(log|linear)(\d{1,9})?")
_SAME = 1e-9


class Range(NamedTuple):
    """All between two numbers, to be sampled; with ``log`` each factor, not each difference, is equally likely."""

    low: float
    high: float
    log: bool

    def at(self, share: float) -> float:
        """The number at ``share`` in [0, 1) of the way, to six digits."""
        if self.log:
            exact = self.low * math.exp(share * (math.log(self.high) - math.log(self.low)))
        else:
            exact = self.low + share * (self.high - self.low)
        return min(max(float(f"{exact:.6g}"), self.low), self.high)


def values(spec: Spec, hyperparameter: Hyperparameter | None = None, *, name: str = "") -> list[float]:
    """The values that ``spec`` stands for, each once, in its order.

    >>> values("0.1,0.3")
    [0.1, 0.3]
    >>> values("1e-3:1:decade")
    [0.001, 0.01, 0.1, 1.0]
    >>> values(["0:0.9:linear4", 0.99])
    [0.0, 0.3, 0.6, 0.9, 0.99]

    Args:
        spec: a number; text of numbers and ranges, separated by commas; a sequence, an iterator or an array of them, of
            up to ``MOST_OF_AXIS`` values. A range is
            ``LOW:HIGH:STEP``. With ``decade``, ``half_decade`` or ``third_decade`` it goes up from LOW by that factor
            as far as HIGH; ``log5`` and ``linear5`` are five values from LOW to HIGH, both included, at equal factors
            or differences.
        hyperparameter: whose legal range the values must be in; any finite number is legal if None.
        name: what errors call it; the hyperparameter's name if not given.

    Raises:
        InputError: there is no value, or one is not a number, a range or legal.
    """
    name = name or (hyperparameter.name if hyperparameter else "values")
    numbers = parsed(spec, hyperparameter, name=name)
    if isinstance(numbers, Range):
        allowed = f"without a number of values it can only be sampled; allowed is {RANGES}, or a number of samples"
        raise InputError(name, spec, allowed)
    return numbers


def parsed(spec: Spec, hyperparameter: Hyperparameter | None = None, *, name: str) -> list[float] | Range:
    """As :func:`values`, but a range without a step (``1e-4:1:log``, ``0:0.99:linear``) is returned as such."""
    items = _listed(spec)
    one = hyperparameter.allowed if hyperparameter else "a finite number"
    allowed = f"allowed is a comma-separated list, each {one}, or {RANGES}"
    result: list[float] = []
    for item in map(hyperparameter.place, items) if hyperparameter else items:
        if max(len(items), len(result)) > MOST_OF_AXIS:
            raise InputError(name, f"{len(items)} values and ranges", f"allowed are up to {MOST_OF_AXIS} values")
        parsed_item = _item(item, name, allowed)
        numbers = parsed_item[:2] if isinstance(parsed_item, Range) else parsed_item
        legal = [_legal(number, item, hyperparameter, name, allowed) for number in numbers]
        if isinstance(parsed_item, Range):
            if len(items) > 1:
                raise InputError(name, item, "a range that is to be sampled stands alone")
            return parsed_item
        result += legal
    if not result:
        raise InputError(name, "", allowed)
    return list(dict.fromkeys(result))


def _listed(spec: Any) -> list[object]:
    """The items of what an axis may be given as; one too many of an iterator without an end."""
    if isinstance(spec, str):
        return list(spec.split(","))
    if not isinstance(spec, Sequence) and hasattr(spec, "__array__"):
        array = np.asarray(spec)
        return list(array) if array.ndim == 1 else [spec]
    if isinstance(spec, Iterable) and not isinstance(spec, Mapping | bytes):
        return list(itertools.islice(spec, MOST_OF_AXIS + 1))
    return [spec]


def _item(item: Any, name: str, allowed: str) -> list[float] | Range:
    if isinstance(item, str) and ":" in item:
        return _range(item, name)
    try:
        return [float(item) if isinstance(item, str) else as_number(item)]
    except (TypeError, ValueError, OverflowError):
        raise InputError(name, item, allowed) from None


def _legal(value: float, item: object, hyperparameter: Hyperparameter | None, name: str, allowed: str) -> float:
    try:
        if hyperparameter:
            return hyperparameter.check(value)
        if math.isfinite(value):
            return value + 0.0  # -0.0 and 0.0 are one value
    except InputError as error:
        allowed = error.allowed if error.allowed == NOT_IN_FLOAT32 else allowed
    raise InputError(name, item, allowed) from None


def _range(text: str, name: str) -> list[float] | Range:
    parts = [part.strip() for part in text.split(":")]
    counted = _COUNTED.fullmatch(parts[-1])
    try:
        low, high = map(float, parts[:-1])
        steps = 0 if counted else STEPS_A_DECADE[parts[-1]]
    except (ValueError, KeyError):
        raise InputError(name, text, f"allowed is {RANGES}") from None
    log = not (counted and counted[1] == "linear")
    if not (math.isfinite(low) and math.isfinite(high) and low < high and (low > 0 or not log)):
        raise InputError(name, text, "LOW must be below HIGH, both finite" + (", and above 0" if log else ""))
    if not counted:
        if not all(map(in_float32, (low, high))):
            raise InputError(name, text, NOT_IN_FLOAT32)
        return _decades(low, high, steps)
    if counted[2] is None:
        return Range(low, high, log)
    number = int(counted[2])
    if not 2 <= number <= MOST_VALUES:
        raise InputError(name, text, f"allowed are 2 to {MOST_VALUES} values")
    with np.errstate(all="ignore"):  # what is not finite is refused as any other value
        between = np.geomspace(low, high, number) if log else np.linspace(low, high, number)
    return [float(f"{value:.15g}") for value in between]  # 0.3, not 0.30000000000000004


def _decades(low: float, high: float, steps: int) -> list[float]:
    """``low`` times powers of the step; where these are powers of ten, exactly ``10 ** (k / steps)``."""
    first, last = math.log10(low) * steps, math.log10(high) * steps
    count = math.floor(last - first + _SAME) + 1
    if abs(first - round(first)) < _SAME * max(1.0, abs(first)):
        return [10.0 ** ((round(first) + k) / steps) for k in range(count)]
    return [float(f"{low * 10.0 ** (k / steps):.15g}") for k in range(count)]
