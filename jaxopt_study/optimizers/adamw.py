"""AdamW and NAdamW: Adam whose weight decay is not divided by the root of the second moment."""

import functools

import optax

from jaxopt_study.optimizers.family import Family, by_numbers, decay, eps, not_negative
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.scalars import LearningRate, Scalar, as_float32


def adamw(
    learning_rate: LearningRate,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 1e-4,
    *,
    nesterov: bool = False,
) -> optax.GradientTransformation:
    r"""Adam, and besides a step towards zero in proportion to the weight.

    .. math::
        mu &\leftarrow b1 \cdot mu + (1 - b1) \cdot g \\
        nu &\leftarrow b2 \cdot nu + (1 - b2) \cdot g^2 \\
        w &\leftarrow w - learning\_rate \cdot \left(\frac{mu / (1 - b1^t)}{\sqrt{nu / (1 - b2^t)} + eps}
            + weight\_decay \cdot w\right)

    NAdamW has :math:`b1 \cdot mu / (1 - b1^{t + 1}) + (1 - b1) \cdot g / (1 - b1^t)` in place of
    :math:`mu / (1 - b1^t)`.

    It is Optax's. The decay is times the rate, as in PyTorch and Keras and other than in the paper. The default is
    Optax's; PyTorch has 0.01, Keras 0.004.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.
        b1: weight of the past in the average of the gradient, in [0, 1), may be traced.
        b2: weight of the past in the average of its square, in [0, 1), may be traced.
        eps: added to the root of the corrected moment, may be traced.
        weight_decay: share of the rate by which weights shrink in a step, may be traced.
        nesterov: whether it is NAdamW.

    References:
        Loshchilov and Hutter, Decoupled weight decay regularization, 2017, https://arxiv.org/abs/1711.05101;
        Dozat, Incorporating Nesterov momentum into Adam, 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ
    """
    return optax.adamw(
        learning_rate,
        as_float32("b1", b1),
        as_float32("b2", b2),
        as_float32("eps", eps),
        weight_decay=as_float32("weight_decay", weight_decay),
        nesterov=nesterov,
    )


NUMBERS = (rate(0.001), decay("b1", 0.9), decay("b2", 0.999), eps(1e-8), not_negative("weight_decay", 1e-4))
FAMILIES = (
    Family("adamw", by_numbers(adamw), NUMBERS, "AdamW"),
    Family("nadamw", by_numbers(functools.partial(adamw, nesterov=True)), NUMBERS, "NAdamW"),
)
