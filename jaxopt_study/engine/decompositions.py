"""Decompositions of matrices in batched programs, which a CPU may never finish.

XLA computes independent operations of a CPU's program on the threads of one pool. jaxlib 0.10.2 and 0.11.0 divide a
batch of matrices (``eigh``, ``qr``, ``solve`` ..) among the same threads, and wait for them on the one that called:
where as many calls meet as there are threads, all wait for ever. 0.6.2, 0.8.0, 0.9.0 and 0.11.1 do not, and none does
with a single matrix. So what decomposes one is batched on no CPU: there runs take turns.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import custom_batching

from jaxopt_study.data.dataset import Batches
from jaxopt_study.training.early_stopping import Limits
from jaxopt_study.training.epoch import epoch
from jaxopt_study.training.rules import primitives
from jaxopt_study.training.step import STRATEGIES, Program, shapes

DECOMPOSITIONS = frozenset({
    "cholesky", "cholesky_update", "eig", "eigh", "geqp3", "geqrf", "hessenberg", "householder_product", "lu", "ormqr",
    "qr", "schur", "svd", "symmetric_product", "triangular_solve", "tridiagonal", "tridiagonal_solve",
})  # fmt: skip
"""Primitives of ``jax.lax.linalg`` that LAPACK computes on a CPU."""


def has_decompositions(function: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a function of arguments of these shapes and types decomposes a matrix; it is traced."""
    return not DECOMPOSITIONS.isdisjoint(primitives(jax.make_jaxpr(function)(*arguments)))


def never_waiting(program: Program, batches: Batches, device: jax.Device) -> Program:
    """The program for a device; on a CPU with runs in turn, if its epoch decomposes a matrix."""
    if device.platform != "cpu" or program.strategy.in_turn:
        return program
    whole: Any = jax.ShapeDtypeStruct((), jnp.int32)
    arguments = (*shapes(program), Limits(whole, whole), batches)
    decomposes = has_decompositions(functools.partial(epoch, program=program), *arguments)
    return program._replace(strategy=STRATEGIES["map"]) if decomposes else program


def one_by_one(begin: Callable[..., Any], program: Program, device: jax.Device) -> Callable[..., Any]:
    """What begins a run of a program, ``(seed, hyperparameters) -> state``, for a vmap over runs; on a CPU it computes
    one after the other, if weights begin with a decomposition, as orthogonal ones do."""
    if device.platform != "cpu":
        return begin
    _, hyperparameters = shapes(program)
    seed = jax.ShapeDtypeStruct((), jnp.uint32)
    return custom_batching.sequential_vmap(begin) if has_decompositions(begin, seed, hyperparameters) else begin
