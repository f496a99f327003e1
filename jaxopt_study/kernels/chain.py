"""The article's blocks by kernels, one after the other; in CUDA each may normalize what it reads of the one before.

Where blocks are linked the normalized activations are neither written nor read: what a block stores are activations,
whose sign says which of them dropout drops (kernels/cuda/dropout.h), with a border of dropped ones. The last block has
no other after it, and a result. Values are those of blocks that are not linked.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxopt_study.kernels import calls
from jaxopt_study.kernels.calls import Before, Form, Parameters, Residuals

Forms = tuple[Form, ...]
Statistics = tuple[jax.Array, jax.Array]
Results = tuple[jax.Array, tuple[Statistics, ...]]


def linked(forms: Sequence[Form]) -> Forms:
    """The forms of blocks in CUDA, all padded but the last, made to read and to give activations."""
    last = len(forms) - 1
    rates = (None, *(form.rate for form in forms))
    return tuple(form._replace(before=rates[i], bare=i < last) for i, form in enumerate(forms))


def blocks(forms: Forms, x: jax.Array, parameters: Sequence[Parameters], seed: jax.Array) -> Results:
    """Applies the blocks in training, with the statistics of the batch.

    Args:
        forms: of each block, see :func:`linked`.
        x: padded images [C, H + 2, W + 2, B].
        parameters: of each block.
        seed: of the step's masks, uint32 [2].

    Returns:
        The last block's result; mean and variance of each one's activations, through which no gradient flows.
    """
    x, given = jax.tree.map(calls.single, (x, tuple(parameters)))
    if any(form.bare for form in forms):
        return _linked_blocks(forms, x, given, seed)
    statistics = []
    for form, of in zip(forms, given, strict=True):
        x, mean, variance = calls.block(form, x, of, seed)
        statistics.append((mean, variance))
    return x, tuple(statistics)


def evaluate(
    forms: Forms, x: jax.Array, parameters: Sequence[Parameters], statistics: Sequence[Statistics]
) -> jax.Array:
    """Applies them with each one's running mean and variance, without dropout."""
    x, *given = jax.tree.map(calls.single, (x, tuple(parameters), tuple(statistics)))
    seed = jnp.zeros(2, jnp.uint32)
    before: Before = ()
    for form, of, (mean, variance) in zip(forms, *given, strict=True):
        result, active, *_ = calls.run(form, x, of, seed, mean, variance, before)
        x, before = (active, (mean, variance, of.scale, of.offset)) if form.bare else (result, ())
    return x


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _linked_blocks(forms: Forms, x: jax.Array, parameters: tuple[Parameters, ...], seed: jax.Array) -> Results:
    return _forward(forms, x, parameters, seed)[0]


def _forward(
    forms: Forms, x: jax.Array, parameters: tuple[Parameters, ...], seed: jax.Array
) -> tuple[Results, tuple[Residuals, ...]]:
    before: Before = ()
    statistics, kept = [], []
    for form, of in zip(forms, parameters, strict=True):
        (x, mean, variance), residuals = calls.forward(form, x, of, seed, before)
        before = (mean, variance, of.scale, of.offset)
        statistics.append((mean, variance))
        kept.append(residuals)
    return (x, tuple(statistics)), tuple(kept)


def _backward(
    forms: Forms, kept: tuple[Residuals, ...], gradients: Results
) -> tuple[jax.Array | None, tuple[Parameters, ...], None]:
    gradient: jax.Array | None = gradients[0]
    of_parameters = []
    for form, residuals in zip(reversed(forms), reversed(kept), strict=True):
        assert gradient is not None  # only the first block has none to give
        gradient, of, _ = calls.backward(form, residuals, (gradient,))
        of_parameters.append(of)
    return gradient, tuple(reversed(of_parameters)), None


_linked_blocks.defvjp(_forward, _backward)
