"""RMSprop with a rate that falls, and sign descent, as rules that the registry does not have by itself."""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.identity import identity
from jaxopt_study.optimizers import registry, rmsprop
from jaxopt_study.optimizers.family import Family, Hyperparameter
from jaxopt_study.optimizers.scalars import Scalar, Schedule, as_float32

COURSES: Mapping[str, Mapping[str, float]] = {
    "inverse_sqrt": {"root": 1.0, "last_share": 1.0, "line": 0.0},
    "exponential": {"root": 0.0, "last_share": 0.01, "line": 0.0},
    "linear": {"root": 0.0, "last_share": 1.0, "line": 1.0},
}
"""Numbers of :func:`falling` by what the course is called."""

_RATE = Hyperparameter("learning_rate", 0.001, 0.0, math.inf, low_open=True)
_FALLING = (
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


def add() -> None:
    """Adds ``rmsprop_falling`` and ``sign_sgd`` to the registry; again changes nothing."""
    numbers = (*registry.family("rmsprop").hyperparameters, *_FALLING)
    for name, make, taken, title in (
        ("rmsprop_falling", _rmsprop_falling, numbers, "RMSprop with a falling rate"),
        ("sign_sgd", _sign_sgd, (_RATE,), "Sign descent"),
    ):
        registry.add(Family(name, make, taken, title, identity=identity(name, make)))


def _rmsprop_falling(numbers: Mapping[str, Scalar], steps_per_epoch: int) -> optax.GradientTransformation:
    rate, epochs, *course = (as_float32(n, numbers[n]) for n in ("learning_rate", *(each.name for each in _FALLING)))
    return rmsprop(falling(rate, epochs * steps_per_epoch, *course), numbers["decay"], numbers["eps"])


def _sign_sgd(numbers: Mapping[str, Scalar], steps_per_epoch: int) -> optax.GradientTransformation:
    del steps_per_epoch
    return optax.sign_sgd(numbers["learning_rate"])
