"""Decompositions of matrices in batched programs, which a CPU may never finish.

XLA computes independent operations of a CPU's program on the threads of one pool. jaxlib 0.10.2 and 0.11.0 divide a
batch of matrices (``eigh``, ``qr``, ``solve`` ..) among the same threads, and wait for them on the one that called:
where as many calls meet as there are threads, all wait for ever. 0.6.2, 0.8.0, 0.9.0 and 0.11.1 do not, and none does
with a single matrix. So what decomposes one is batched on no CPU: there runs take turns, which is as fast.
"""

from collections.abc import Callable
from typing import Any

import jax

from jaxopt_study.training.rules import primitives

DECOMPOSITIONS = frozenset({
    "cholesky", "cholesky_update", "eig", "eigh", "geqp3", "geqrf", "hessenberg", "householder_product", "lu", "ormqr",
    "qr", "schur", "svd", "symmetric_product", "triangular_solve", "tridiagonal", "tridiagonal_solve",
})  # fmt: skip
"""Primitives of ``jax.lax.linalg`` that LAPACK computes on a CPU."""


def has_decompositions(function: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a function of arguments of these shapes and types decomposes a matrix; it is traced."""
    return not DECOMPOSITIONS.isdisjoint(primitives(jax.make_jaxpr(function)(*arguments)))
