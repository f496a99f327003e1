"""An update of the weights and what training.diagnostics measures of it, in one pass over all arrays."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_study.kernels import library

Arrays = list[jax.Array]


def fits(arrays: Arrays) -> bool:
    """Whether the kernel takes these."""
    cpu = jax.default_backend() == "cpu"
    return cpu and all(x.dtype == jnp.float32 for x in arrays) and library.available()


def apply(
    grads: Arrays, updates: Arrays, params: Arrays, signs: Arrays, alone: int
) -> tuple[Arrays, Arrays, jax.Array]:
    """Adds the updates to the weights and measures both.

    Args:
        grads: arrays of any shapes.
        updates: of those shapes.
        params: of those shapes, before the update.
        signs: of the updates before, int8, as `diagnostics.joined` orders them: first those of arrays that have one by
            themselves, then those of the others, one after another, in the last.
        alone: the least size of an array that has one by itself.

    Returns:
        The weights after the update; the signs of the updates; float32 [5]: opposite signs, sum of absolute updates,
        and sums of squares of gradients, updates and new weights.
    """
    count = len(grads)
    results = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (*params, *signs)]
    results.append(jax.ShapeDtypeStruct((5,), jnp.float32))
    in_place = {2 * count + i: i for i in range(len(params) + len(signs))}
    call = jax.ffi.ffi_call(
        library.target("measures"), results, vmap_method="sequential", input_output_aliases=in_place
    )
    found = call(*grads, *updates, *params, *signs, count=np.int32(count), alone=np.int64(alone))
    return list(found[:count]), list(found[count:-1]), found[-1]
