"""What a rule says of itself: its name, its numbers, their defaults and legal ranges, and how it is built."""

import ctypes
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import Parameter
from numbers import Real
from typing import Any

import numpy as np
import optax

from jaxopt_study.errors import InputError
from jaxopt_study.optimizers.protocol import EvalParams
from jaxopt_study.optimizers.scalars import PyTree, Scalar
from jaxopt_study.settings import PRECISIONS

NOT_IN_FLOAT32 = "float32, which the training computes in, cannot hold it"


def as_used(value: float) -> float:
    """Returns ``value`` as the float32 that the training uses."""
    return ctypes.c_float(value).value


def in_float32(value: float) -> bool:
    """Whether float32 has a number for it that is neither infinite nor, unless it is 0, 0."""
    return math.isfinite(used := as_used(value)) and (used != 0 or value == 0)


def as_number(value: Any) -> float:
    """A number of Python's, NumPy's or JAX's as a float; one of float32 as the shortest that is the same there: 0.1.

    Raises:
        TypeError: it is not one number.
        OverflowError: it is more than a float can hold.
    """
    if isinstance(value, bool | str) or not (isinstance(value, Real) or hasattr(value, "__array__")):
        raise TypeError
    array = np.asarray(value)
    if array.shape or array.dtype.kind not in "iufVO" or (array.dtype.kind == "O" and not isinstance(value, Real)):
        raise TypeError
    narrow = array.dtype.itemsize < 8 and array.dtype.kind in "fV"  # V: bfloat16
    return float(str(array)) if narrow else float(value)


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
        whole: whether only whole numbers are legal.
        names: what the numbers from 0 on stand for, where they are places in a list; legal in their stead.
    """

    name: str
    default: float
    low: float
    high: float
    low_open: bool = False
    high_open: bool = True
    unit: str = ""
    whole: bool = False
    names: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The legal range in words, such as "a number in [0, 1)"."""
        if self.names:
            return f"one of {', '.join(self.names)}"
        number = "a whole number" if self.whole else "a number"
        number = f"{number} of {self.unit}" if self.unit else number
        if math.isinf(self.low):
            return f"a finite {number[2:]}"
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
        try:
            number = value if type(value) is float else as_number(self.place(value))
        except (TypeError, ValueError, OverflowError):
            raise InputError(self.name, value, f"allowed is {self.allowed}") from None
        if not self._legal(as_used(number)) or (self.whole and not number.is_integer()):
            allowed = NOT_IN_FLOAT32 if self._legal(number) else f"allowed is {self.allowed}"
            raise InputError(self.name, value, allowed)
        return number + 0.0  # -0.0 and 0.0 are one value and must have one name

    def place(self, value: object) -> object:
        """The number that a name stands for; anything else as it is."""
        name = value.strip() if isinstance(value, str) else value
        return float(self.names.index(name)) if isinstance(name, str) and name in self.names else value

    def _legal(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return math.isfinite(value) and above and below and (value.is_integer() or not self.whole)


@dataclass(frozen=True)
class Family:
    """An optimizer whose numbers are still open.

    To study a rule of your own, give its function to :func:`jaxopt_study.optimizers.foreign.rule`.

    Attributes:
        name: its key in :data:`jaxopt_study.optimizers.registry.OPTIMIZERS`.
        make: ``(numbers, steps_per_epoch) -> optax.GradientTransformation``; ``numbers`` has every hyperparameter by
            its name, a float or a traced float32 []. It may not branch on them.
        hyperparameters: what ``make`` takes.
        title: what figures and tables call it.
        ordered: pairs of hyperparameters of which the first may not exceed the second.
        optional: numbers that ``make`` gets only where a run gives them, such as Optax's momentum of ``None``.
        identity: tells apart rules that have one name and not one code; empty for this project's own.
        fixed: what cannot vary in a grid, and why, by name; for errors.
        made_of: what it is made of: what that is, its identity, and where a user's own function stands that may be
            edited; tells what differs between two rules of one name.
        untried: whether it was not tried yet, since it wants the weights of its own network.
        eval_params: ``(state, params) -> params``, the weights to be judged, from the state and the weights that are
            trained; None where they are these, or a state of Optax's tells, see
            :mod:`jaxopt_study.optimizers.protocol`.
        treats: ``weights -> sentence``, of a rule that does not treat all arrays of weights alike: which it treats how.
        lacks: ``weights -> sentence``, of a rule that is another one where no array of weights is of those that it is
            for: what it is then; empty where some are.
        whole_run: whether ``make`` is given the most epochs of the run too, ``max_epochs``, for a schedule over them.
        code: gives the identity anew, of the code as it is now; None of this project's own.
    """

    name: str
    make: Callable[[Mapping[str, Scalar], int], optax.GradientTransformation]
    hyperparameters: tuple[Hyperparameter, ...]
    title: str
    ordered: tuple[tuple[str, str], ...] = ()
    optional: tuple[Hyperparameter, ...] = ()
    identity: str = ""
    fixed: tuple[tuple[str, str], ...] = ()
    made_of: tuple[tuple[str, str, str], ...] = ()
    untried: bool = False
    eval_params: EvalParams | None = None
    treats: Callable[[PyTree], str] | None = None
    lacks: Callable[[PyTree], str] | None = None
    whole_run: bool = False
    code: Callable[[], str] | None = field(default=None, compare=False)

    def same_but_edited(self, other: "Family") -> bool:
        """Whether all that differs from another rule is code that stands where the other's stood: a cell run again."""
        mine, theirs = ({what: rest for what, *rest in each.made_of} for each in (self, other))
        differing = [what for what in mine if mine[what] != theirs.get(what)]
        return mine.keys() == theirs.keys() and all(mine[n][1] and mine[n][1] == theirs[n][1] for n in differing)

    def differs_in(self, other: "Family") -> str:
        """What differs from another rule of the name."""
        mine, theirs = ({what: digest for what, digest, _ in each.made_of} for each in (self, other))
        names = [what for what in {**mine, **theirs} if mine.get(what) != theirs.get(what)]
        return ", ".join(names) if mine and theirs else "all, for it is one of this project's"

    def known(self) -> dict[str, Hyperparameter]:
        """All numbers that a run of it may give, :data:`COMMON` included, by name."""
        common = (number for number in COMMON if not self.has(number.name))
        return {number.name: number for number in (*self.hyperparameters, *self.optional, *common)}

    def has(self, name: str) -> bool:
        """Whether the rule itself takes a number of this name."""
        return any(number.name == name for number in (*self.hyperparameters, *self.optional))


PRECISION = "matmul_precision"
MOST_EPOCHS = 2.0**24
"""Of a run: float32 has all whole numbers up to it."""

COMMON = (
    Hyperparameter("weight_decay", 0.0, 0.0, math.inf),
    Hyperparameter("max_norm", math.inf, 0.0, math.inf, low_open=True),
    Hyperparameter("batch_size", 32.0, 1.0, math.inf, unit="examples", whole=True),
    Hyperparameter("max_epochs", 100.0, 1.0, MOST_EPOCHS, high_open=False, unit="epochs", whole=True),
    Hyperparameter("patience", 10.0, 1.0, MOST_EPOCHS, high_open=False, unit="epochs", whole=True),
    Hyperparameter(PRECISION, 0.0, 0.0, len(PRECISIONS) - 1.0, high_open=False, whole=True, names=PRECISIONS),
)
"""What a run of any rule may give besides the rule's own numbers: ``weight_decay`` times the weights is added to the
gradient (L2 regularisation; a rule that has its own number of that name does with it what it does), ``max_norm`` is the
Euclidean norm to which a larger gradient is scaled down before that. ``batch_size``, ``max_epochs``,
``patience`` and ``matmul_precision`` take the place of the study's (a rule's own number of that name is the rule's)."""


def learning_rate(default: float, name: str = "learning_rate") -> Hyperparameter:
    """A number above 0."""
    return Hyperparameter(name, default, 0.0, math.inf, low_open=True)


def decay(name: str, default: float) -> Hyperparameter:
    """A number in [0, 1): a momentum, or the decay of a moving average."""
    return Hyperparameter(name, default, 0.0, 1.0)


def eps(default: float) -> Hyperparameter:
    """A number above 0 that guards a division."""
    return Hyperparameter("eps", default, 0.0, math.inf, low_open=True)


def not_negative(name: str, default: float) -> Hyperparameter:
    """A number that is 0 or above, such as the weight decay of a rule that has its own."""
    return Hyperparameter(name, default, 0.0, math.inf)


EPS = eps(1e-7)
MOMENTUM = decay("momentum", 0.9)


def by_numbers(
    rule: Callable[..., optax.GradientTransformation],
) -> Callable[[Mapping[str, Scalar], int], optax.GradientTransformation]:
    """How a rule without a schedule is built: from its numbers, whatever the steps of an epoch."""
    return lambda numbers, steps_per_epoch: rule(**numbers)


_SHARES = ("momentum", "decay", "b1", "b2", "b3", "rho")
_NOT_NEGATIVE = ("weight_decay", "eps", "eps_root", "init_value", "end_value", "initial_accumulator_value")


def ranged(parameter: Parameter, unit: str = "") -> Hyperparameter:
    """A number with the legal range that its name has in Optax; any finite number for other names."""
    name, default = parameter.name, parameter.default
    default = math.nan if default in (None, Parameter.empty) else float(default)
    number = Hyperparameter(name, default, -math.inf, math.inf, unit=unit)
    if name.endswith("learning_rate") or name == "peak_value":
        number = Hyperparameter(name, default, 0.0, math.inf, low_open=True)
    elif name in _SHARES:
        number = Hyperparameter(name, default, 0.0, 1.0)
    elif name in _NOT_NEGATIVE:
        number = Hyperparameter(name, default, 0.0, math.inf, low_open=name == "eps" and default != 0)
    elif name.endswith("_steps") or name == "step_size":
        number = Hyperparameter(name, default, 0.0, math.inf, low_open=True, unit=unit)
    legal = math.isnan(default) or number.low < default < number.high or (default == number.low and not number.low_open)
    return number if legal else Hyperparameter(name, default, -math.inf, math.inf)
