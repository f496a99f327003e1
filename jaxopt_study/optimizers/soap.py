"""SOAP: Adam in the eigenbasis of Shampoo's two matrices."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.optimizers.adam import one_minus_power
from jaxopt_study.optimizers.decoupled import adam_direction, decoupled
from jaxopt_study.optimizers.family import Family, by_numbers, decay, eps, not_negative
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.matrices import as_matrix
from jaxopt_study.optimizers.momentum import average
from jaxopt_study.optimizers.scalars import LearningRate, PyTree, Scalar, as_float32

EVERY = 10
"""Steps from one eigenbasis to the next."""
LONGEST = 1024
"""A longer side of a matrix is not rotated. The authors have 10,000."""


class Side(NamedTuple):
    """Of one side of a matrix of n rows or columns: the average of its second moments and its eigenbasis, both [n, n];
    [0, 0] where it is not rotated."""

    moment: jax.Array
    basis: jax.Array


class SoapState(NamedTuple):
    """Steps taken so far, int32 []; the average of the gradients and, in the eigenbasis, that of their squares, both
    shaped like the weights; and both sides of each array."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count: Optax's tools find the steps by this name
    mu: PyTree
    nu: PyTree
    sides: PyTree


def soap(
    learning_rate: LearningRate,
    b1: Scalar = 0.95,
    b2: Scalar = 0.95,
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 0.01,
) -> optax.GradientTransformation:
    r"""Adam of a gradient that is rotated so that its weights hardly correlate.

    .. math::
        mu &\leftarrow b1 \cdot mu + (1 - b1) \cdot g \\
        nu &\leftarrow b2 \cdot nu + (1 - b2) \cdot (Q_L^T g Q_R)^2 \\
        u &= Q_L \left(\frac{Q_L^T mu \, Q_R / (1 - b1^{t - 1})}{\sqrt{nu / (1 - b2^{t - 1})} + eps}\right) Q_R^T \\
        w &\leftarrow w - learning\_rate \cdot (u + weight\_decay \cdot w) \\
        L &\leftarrow b2 \cdot L + (1 - b2) \cdot g g^T, \qquad R \leftarrow b2 \cdot R + (1 - b2) \cdot g^T g

    and every 10 steps :math:`Q_L` and :math:`Q_R` become the orthogonal part of :math:`L Q_L` and :math:`R Q_R`
    (QR), a step towards their eigenvectors. The first step moves no matrix but by the decay: ``L`` and ``R`` begin with
    its gradient, the bases with their eigenvectors, the largest first. A convolution's kernel is a matrix as in
    :func:`muon`; a side longer than 1024 is not rotated; biases and all else of less than two axes go by Adam.

    Where runs take turns nine steps of ten cost a few products of matrices; where they are batched the bases of all are
    computed in every step.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.
        b1: weight of the past in the average of the gradient, in [0, 1), may be traced.
        b2: weight of the past in the other averages, in [0, 1), may be traced.
        eps: added to the root of the corrected moment, may be traced.
        weight_decay: share of the rate by which weights shrink in a step, may be traced.

    References:
        Vyas et al., SOAP: improving and stabilizing Shampoo using Adam, 2024, https://arxiv.org/abs/2409.11321
    """
    b1, b2, eps = as_float32("b1", b1), as_float32("b2", b2), as_float32("eps", eps)

    def direction(t: jax.Array, g: jax.Array, mu: jax.Array, nu: jax.Array, sides: tuple[Side, ...]) -> tuple[Any, ...]:
        if not sides:
            return *adam_direction(t, g, mu, nu, b1, b2, eps), sides
        g2, seen = as_matrix(g), t > 1
        rows, columns = sides
        next_mu = jnp.where(seen, average(as_matrix(mu), g2, b1), 0.0)
        square = jnp.square(rotated(g2, rows, columns))
        next_nu = jnp.where(seen, average(as_matrix(nu), square, b2), 0.0)
        gathered_mu, gathered_nu = (one_minus_power(b, jnp.maximum(t - 1, 1)) for b in (b1, b2))
        root = jnp.sqrt(next_nu / gathered_nu) + eps
        step = rotated(rotated(next_mu, rows, columns) / gathered_mu / root, rows, columns, back=True)
        sides = (_next(rows, g2 @ g2.T, t, b2), _next(columns, g2.T @ g2, t, b2))
        return step.reshape(g.shape), next_mu.reshape(g.shape), next_nu.reshape(g.shape), sides

    starts = (optax.tree.zeros_like, optax.tree.zeros_like, _begin)
    return decoupled(learning_rate, weight_decay, SoapState, starts, direction)


def rotated(matrix: jax.Array, rows: Side, columns: Side, *, back: bool = False) -> jax.Array:
    """A matrix [m, n] in the eigenbases of its sides, or out of them."""
    if rows.basis.size:
        matrix = (rows.basis if back else rows.basis.T) @ matrix
    if columns.basis.size:
        matrix = matrix @ (columns.basis.T if back else columns.basis)
    return matrix


def _begin(params: PyTree) -> PyTree:
    def sides(w: jax.Array) -> tuple[Side, ...]:
        lengths = as_matrix(w).shape if w.ndim >= 2 else ()
        zeros = (jnp.zeros((n, n) if n <= LONGEST else (0, 0), w.dtype) for n in lengths)
        return tuple(Side(zero, zero) for zero in zeros)

    return jax.tree.map(sides, params)


def _next(side: Side, square: jax.Array, t: jax.Array, b2: jax.Array) -> Side:
    if not side.moment.size:
        return side
    moment = jnp.where(t > 1, average(side.moment, square, b2), square)
    which = jnp.where(t == 1, 2, jnp.where(t % EVERY == 0, 1, 0)).astype(jnp.int32)
    kept, turned, found = (
        lambda moment, basis: basis,
        lambda moment, basis: jnp.linalg.qr(moment @ basis)[0],
        lambda moment, basis: jnp.linalg.eigh(moment)[1][:, ::-1],
    )
    return Side(moment, jax.lax.switch(which, (kept, turned, found), moment, side.basis))


NUMBERS = (rate(0.003), decay("b1", 0.95), decay("b2", 0.95), eps(1e-8), not_negative("weight_decay", 0.01))
FAMILIES = (Family("soap", by_numbers(soap), NUMBERS, "SOAP"),)
