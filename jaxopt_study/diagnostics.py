"""How an optimizer moves the weights, measured inside the step for one run.

All are averaged over the steps of an epoch but ``distance``, which is taken once an epoch.
"""

from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any
STEP_METRICS = ("oscillation", "update_size", "grad_norm", "update_norm", "param_norm")


def signs(updates: PyTree) -> PyTree:
    """The sign of every update, -1, 0 or 1, as int8 (a quarter of the memory of the update itself)."""
    return jax.tree.map(lambda u: jnp.sign(u).astype(jnp.int8), updates)


def no_signs(params: PyTree) -> PyTree:
    """Before the first step: no direction, so that nothing counts as a change of it."""
    return jax.tree.map(lambda p: jnp.zeros(p.shape, jnp.int8), params)


def measure(
    grads: PyTree, updates: PyTree, params: PyTree, previous_signs: PyTree
) -> tuple[dict[str, jax.Array], PyTree]:
    """Float32 scalars by the names in ``STEP_METRICS``, and the signs to keep for the next step.

    Args:
        grads: the gradient of the loss.
        updates: what is added to the weights.
        params: the weights after the update.
        previous_signs: of the updates of the step before, as ``signs`` gives them.

    Returns:
        ``oscillation``: share of the parameters whose update has the opposite sign of the step before (an update of
        zero has no sign and counts as no change); ``update_size``: mean absolute update; ``grad_norm``,
        ``update_norm``, ``param_norm``: Euclidean norms over all parameters.
    """
    count = sum(p.size for p in jax.tree.leaves(params))
    new_signs = signs(updates)
    flipped = jax.tree.map(lambda a, b: jnp.sum((a * b) < 0, dtype=jnp.int32), new_signs, previous_signs)
    return {
        "oscillation": total(flipped).astype(jnp.float32) / count,
        "update_size": total(jax.tree.map(lambda u: jnp.sum(jnp.abs(u)), updates)) / count,
        "grad_norm": norm(grads),
        "update_norm": norm(updates),
        "param_norm": norm(params),
    }, new_signs


def norm(tree: PyTree) -> jax.Array:
    """Euclidean norm of all entries of a tree."""
    return jnp.sqrt(total(jax.tree.map(lambda x: jnp.sum(jnp.square(x)), tree)))


def total(tree: PyTree) -> jax.Array:
    """Sum of the scalars in a tree."""
    return jnp.stack(jax.tree.leaves(tree)).sum()


def distance(start: PyTree, end: PyTree) -> jax.Array:
    """Euclidean distance between two sets of weights."""
    return norm(jax.tree.map(jnp.subtract, end, start))
