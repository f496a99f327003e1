"""Dropout whose masks come from a cheap counter-based generator.

The word of counter i is a 32-bit integer hash of i and of a seed of two words, so that a mask depends on the seed, the
layer and the position alone: no state, and no generator's own loop (``jax.random.bits`` takes several times longer
than the layer it serves on a CPU). Each word serves two positions, 16 bits each, so a rate is exact to 1 / 65536.

Masks are laid out batch last, [features.., batch], as the fast layers keep their activations.

The hash is the two-multiplication bijection `lowbias32` found by C. Wellons' search
(https://nullprogram.com/blog/2018/07/31/); the second word of the seed enters between its two multiplications, so two
seeds whose counters overlap still give different words.
"""

import math

import jax
import jax.numpy as jnp

_WEYL = 0x9E3779B1
_MULTIPLIERS = (0x7FEB352D, 0x846CA68B)


def mask_seed(key: jax.Array) -> jax.Array:
    """Turns a jax random key into the seed of a step's masks, uint32 [2]."""
    return jax.random.bits(key, (2,), jnp.uint32)


def keep_mask(seed: jax.Array, layer: int, shape: tuple[int, ...], rate: float) -> jax.Array:
    """Draws which activations dropout keeps.

    Args:
        seed: uint32 [2], of the step; see `mask_seed`.
        layer: number of the dropout layer in the network; each has a stream of its own.
        shape: of the activations, batch last.
        rate: share that is dropped, in [0, 1).

    Returns:
        bool [shape], True where the activation is kept.
    """
    size = math.prod(shape)
    words = _words(seed, layer, (size + 1) // 2)
    halves = jnp.concatenate([words & jnp.uint32(0xFFFF), words >> 16])
    keep: jax.Array = halves[:size].reshape(shape) >= jnp.uint32(round(rate * 65536))
    return keep


def dropout(x: jax.Array, seed: jax.Array, layer: int, rate: float) -> jax.Array:
    """Drops a share `rate` of the activations [features.., batch] and scales the others by 1 / (1 - rate)."""
    keep = keep_mask(seed, layer, x.shape, rate)
    return jnp.where(keep, x * (1.0 / (1.0 - rate)), 0.0)


def dropout_batch_first(x: jax.Array, seed: jax.Array, layer: int, rate: float) -> jax.Array:
    """The same on activations [batch, .., features], with the masks that `dropout` gives to [features, .., batch]."""
    moved = jnp.moveaxis(jnp.moveaxis(x, -1, 0), 1, -1)
    dropped = dropout(moved, seed, layer, rate)
    return jnp.moveaxis(jnp.moveaxis(dropped, -1, 1), 0, -1)


def _words(seed: jax.Array, layer: int, count: int) -> jax.Array:
    """Returns uint32 [count] words of one layer's stream."""
    salt = jnp.uint32((layer + 1) * _WEYL & 0xFFFFFFFF)
    start, tweak = _hash(seed[0] + salt), _hash(seed[1] ^ salt)
    counters = jnp.arange(count, dtype=jnp.uint32) * jnp.uint32(_WEYL)
    return _hash(counters + start, tweak)


def _hash(x: jax.Array, tweak: jax.Array | int = 0) -> jax.Array:
    x = x ^ (x >> 16)
    x = x * jnp.uint32(_MULTIPLIERS[0])
    x = x ^ jnp.uint32(tweak)
    x = x ^ (x >> 15)
    x = x * jnp.uint32(_MULTIPLIERS[1])
    return x ^ (x >> 16)
