"""The kernel in C++ that reads pixels, as a function; the reference is `scale` and `moments`, one after the other."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_study.kernels import library


def read(images: jax.Array, epsilon: float | None) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Reads images uint8 [B, H, W, C], of a batch that `calls.fits_block`, as numbers from 0 to 1.

    Args:
        images: of the batch.
        epsilon: added to the variance of a channel by which they are normalized; None: they are not.

    Returns:
        The numbers [C, H + 2, W + 2, B] with zeros around; mean and variance of the batch, [C], without elements where
        they are not normalized.
    """
    batch, height, width, channels = images.shape
    shapes = (channels, height + 2, width + 2, batch), *((0 if epsilon is None else channels,),) * 2
    results = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    call: Any = jax.ffi.ffi_call(library.target("pixels"), results, vmap_method="sequential")
    return tuple(call(images, epsilon=np.float32(epsilon or 0)))
