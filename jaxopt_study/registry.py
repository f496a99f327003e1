"""Which optimizers there are, which numbers each takes, and which values are legal."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Real

import numpy as np
import optax

from jaxopt_study.errors import InputError
from jaxopt_study.optimizers import adagrad, adam, momentum, momentum_ema, nesterov, rmsprop, sgd, triangular
from jaxopt_study.optimizers.scalars import Scalar, as_float32


def _as_used(value: float) -> float:
    """Returns ``value`` as the float32 that the training uses."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.float32(value))


@dataclass(frozen=True)
class Hyperparameter:
    """A number that an optimizer takes and that a grid may vary.

    Attributes:
        name: as in flags, columns and :attr:`Family.make`.
        default: what it is where nobody says otherwise.
        low: lower bound of the legal range.
        high: upper bound; infinity for none.
        low_open: whether ``low`` itself is illegal.
        high_open: whether ``high`` itself is illegal.
        unit: what it is counted in, where it has a unit.
    """

    name: str
    default: float
    low: float
    high: float
    low_open: bool = False
    high_open: bool = True
    unit: str = ""

    @property
    def allowed(self) -> str:
        """The legal range in words, such as "a number in [0, 1)"."""
        number = f"a number of {self.unit}" if self.unit else "a number"
        if math.isinf(self.high):
            return f"{number} above {self.low:g}" if self.low_open else f"{number}, at least {self.low:g}"
        left, right = "(" if self.low_open else "[", ")" if self.high_open else "]"
        return f"{number} in {left}{self.low:g}, {self.high:g}{right}"

    def check(self, value: object) -> float:
        """Returns ``value`` as a float.

        The bounds hold for the float32 that the training uses: a momentum of 1 - 1e-9 is 1 there.

        Raises:
            InputError: if it is not a finite number in the range.
        """
        if isinstance(value, bool) or not isinstance(value, Real) or not self._legal(float(value)):
            raise InputError(self.name, value, f"allowed is {self.allowed}")
        return float(value) + 0.0  # -0.0 and 0.0 are one value and must have one name

    def _legal(self, value: float) -> bool:
        used = _as_used(value)
        above = used > self.low if self.low_open else used >= self.low
        below = used < self.high if self.high_open else used <= self.high
        return math.isfinite(used) and above and below


@dataclass(frozen=True)
class Family:
    """An optimizer whose numbers are still open.

    To study a rule of your own, put a Family of it into :data:`OPTIMIZERS`.

    Attributes:
        name: its key in :data:`OPTIMIZERS`.
        make: ``(numbers, steps_per_epoch) -> optax.GradientTransformation``; ``numbers`` has every hyperparameter by
            its name, a float or a traced float32 []. It may not branch on them.
        hyperparameters: what ``make`` takes.
        title: what figures and tables call it.
        ordered: pairs of hyperparameters of which the first may not exceed the second.
    """

    name: str
    make: Callable[[Mapping[str, Scalar], int], optax.GradientTransformation]
    hyperparameters: tuple[Hyperparameter, ...]
    title: str
    ordered: tuple[tuple[str, str], ...] = ()


def _rate(default: float, name: str = "learning_rate") -> Hyperparameter:
    return Hyperparameter(name, default, 0.0, math.inf, low_open=True)


def _share(name: str, default: float) -> Hyperparameter:
    return Hyperparameter(name, default, 0.0, 1.0)


_EPS = Hyperparameter("eps", 1e-7, 0.0, math.inf, low_open=True)
_MOMENTUM = _share("momentum", 0.9)


def _make_cyclical(numbers: Mapping[str, Scalar], steps_per_epoch: int) -> optax.GradientTransformation:
    step_size = as_float32("step_size", numbers["step_size"]) * steps_per_epoch
    return sgd(triangular(numbers["base_learning_rate"], numbers["max_learning_rate"], step_size))


def _ignoring_epochs(
    rule: Callable[..., optax.GradientTransformation],
) -> Callable[[Mapping[str, Scalar], int], optax.GradientTransformation]:
    return lambda numbers, steps_per_epoch: rule(**numbers)


# Defaults are Keras's, but for momentum, which is off there and would make three families plain SGD.
OPTIMIZERS: dict[str, Family] = {
    family.name: family
    for family in (
        Family("sgd", _ignoring_epochs(sgd), (_rate(0.01),), "SGD"),
        Family("momentum", _ignoring_epochs(momentum), (_rate(0.01), _MOMENTUM), "SGD with momentum"),
        Family("momentum_ema", _ignoring_epochs(momentum_ema), (_rate(0.01), _MOMENTUM), "SGD with averaged momentum"),
        Family("nesterov", _ignoring_epochs(nesterov), (_rate(0.01), _MOMENTUM), "Nesterov momentum"),
        Family("rmsprop", _ignoring_epochs(rmsprop), (_rate(0.001), _share("decay", 0.9), _EPS), "RMSprop"),
        Family("adam", _ignoring_epochs(adam), (_rate(0.001), _share("b1", 0.9), _share("b2", 0.999), _EPS), "Adam"),
        Family(
            "adagrad",
            _ignoring_epochs(adagrad),
            (_rate(0.001), Hyperparameter("initial_accumulator_value", 0.1, 0.0, math.inf), _EPS),
            "Adagrad",
        ),
        Family(
            "cyclical",
            _make_cyclical,
            (
                _rate(0.1, "base_learning_rate"),
                _rate(0.4, "max_learning_rate"),
                Hyperparameter("step_size", 4.0, 0.0, math.inf, low_open=True, unit="epochs"),
            ),
            "Cyclical learning rate",
            ordered=(("base_learning_rate", "max_learning_rate"),),
        ),
    )
}


def _unknown(what: str, given: str, known: Iterable[str], owner: str = "") -> InputError:
    names = list(known)
    nearest = get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]}? " if nearest else ""
    return InputError(what, given, f"{hint}allowed{owner} are {', '.join(names)}")


def family(name: str) -> Family:
    """Returns the optimizer of that name.

    Raises:
        InputError: if there is none, with the nearest name.
    """
    if name not in OPTIMIZERS:
        raise _unknown("optimizer", name, OPTIMIZERS)
    return OPTIMIZERS[name]


def check(family: Family, hyperparameters: Mapping[str, object]) -> dict[str, float]:
    """Returns all numbers of ``family`` in its own order, defaults filled in.

    Raises:
        InputError: if a name is unknown, or a value is not a finite number in its range or not in order with another.
    """
    known = {each.name: each for each in family.hyperparameters}
    for name in hyperparameters:
        if name not in known:
            raise _unknown("hyperparameter", name, known, f" for {family.name}")
    values = {name: each.check(hyperparameters.get(name, each.default)) for name, each in known.items()}
    for low, high in family.ordered:
        if values[low] > values[high]:
            raise InputError(low, values[low], f"allowed is at most {high}={values[high]}")
    return values


def canonical(optimizer: str, hyperparameters: Mapping[str, object]) -> tuple[str, dict[str, float]]:
    """Returns the one name and the numbers of a run that other names lead to as well.

    Momentum 0 in any formulation is SGD, and so is a cycle from a rate to itself: their updates are equal bit for bit.
    Whoever asks whether a run was trained before must ask for this name.

    Raises:
        InputError: as :func:`family` and :func:`check`.
    """
    values = check(family(optimizer), hyperparameters)
    used = {name: _as_used(value) for name, value in values.items()}
    if optimizer in ("momentum", "momentum_ema", "nesterov") and used["momentum"] == 0.0:
        return "sgd", {"learning_rate": values["learning_rate"]}
    if optimizer == "cyclical" and used["base_learning_rate"] == used["max_learning_rate"]:
        return "sgd", {"learning_rate": values["base_learning_rate"]}
    return optimizer, values
