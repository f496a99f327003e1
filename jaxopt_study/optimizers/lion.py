"""Lion: descent by the sign of an average."""

import optax

from jaxopt_study.optimizers.family import Family, by_numbers, decay, not_negative
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.scalars import LearningRate, Scalar, as_float32


def lion(
    learning_rate: LearningRate, b1: Scalar = 0.9, b2: Scalar = 0.99, weight_decay: Scalar = 1e-3
) -> optax.GradientTransformation:
    r"""Moves every weight by the rate, against the sign of an average that counts the newest gradient twice.

    .. math::
        u &= \operatorname{sign}(b1 \cdot mu + (1 - b1) \cdot g) \\
        w &\leftarrow w - learning\_rate \cdot (u + weight\_decay \cdot w) \\
        mu &\leftarrow b2 \cdot mu + (1 - b2) \cdot g

    It is Optax's. The first step is ``learning_rate`` against the sign of the gradient. The paper advises rates 3 to 10
    times smaller than AdamW's, and a weight decay as many times larger.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.
        b1: weight of the past in what gives the sign, in [0, 1), may be traced.
        b2: weight of the past in the average that is kept, in [0, 1), may be traced.
        weight_decay: share of the rate by which weights shrink in a step, may be traced.

    References:
        Chen et al., Symbolic discovery of optimization algorithms, 2023, https://arxiv.org/abs/2302.06675
    """
    b1, b2, weight_decay = as_float32("b1", b1), as_float32("b2", b2), as_float32("weight_decay", weight_decay)
    return optax.lion(learning_rate, b1, b2, weight_decay=weight_decay)


NUMBERS = (rate(1e-4), decay("b1", 0.9), decay("b2", 0.99), not_negative("weight_decay", 1e-3))
FAMILIES = (Family("lion", by_numbers(lion), NUMBERS, "Lion"),)
