"""Muon: momentum whose matrices are made orthogonal before each step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.optimizers.decoupled import adam_direction, decoupled
from jaxopt_study.optimizers.family import Family, by_numbers, decay, not_negative
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.matrices import Hidden, as_matrix, hidden_matrices, lacks, treats
from jaxopt_study.optimizers.momentum import average
from jaxopt_study.optimizers.scalars import LearningRate, PyTree, Scalar, as_float32

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of an iteration's polynomial: singular values between 0 and 1 come to 0.7 to 1.2 in five."""
ITERATIONS = 5
EPS = 1e-8


class MuonState(NamedTuple):
    """Steps taken so far, int32 []; the average of the gradients, shaped like the weights, and that of their squares,
    which is empty, float32 [0], for the matrices."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count: Optax's tools find the steps by this name
    mu: PyTree
    nu: PyTree


def orthogonal(matrix: jax.Array) -> jax.Array:
    """The nearest matrix [m, n] whose singular values are 1, roughly: between 0.7 and 1.2 (Newton-Schulz)."""
    a, b, c = COEFFICIENTS
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (jnp.linalg.norm(x) + EPS)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    turned: jax.Array = x.T if matrix.shape[0] > matrix.shape[1] else x
    return turned


def muon(
    learning_rate: LearningRate,
    momentum: Scalar = 0.95,
    weight_decay: Scalar = 0.0,
    adam_share: Scalar = 0.05,
    *,
    hidden: Hidden = hidden_matrices,
) -> optax.GradientTransformation:
    r"""Moves the hidden layers' matrices by what is nearest to Nesterov momentum with all singular values 1.

    .. math::
        mu &\leftarrow momentum \cdot mu + (1 - momentum) \cdot g \\
        u &= \operatorname{orthogonal}(momentum \cdot mu + (1 - momentum) \cdot g) \\
        w &\leftarrow w - learning\_rate \cdot \left(\sqrt{\max(1, outputs / inputs)} \cdot u
            + weight\_decay \cdot w\right)

    A convolution's kernel [height, width, inputs, outputs] is the matrix [height * width * inputs, outputs]. The first
    and the last layer, embeddings, biases and all else of less than two axes go by AdamW (b1 0.9, b2 0.999, eps 1e-8),
    at ``adam_share`` of the rate; :func:`~jaxopt_study.optimizers.matrices.hidden_matrices` says which are which, by
    their names, and the page and config.json of a study name them.

    The polynomial is that of Jordan's code, in float32. Optax 0.2.8 takes all arrays of two axes, the first and the
    last layer too, no convolution unless it is told, and NAdamW for the rest; it corrects the average for its start at
    0, which Jordan does not: only epsilon and the mix with ``g`` in the first steps can tell.

    Args:
        learning_rate: step size of the matrices, a scalar that may be traced, or a schedule of the steps taken so far.
        momentum: weight of the past in the average, in [0, 1), may be traced.
        weight_decay: share of the rate by which weights shrink in a step, may be traced; of AdamW's too.
        adam_share: AdamW's rate over the matrices', may be traced.
        hidden: ``weights -> a bool for each array``: which are matrices; the others are AdamW's.

    References:
        Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024,
        https://kellerjordan.github.io/posts/muon/; Liu et al., Muon is scalable for LLM training, 2025,
        https://arxiv.org/abs/2502.16982
    """
    momentum, share = as_float32("momentum", momentum), as_float32("adam_share", adam_share)
    b1, b2, eps = (jnp.float32(x) for x in (0.9, 0.999, 1e-8))

    def squares(params: PyTree) -> PyTree:
        return jax.tree.map(
            lambda w, is_matrix: jnp.zeros(0 if is_matrix else w.shape, w.dtype), params, hidden(params)
        )

    def direction(t: jax.Array, g: jax.Array, mu: jax.Array, nu: jax.Array) -> tuple[jax.Array, ...]:
        if nu.shape == g.shape:
            step, mu, nu = adam_direction(t, g, mu, nu, b1, b2, eps)
            return share * step, mu, nu
        mu = average(mu, g, momentum)
        matrix = as_matrix(average(mu, g, momentum))
        inputs, outputs = matrix.shape
        return (max(1.0, outputs / inputs) ** 0.5 * orthogonal(matrix)).reshape(g.shape), mu, nu

    return decoupled(learning_rate, weight_decay, MuonState, (optax.tree.zeros_like, squares), direction)


NUMBERS = (rate(0.02), decay("momentum", 0.95), not_negative("weight_decay", 0.0), not_negative("adam_share", 0.05))
FAMILIES = (Family("muon", by_numbers(muon), NUMBERS, "Muon", treats=treats, lacks=lacks),)
