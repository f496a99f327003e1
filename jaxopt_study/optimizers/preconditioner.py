"""What adaptive rules divide by, weight by weight: the metric in which a loss is as sharp as the rule feels it.

A rule that steps by ``-learning_rate * m / P``, with ``m`` the gradient or an average of gradients, and with ``P`` a
positive number a weight that changes slowly, is gradient descent (with momentum) on weights times ``sqrt(P)``. There
the Hessian is ``P^-1/2 H P^-1/2`` (Cohen et al., Adaptive gradient methods at the edge of stability, 2022,
https://arxiv.org/abs/2207.14484, section 2).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.optimizers.adam import one_minus_power

PyTree = Any
Numbers = Mapping[str, jax.Array]
Preconditioner = Callable[[Numbers, PyTree], PyTree]
"""``(hyperparameters, state) -> P``, shaped like the weights."""


def _rmsprop(numbers: Numbers, state: PyTree) -> PyTree:
    return jax.tree.map(lambda nu: jnp.sqrt(nu) + numbers["eps"], state.nu)


def _adagrad(numbers: Numbers, state: PyTree) -> PyTree:
    return jax.tree.map(lambda total: jnp.sqrt(total) + numbers["eps"], state.sum_of_squares)


def _adam(numbers: Numbers, state: PyTree) -> PyTree:
    t = state.count
    correction = one_minus_power(numbers["b1"], t) / jnp.sqrt(one_minus_power(numbers["b2"], t))
    return jax.tree.map(lambda nu: (jnp.sqrt(nu) + numbers["eps"]) * correction, state.nu)


def _optax_adam(numbers: Numbers, state: PyTree) -> PyTree:
    moments = state[0]
    assert isinstance(moments, optax.ScaleByAdamState)
    of_first, of_second = (one_minus_power(numbers[name], moments.count) for name in ("b1", "b2"))
    roots = jax.tree.map(lambda nu: jnp.sqrt(nu / of_second + numbers["eps_root"]), moments.nu)
    return jax.tree.map(lambda root: (root + numbers["eps"]) * of_first, roots)


PRECONDITIONERS: Mapping[str, Preconditioner] = {
    "rmsprop": _rmsprop,
    "adagrad": _adagrad,
    "adam": _adam,
    "optax.adam": _optax_adam,
    "optax.adamw": _optax_adam,
}
"""By the name of the rule; of all others the sharpness is that of the Hessian itself."""
