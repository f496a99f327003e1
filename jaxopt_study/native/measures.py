"""The measures of :mod:`~jaxopt_study.diagnostics` by a kernel in C++: one call and one pass over all arrays."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_study.native import library


def fits(arrays: list[jax.Array]) -> bool:
    """Whether the kernel takes these."""
    cpu = jax.default_backend() == "cpu"
    return cpu and all(x.dtype == jnp.float32 for x in arrays) and library.available()


def measure(
    grads: list[jax.Array], updates: list[jax.Array], params: list[jax.Array], signs: list[jax.Array], alone: int
) -> tuple[jax.Array, list[jax.Array]]:
    """Opposite signs, sum of absolute updates, and sums of squares of gradients, updates and weights, float32 [5]; and
    the signs of the updates.

    Args:
        grads: arrays of any shapes.
        updates: of those shapes.
        params: of those shapes.
        signs: of the updates before, int8, as `diagnostics.joined` orders them: first those of arrays that have one by
            themselves, then those of the others, one after another, in the last.
        alone: the least size of an array that has one by itself.
    """
    results = [jax.ShapeDtypeStruct((5,), jnp.float32), *(jax.ShapeDtypeStruct(s.shape, s.dtype) for s in signs)]
    call = jax.ffi.ffi_call(library.target("measures"), results, vmap_method="sequential")
    static = {"count": np.int32(len(grads)), "alone": np.int64(alone)}
    sums, *after = call(*grads, *updates, *params, *signs, **static)
    return sums, after
