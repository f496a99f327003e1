"""ADOPT: Adam that divides by the second moment of the steps before, so that it converges with any ``b2``."""

import optax
import optax.contrib

from jaxopt_study.optimizers.family import Family, by_numbers, decay, eps
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.scalars import LearningRate, Scalar, as_float32


def adopt(
    learning_rate: LearningRate, b1: Scalar = 0.9, b2: Scalar = 0.9999, eps: Scalar = 1e-6
) -> optax.GradientTransformation:
    r"""Divides the gradient by the root of a second moment that has not seen it, clips, and averages.

    .. math::
        c &= \operatorname{clip}\left(g / \max(\sqrt{nu}, eps), \pm (t - 1)^{1/4}\right) \\
        mu &\leftarrow b1 \cdot mu + (1 - b1) \cdot c \\
        w &\leftarrow w - learning\_rate \cdot mu \\
        nu &\leftarrow b2 \cdot nu + (1 - b2) \cdot g^2

    The first step moves nothing; it begins ``nu`` with ``g^2``. It is Optax's.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.
        b1: weight of the past in the average of what was divided, in [0, 1), may be traced.
        b2: weight of the past in the second moment, in [0, 1), may be traced.
        eps: least root that is divided by, may be traced.

    References:
        Taniguchi et al., ADOPT: modified Adam can converge with any beta2 with the optimal rate, 2024,
        https://arxiv.org/abs/2411.02853
    """
    names = {"b1": b1, "b2": b2, "eps": eps}
    return optax.contrib.adopt(learning_rate, **{name: as_float32(name, value) for name, value in names.items()})


FAMILIES = (
    Family("adopt", by_numbers(adopt), (rate(0.001), decay("b1", 0.9), decay("b2", 0.9999), eps(1e-6)), "ADOPT"),
)
