"""How an optimizer moves the weights, measured inside the step for one run.

All are averaged over the steps of an epoch but ``distance``, which is taken once an epoch.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.kernels import calls

PyTree = Any
SMALL = 1 << 14
"""Entries below which an array is joined with others."""
COLUMNS = 256
"""Of what they are joined to."""
STEP_METRICS = ("oscillation", "update_size", "grad_norm", "update_norm", "param_norm")
ALWAYS = ("grad_norm",)
"""What is measured without diagnostics too, since it tells that a run stands still."""


def joined(tree: PyTree) -> list[jax.Array]:
    """The arrays of a tree as few matrices [rows, columns]: the large ones, and all small ones, with zeros at the end,
    as one.

    Dozens of arrays would cost as many operations in each of the measures, which is what their cost is on a CPU.
    """
    leaves = jax.tree.leaves(tree)
    small = [x.reshape(-1) for x in leaves if x.size < SMALL]
    large = [x.reshape(-1, x.shape[-1]) for x in leaves if x.size >= SMALL]
    if not small:
        return large
    vector = jnp.concatenate(small)
    return [*large, jnp.pad(vector, (0, -vector.size % COLUMNS)).reshape(-1, COLUMNS)]


def signs(updates: list[jax.Array]) -> list[jax.Array]:
    """The sign of every update, -1, 0 or 1, as int8 (a quarter of the memory of the update itself)."""
    return [jnp.sign(u).astype(jnp.int8) for u in updates]


def no_signs(params: PyTree) -> list[jax.Array]:
    """Before the first step: no direction, so that nothing counts as a change of it."""
    return [jnp.zeros(p.shape, jnp.int8) for p in jax.eval_shape(joined, params)]


def apply(
    grads: PyTree, updates: PyTree, params: PyTree, previous_signs: list[jax.Array], *, cuda: bool = False
) -> tuple[PyTree, dict[str, jax.Array], list[jax.Array]]:
    """Adds the updates to the weights and measures the step.

    Args:
        grads: the gradient of the loss.
        updates: what is added to the weights.
        params: the weights before the update.
        previous_signs: of the updates of the step before, as ``signs`` gives them of what ``joined`` gives.
        cuda: whether the kernel in CUDA does, which must be there.

    Returns:
        The new weights; float32 scalars by the names in ``STEP_METRICS``; the signs to keep for the next step.
        ``oscillation``: share of the parameters whose update has the opposite sign of the step before (an update of
        zero has no sign and counts as no change); ``update_size``: mean absolute update; ``grad_norm``,
        ``update_norm``, ``param_norm``: Euclidean norms over all parameters, of the new weights the last.
    """
    leaves, structure = jax.tree.flatten(params)
    of_grads, of_updates = jax.tree.leaves(grads), jax.tree.leaves(updates)
    count = sum(x.size for x in leaves)
    if calls.fits_update([*of_grads, *of_updates, *leaves], cuda=cuda):
        leaves, new_signs, sums = calls.update(of_grads, of_updates, leaves, previous_signs, SMALL, cuda=cuda)
        flips, size, norms = sums[0], sums[1], jnp.sqrt(sums[2:])
        moved = jax.tree.unflatten(structure, leaves)
    else:
        moved = optax.apply_updates(params, updates)
        moves = joined(updates)
        new_signs = signs(moves)
        opposite = [_opposite(a, b) for a, b in zip(new_signs, previous_signs, strict=True)]
        flips, size = total(opposite).astype(jnp.float32), total([jnp.sum(jnp.abs(u)) for u in moves])
        norms = jnp.stack([norm(joined(grads)), norm(moves), norm(joined(moved))])
    return moved, dict(zip(STEP_METRICS, (flips / count, size / count, *norms), strict=True)), new_signs


def _opposite(signs: jax.Array, others: jax.Array) -> jax.Array:
    """In how many places [rows, columns] one is 1 and the other -1, int32: counted by column in float32, which is exact
    up to 16 million rows and three times faster on a CPU than counting in integers."""
    return jnp.sum(jnp.sum(jnp.where(signs * others < 0, 1.0, 0.0), 0).astype(jnp.int32))


def norm(tree: PyTree) -> jax.Array:
    """Euclidean norm of all entries of a tree."""
    return jnp.sqrt(total(jax.tree.map(lambda x: jnp.sum(jnp.square(x)), tree)))


def total(tree: PyTree) -> jax.Array:
    """Sum of the scalars in a tree."""
    return jnp.stack(jax.tree.leaves(tree)).sum()


def distance(start: PyTree, end: PyTree) -> jax.Array:
    """Euclidean distance between two sets of weights."""
    return norm(jax.tree.map(jnp.subtract, end, start))
