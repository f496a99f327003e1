"""AdEMAMix: Adam with a second, much slower average of the gradient."""

import optax
import optax.contrib

from jaxopt_study.optimizers.family import Family, by_numbers, decay, eps, not_negative
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.scalars import LearningRate, Scalar, as_float32


def ademamix(
    learning_rate: LearningRate,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    b3: Scalar = 0.9999,
    alpha: Scalar = 6.0,
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 0.0,
) -> optax.GradientTransformation:
    r"""Descends along a fast average of the gradient and ``alpha`` times a slow one.

    .. math::
        m1 &\leftarrow b1 \cdot m1 + (1 - b1) \cdot g \\
        m2 &\leftarrow b3 \cdot m2 + (1 - b3) \cdot g \\
        nu &\leftarrow b2 \cdot nu + (1 - b2) \cdot g^2 \\
        w &\leftarrow w - learning\_rate \cdot \left(\frac{m1 / (1 - b1^t) + alpha \cdot m2}
            {\sqrt{nu / (1 - b2^t)} + eps} + weight\_decay \cdot w\right)

    It is Optax's, with ``b3`` and ``alpha`` constant; the paper lets both rise over the training. ``m2`` is not
    corrected for its start at zero, so that a ``b3`` of 0.9999 comes in after some thousand steps.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.
        b1: weight of the past in the fast average, in [0, 1), may be traced.
        b2: weight of the past in the average of the square, in [0, 1), may be traced.
        b3: weight of the past in the slow average, in [0, 1), may be traced.
        alpha: weight of the slow average, may be traced.
        eps: added to the root of the corrected moment, may be traced.
        weight_decay: share of the rate by which weights shrink in a step, may be traced.

    References:
        Pagliardini, Ablin and Grangier, The AdEMAMix optimizer: better, faster, older, 2024,
        https://arxiv.org/abs/2409.03137
    """
    names = {"b1": b1, "b2": b2, "b3": b3, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
    return optax.contrib.ademamix(learning_rate, **{name: as_float32(name, value) for name, value in names.items()})


NUMBERS = (
    rate(0.001), decay("b1", 0.9), decay("b2", 0.999), decay("b3", 0.9999), not_negative("alpha", 6.0), eps(1e-8),
    not_negative("weight_decay", 0.0),
)  # fmt: skip
FAMILIES = (Family("ademamix", by_numbers(ademamix), NUMBERS, "AdEMAMix"),)
