"""Prodigy: AdamW that estimates its own learning rate from how far it has come."""

import optax
import optax.contrib

from jaxopt_study.optimizers.family import Family, by_numbers, decay, eps, not_negative
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.scalars import LearningRate, Scalar, as_float32


def prodigy(
    learning_rate: LearningRate = 1.0,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 0.0,
) -> optax.GradientTransformation:
    r"""Adam's step times an estimate ``d`` of the distance to the solution, which only grows.

    .. math::
        rate &= learning\_rate \cdot \sqrt{1 - b2^t} / (1 - b1^t) \\
        r &\leftarrow \sqrt{b2} \cdot r + rate \cdot d^2 \cdot \langle g, w_0 - w \rangle \\
        s &\leftarrow \sqrt{b2} \cdot s + rate \cdot d^2 \cdot g \\
        mu &\leftarrow b1 \cdot mu + (1 - b1) \cdot d \cdot g \\
        nu &\leftarrow b2 \cdot nu + (1 - b2) \cdot d^2 \cdot g^2 \\
        d' &= \max(d, r / \lVert s \rVert_1) \\
        w &\leftarrow w - rate \cdot d \cdot (mu / (\sqrt{nu} + d' \cdot eps) + weight\_decay \cdot w)

    and ``d`` becomes ``d'``; it starts at 1e-6. The rate is a multiple of what is estimated, 1 as its authors have it.
    ``d`` is one number of all weights. It is Optax's.

    Args:
        learning_rate: multiple of the estimate, a scalar that may be traced, or a schedule of the steps taken so far.
        b1: weight of the past in the average of the gradient, in [0, 1), may be traced.
        b2: weight of the past in the average of its square, in [0, 1), may be traced.
        eps: added to the root, times the estimate, may be traced.
        weight_decay: share of the rate by which weights shrink in a step, may be traced.

    References:
        Mishchenko and Defazio, Prodigy: an expeditiously adaptive parameter-free learner, 2023,
        https://arxiv.org/abs/2306.06101
    """
    b1, b2 = as_float32("b1", b1), as_float32("b2", b2)
    eps, weight_decay = as_float32("eps", eps), as_float32("weight_decay", weight_decay)
    return optax.contrib.prodigy(learning_rate, (b1, b2), eps=eps, weight_decay=weight_decay)


NUMBERS = (rate(1.0), decay("b1", 0.9), decay("b2", 0.999), eps(1e-8), not_negative("weight_decay", 0.0))
FAMILIES = (Family("prodigy", by_numbers(prodigy), NUMBERS, "Prodigy"),)
