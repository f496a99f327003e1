"""What the rules share: how they read their numbers, Python floats or traced, and step through the weights."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import optax

PyTree: TypeAlias = Any
Scalar: TypeAlias = float | jax.Array
Schedule: TypeAlias = Callable[[jax.Array], Scalar]
LearningRate: TypeAlias = Scalar | Schedule


def as_float32(name: str, value: Scalar) -> jax.Array:
    """Returns ``value`` as a float32 scalar.

    ``1 - b2`` in Python's float64 and in a traced float32 differ by 7e-6 of its size at ``b2`` = 0.999. Rounding first
    makes a constant and a traced number give the same updates, bit for bit.

    Args:
        name: what the number is called in an error.
        value: a Python number or an array of shape [].

    Raises:
        ValueError: if ``value`` is not a scalar. Several configurations are the business of the caller's ``vmap``.
    """
    rounded = jnp.asarray(value, jnp.float32)
    if not isinstance(value, jax.core.Tracer):
        # From jax 0.12 on XLA folds a constant's logarithm, and rounds it otherwise than at run time.
        rounded = jax.lax.optimization_barrier(rounded)
    if rounded.shape:
        raise ValueError(f"{name} has shape {rounded.shape}: a scalar is allowed, use jax.vmap over configurations")
    return rounded


def rate_at(learning_rate: LearningRate, count: jax.Array) -> jax.Array:
    """Returns the float32 rate of the step that ``count`` steps precede, so the first step asks a schedule for 0."""
    return as_float32("learning_rate", learning_rate(count) if callable(learning_rate) else learning_rate)


def by_leaf(
    learning_rate: LearningRate,
    state: Callable[..., Any],
    starts: Sequence[Callable[[jax.Array], jax.Array]],
    step: Callable[..., tuple[jax.Array, ...]],
) -> optax.GradientTransformation:
    """Makes an optimizer of what a rule does with a single array of weights.

    Args:
        learning_rate: a scalar that may be traced, or a schedule of the steps taken so far.
        state: NamedTuple of ``count``, the steps taken so far, int32 [], and of slots shaped like the weights.
        starts: ``weights -> slot`` before the first step, for each slot.
        step: ``(rate float32 [], gradient, *slots) -> (update, *next slots)``.
    """

    def init(params: PyTree) -> PyTree:
        return state(jnp.zeros([], jnp.int32), *(jax.tree.map(start, params) for start in starts))

    def update(gradients: PyTree, before: PyTree, params: PyTree = None) -> tuple[PyTree, PyTree]:
        del params
        count, *slots = before
        rate = rate_at(learning_rate, count)
        stepped = jax.tree.map(lambda *leaves: step(rate, *leaves), gradients, *slots)
        parts = jax.tree.structure((0,) * (1 + len(slots)))
        updates, *slots = jax.tree.transpose(jax.tree.structure(gradients), parts, stepped)
        return updates, state(optax.safe_increment(count), *slots)

    return optax.GradientTransformation(init, update)
