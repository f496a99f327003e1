"""Two rules that the registry does not have by itself: RMSprop whose rate falls, in one of several courses, and plain
sign descent."""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.analysis.runs import Cell
from jaxopt_study.optimizers import registry, rmsprop
from jaxopt_study.optimizers.family import Family, Hyperparameter
from jaxopt_study.optimizers.scalars import Scalar, Schedule, as_float32

CONSTANT, ROOT, EXPONENTIAL, LINE, SIGN = "constant", "1 / root of steps", "exponential", "linear to 0", "sign descent"
COURSES = (CONSTANT, ROOT, EXPONENTIAL, LINE)
STEADY = {"root": 0.0, "last_share": 1.0, "line": 0.0}
FALLING = {ROOT: STEADY | {"root": 1.0}, EXPONENTIAL: STEADY | {"last_share": 0.01}, LINE: STEADY | {"line": 1.0}}
"""Numbers of :func:`falling` by the course of the rate."""

_RATE = Hyperparameter("learning_rate", 0.001, 0.0, math.inf, low_open=True)
_FALLING_NUMBERS = (
    Hyperparameter("decay_epochs", 20.0, 0.0, math.inf, low_open=True, unit="epochs"),
    Hyperparameter("root", 0.0, 0.0, math.inf),
    Hyperparameter("last_share", 1.0, 0.0, 1.0, low_open=True, high_open=False),
    Hyperparameter("line", 0.0, 0.0, 1.0, high_open=False),
)


def falling(rate: Scalar, steps: Scalar, root: Scalar, last_share: Scalar, line: Scalar) -> Schedule:
    r"""A rate that falls with the steps taken so far; one formula for several courses, so that they are one program.

    .. math::
        rate \cdot last\_share^{count / steps} \cdot \max(0, 1 - line \cdot count / steps) / \sqrt{1 + root \cdot count}

    Args:
        rate: of the first step.
        steps: over which it falls.
        root: 1 for a rate over the root of the steps, 0 for none of it.
        last_share: of the first rate, what an exponential course has left after ``steps``; 1 for none of it.
        line: 1 for a line to zero after ``steps``, 0 for none of it.
    """

    def schedule(count: jax.Array) -> jax.Array:
        way = count / steps
        straight = jnp.maximum(0.0, 1.0 - line * way)
        return rate * jnp.exp(jnp.log(last_share) * way) * straight * jax.lax.rsqrt(1.0 + root * count)

    return schedule


def add_rules() -> None:
    """Adds ``rmsprop_falling`` and ``sign_sgd`` to the registry; again changes nothing."""
    numbers = (*registry.family("rmsprop").hyperparameters, *_FALLING_NUMBERS)
    # A rule's identity is a hash of its code and its place; these are kept from where the rules were first written, so
    # that runs in the stores are known again.
    for name, make, taken, title, identity in (
        ("rmsprop_falling", _rmsprop_falling, numbers, "RMSprop with a falling rate", "0af562961fa92805538f"),
        ("sign_sgd", _sign_sgd, (_RATE,), "Sign descent", "8a28153a4f0a2fb0d428"),
    ):
        registry.add(Family(name, make, taken, title, identity=identity))


def course(cell: Cell) -> str:
    """How a configuration's rate goes, from its numbers; empty where it goes in more than one of the ways."""
    if cell.optimizer == "sign_sgd":
        return SIGN
    falls_with = [name for name, steady in STEADY.items() if cell.hyperparameters.get(name, steady) != steady]
    if len(falls_with) > 1:
        return ""
    return {"root": ROOT, "last_share": EXPONENTIAL, "line": LINE}[falls_with[0]] if falls_with else CONSTANT


def _rmsprop_falling(numbers: Mapping[str, Scalar], steps_per_epoch: int) -> optax.GradientTransformation:
    names = ("learning_rate", *(number.name for number in _FALLING_NUMBERS))
    rate, epochs, *course = (as_float32(name, numbers[name]) for name in names)
    return rmsprop(falling(rate, epochs * steps_per_epoch, *course), numbers["decay"], numbers["eps"])


def _sign_sgd(numbers: Mapping[str, Scalar], steps_per_epoch: int) -> optax.GradientTransformation:
    del steps_per_epoch
    return optax.sign_sgd(numbers["learning_rate"])
