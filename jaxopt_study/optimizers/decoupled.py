"""What rules with a weight decay of their own share: how they step through the weights, and Adam's direction."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.optimizers.adam import one_minus_power
from jaxopt_study.optimizers.momentum import average
from jaxopt_study.optimizers.scalars import LearningRate, PyTree, Scalar, as_float32, rate_at


class CountState(NamedTuple):
    """Steps taken so far, int32 []."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count: Optax's tools find the steps by this name


def decoupled(
    learning_rate: LearningRate,
    weight_decay: Scalar,
    state: Callable[..., Any],
    starts: Sequence[Callable[[PyTree], PyTree]],
    direction: Callable[..., tuple[Any, ...]],
) -> optax.GradientTransformation:
    """Makes an optimizer of the direction that a rule takes: ``w <- w - rate * (direction + weight_decay * w)``.

    Args:
        learning_rate: a scalar that may be traced, or a schedule of the steps taken so far.
        weight_decay: share of the rate by which weights shrink in a step, may be traced.
        state: NamedTuple of ``count``, the steps taken so far, int32 [], and of slots.
        starts: ``all weights -> slot`` before the first step, for each slot; a slot has something for every array of
            weights, an array or several.
        direction: ``(step from 1 on, float32 [], gradient, *slots) -> (direction, *next slots)`` of one array.
    """
    weight_decay = as_float32("weight_decay", weight_decay)

    def init(params: PyTree) -> PyTree:
        return state(jnp.zeros([], jnp.int32), *(start(params) for start in starts))

    def update(grads: PyTree, before: PyTree, params: PyTree = None) -> tuple[PyTree, PyTree]:
        count, *slots = before
        rate, after = rate_at(learning_rate, count), optax.safe_increment(count)
        leaves: list[jax.Array]
        structure: Any
        leaves, structure = jax.tree.flatten(grads)
        of_leaves = zip(leaves, *map(structure.flatten_up_to, slots), strict=True)
        directions, *slots = zip(*(direction(after.astype(jnp.float32), *each) for each in of_leaves), strict=True)
        weights = structure.flatten_up_to(params)
        updates = [(-rate * (d + weight_decay * w)).astype(w.dtype) for d, w in zip(directions, weights, strict=True)]
        unflatten = structure.unflatten
        return unflatten(updates), state(after, *map(unflatten, slots))

    return optax.GradientTransformation(init, update)


def decay_weights(learning_rate: LearningRate, weight_decay: Scalar) -> optax.GradientTransformation:
    """Adds ``-rate * weight_decay * w`` to the updates of a rule that comes before it in a chain."""
    weight_decay = as_float32("weight_decay", weight_decay)

    def update(updates: PyTree, before: CountState, params: PyTree = None) -> tuple[PyTree, CountState]:
        share = rate_at(learning_rate, before.count) * weight_decay
        shrunk = jax.tree.map(lambda u, w: (u - share * w).astype(u.dtype), updates, params)
        return shrunk, CountState(optax.safe_increment(before.count))

    return optax.GradientTransformation(lambda params: CountState(jnp.zeros([], jnp.int32)), update)


def adam_direction(
    t: jax.Array, g: jax.Array, mu: jax.Array, nu: jax.Array, b1: jax.Array, b2: jax.Array, eps: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Adam's direction of one array at step ``t``, epsilon beside the corrected root, and its next two moments."""
    mu, nu = average(mu, g, b1), average(nu, jnp.square(g), b2)
    root = jnp.sqrt(nu / one_minus_power(b2, t)) + eps
    return mu / one_minus_power(b1, t) / root, mu, nu
