"""Which optimizers there are, which numbers each takes, and which values are legal."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Real

import numpy as np
import optax

from jaxopt_study.errors import InputError
from jaxopt_study.optimizers import (
    adagrad,
    adam,
    momentum,
    momentum_ema,
    nesterov,
    rmsprop,
    sgd,
    triangular,
)
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
        whole: whether only whole numbers are legal.
    """

    name: str
    default: float
    low: float
    high: float
    low_open: bool = False
    high_open: bool = True
    unit: str = ""
    whole: bool = False

    @property
    def allowed(self) -> str:
        """The legal range in words, such as "a number in [0, 1)"."""
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
        if isinstance(value, bool) or not isinstance(value, Real) or not self._legal(float(value)):
            raise InputError(self.name, value, f"allowed is {self.allowed}")
        return float(value) + 0.0  # -0.0 and 0.0 are one value and must have one name

    def _legal(self, value: float) -> bool:
        used = _as_used(value)
        above = used > self.low if self.low_open else used >= self.low
        below = used < self.high if self.high_open else used <= self.high
        return math.isfinite(used) and above and below and (value.is_integer() or not self.whole)


@dataclass(frozen=True)
class Family:
    """An optimizer whose numbers are still open.

    To study a rule of your own, make a Family of it (:func:`jaxopt_study.optimizers.foreign.rule`) and :func:`add` it.

    Attributes:
        name: its key in :data:`OPTIMIZERS`.
        make: ``(numbers, steps_per_epoch) -> optax.GradientTransformation``; ``numbers`` has every hyperparameter by
            its name, a float or a traced float32 []. It may not branch on them.
        hyperparameters: what ``make`` takes.
        title: what figures and tables call it.
        ordered: pairs of hyperparameters of which the first may not exceed the second.
        optional: numbers that ``make`` gets only where a run gives them, such as Optax's momentum of ``None``.
        identity: tells apart rules that have one name and not one code; empty for this project's own.
        fixed: what cannot vary in a grid, and why, by name; for errors.
    """

    name: str
    make: Callable[[Mapping[str, Scalar], int], optax.GradientTransformation]
    hyperparameters: tuple[Hyperparameter, ...]
    title: str
    ordered: tuple[tuple[str, str], ...] = ()
    optional: tuple[Hyperparameter, ...] = ()
    identity: str = ""
    fixed: tuple[tuple[str, str], ...] = ()

    def known(self) -> dict[str, Hyperparameter]:
        """All numbers that a run of it may give, :data:`COMMON` included, by name."""
        common = {each.name: each for each in COMMON}
        return {each.name: each for each in (*self.hyperparameters, *self.optional)} | {
            name: each for name, each in common.items() if not self.has(name)
        }

    def has(self, name: str) -> bool:
        """Whether the rule itself takes a number of this name."""
        return any(each.name == name for each in (*self.hyperparameters, *self.optional))


COMMON = (
    Hyperparameter("weight_decay", 0.0, 0.0, math.inf),
    Hyperparameter("max_norm", math.inf, 0.0, math.inf, low_open=True),
    Hyperparameter("batch_size", 32.0, 1.0, math.inf, unit="examples", whole=True),
)
"""What a run of any rule may give besides the rule's own numbers: ``weight_decay`` times the weights is added to the
gradient (L2 regularisation; a rule that has its own number of that name does with it what it does), ``max_norm`` is the
Euclidean norm to which a larger gradient is scaled down before that, ``batch_size`` takes the place of the study's."""


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


def unknown(what: str, given: str, known: Iterable[str], owner: str = "") -> InputError:
    """The error for a name that is none of those known, with the nearest of them."""
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
        raise unknown("optimizer", name, OPTIMIZERS)
    return OPTIMIZERS[name]


def add(family: Family) -> Family:
    """Makes a rule known under its name; adding the same one again changes nothing.

    Returns:
        The rule that has the name now.

    Raises:
        InputError: another rule has the name.
    """
    known = OPTIMIZERS.get(family.name)
    if known is not None and (not known.identity or known.identity != family.identity):
        raise InputError("name", family.name, "there is another rule of this name; allowed is any other name=")
    return OPTIMIZERS.setdefault(family.name, family)


def build(family: Family, numbers: Mapping[str, Scalar], steps_per_epoch: int) -> optax.GradientTransformationExtraArgs:
    """The rule with its numbers, preceded by what :data:`COMMON` names: gradients clipped, then decayed weights added.

    Args:
        family: the rule.
        numbers: floats or traced float32 [], without the batch size.
        steps_per_epoch: for schedules.
    """
    before, own = [], dict(numbers)
    if not family.has("max_norm") and "max_norm" in own:
        before.append(optax.clip_by_global_norm(own.pop("max_norm")))
    if not family.has("weight_decay") and "weight_decay" in own:
        before.append(optax.add_decayed_weights(own.pop("weight_decay")))
    rule = family.make(own, steps_per_epoch)
    return optax.with_extra_args_support(optax.chain(*before, rule) if before else rule)


def check(family: Family, hyperparameters: Mapping[str, object]) -> dict[str, float]:
    """Returns all numbers of ``family`` in its own order, defaults filled in, then the others that are given.

    Raises:
        InputError: if a name is unknown, or a value is not a finite number in its range or not in order with another.
    """
    own, known = {each.name: each for each in family.hyperparameters}, family.known()
    for name in hyperparameters:
        if name not in known:
            for fixed, reason in family.fixed:
                if name == fixed:
                    raise InputError(name, hyperparameters[name], reason)
            raise unknown("hyperparameter", str(name), known, f" for {family.name}")
    for name, each in own.items():
        if name not in hyperparameters and math.isnan(each.default):
            raise InputError(name, "nothing", f"{family.name} has no default for it; allowed is {each.allowed}")
    values = {name: each.check(hyperparameters.get(name, each.default)) for name, each in own.items()}
    values |= {name: known[name].check(value) for name, value in hyperparameters.items() if name not in own}
    for low, high in family.ordered:
        if values[low] > values[high]:
            raise InputError(low, values[low], f"allowed is at most {high}={values[high]}")
    return values


def canonical(optimizer: str, hyperparameters: Mapping[str, object]) -> tuple[str, dict[str, float]]:
    """Returns the one name and the numbers of a run that other names lead to as well.

    Momentum 0 in any formulation is SGD, and so is a cycle from a rate to itself: their updates are equal bit for bit.
    L2 regularisation times 0 is none.
    Whoever asks whether a run was trained before must ask for this name.

    Raises:
        InputError: as :func:`family` and :func:`check`.
    """
    found = family(optimizer)
    values = check(found, hyperparameters)
    if values.get("weight_decay") == 0.0 and not found.has("weight_decay"):
        del values["weight_decay"]
    extra = {each.name: values[each.name] for each in COMMON if each.name in values and not found.has(each.name)}
    used = {name: _as_used(value) for name, value in values.items()}
    if optimizer in ("momentum", "momentum_ema", "nesterov") and used["momentum"] == 0.0:
        return "sgd", {"learning_rate": values["learning_rate"], **extra}
    if optimizer == "cyclical" and used["base_learning_rate"] == used["max_learning_rate"]:
        return "sgd", {"learning_rate": values["base_learning_rate"], **extra}
    return optimizer, values
