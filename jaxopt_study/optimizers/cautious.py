"""Cautious rules: weights whose step would go against the gradient of the batch stand still."""

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.optimizers.adamw import NUMBERS as ADAMW
from jaxopt_study.optimizers.adamw import adamw
from jaxopt_study.optimizers.decoupled import decay_weights
from jaxopt_study.optimizers.family import Family, by_numbers
from jaxopt_study.optimizers.lion import NUMBERS as LION
from jaxopt_study.optimizers.lion import lion
from jaxopt_study.optimizers.scalars import LearningRate, PyTree, Scalar

LEAST_SHARE = 1e-3
"""Of an array's weights that move, for what the others' steps are scaled up by."""


def cautious(optimizer: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    r"""Any rule, without the steps that go up the gradient of their own batch; the others are longer for it.

    .. math::
        moves &= [u \cdot g < 0] \\
        w &\leftarrow w + u \cdot moves / \max(\operatorname{mean}(moves), 0.001)

    ``u`` is the rule's update of an array, the mean is over the array. The paper has ``(moving + 1) / weights`` for the
    mean, its authors' code the form here.

    Args:
        optimizer: whose updates they are. A weight decay of its own would be masked too; in :func:`cautious_adamw` and
            :func:`cautious_lion` it is not, as in the paper.

    References:
        Liang et al., Cautious optimizers: improving training with one line of code, 2024,
        https://arxiv.org/abs/2411.16085
    """
    optimizer = optax.with_extra_args_support(optimizer)

    def masked(u: jax.Array, g: jax.Array) -> jax.Array:
        moves = (u * g < 0).astype(u.dtype)
        return jnp.where(jnp.isnan(u), u, u * moves / jnp.maximum(jnp.mean(moves), LEAST_SHARE)).astype(u.dtype)

    def update(grads: PyTree, state: PyTree, params: PyTree = None, **extra: object) -> tuple[PyTree, PyTree]:
        updates, state = optimizer.update(grads, state, params, **extra)
        return jax.tree.map(masked, updates, grads), state

    return optax.GradientTransformationExtraArgs(optimizer.init, update)


def cautious_adamw(
    learning_rate: LearningRate,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 1e-4,
) -> optax.GradientTransformation:
    """:func:`cautious` around Adam; the decay of :func:`~jaxopt_study.optimizers.adamw` is not masked."""
    adam = adamw(learning_rate, b1, b2, eps, weight_decay=0.0)
    return optax.chain(cautious(adam), decay_weights(learning_rate, weight_decay))


def cautious_lion(
    learning_rate: LearningRate, b1: Scalar = 0.9, b2: Scalar = 0.99, weight_decay: Scalar = 1e-3
) -> optax.GradientTransformation:
    """:func:`cautious` around Lion; the decay of :func:`~jaxopt_study.optimizers.lion` is not masked."""
    signs = lion(learning_rate, b1, b2, weight_decay=0.0)
    return optax.chain(cautious(signs), decay_weights(learning_rate, weight_decay))


FAMILIES = (
    Family("cautious_adamw", by_numbers(cautious_adamw), ADAMW, "Cautious AdamW"),
    Family("cautious_lion", by_numbers(cautious_lion), LION, "Cautious Lion"),
)
