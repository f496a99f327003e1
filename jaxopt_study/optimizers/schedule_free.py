"""Schedule-free SGD and AdamW: an average of the weights takes the place of a falling learning rate."""

import optax
import optax.contrib

from jaxopt_study.optimizers.family import Family, Hyperparameter, by_numbers, decay, eps, not_negative
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.scalars import LearningRate, Scalar, as_float32


def schedule_free_sgd(learning_rate: LearningRate, b1: Scalar = 0.9) -> optax.GradientTransformation:
    r"""Takes the gradient between fast weights ``z`` and their average ``x``, and is judged at the average.

    .. math::
        y &= (1 - b1) \cdot z + b1 \cdot x \qquad g = \nabla f(y) \\
        z &\leftarrow z - learning\_rate \cdot g \\
        x &\leftarrow (1 - c) \cdot x + c \cdot z, \qquad c = largest^2 / \sum largest^2

    ``y`` are the weights that are trained; ``x``, which validation loss, accuracy and saved weights are of, comes from
    the state. ``largest`` is the largest rate so far: at a constant rate ``x`` is the mean of all ``z``. Both are
    Optax's. The AdamW has no first moment, since ``b1`` does what it is for:
    :math:`z \leftarrow z - learning\_rate \cdot (g / (\sqrt{nu / (1 - b2^t)} + eps) + weight\_decay \cdot y)`.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.
        b1: weight of the average where the gradient is taken, in (0, 1), may be traced.

    References:
        Defazio et al., The road less scheduled, 2024, https://arxiv.org/abs/2405.15682
    """
    return optax.contrib.schedule_free(optax.sgd(learning_rate), learning_rate, as_float32("b1", b1))


def schedule_free_adamw(
    learning_rate: LearningRate = 0.0025,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 0.0,
) -> optax.GradientTransformation:
    """AdamW's form of :func:`schedule_free_sgd`.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.
        b1: weight of the average where the gradient is taken, in (0, 1), may be traced.
        b2: weight of the past in the average of the square, in [0, 1), may be traced.
        eps: added to the root of the corrected moment, may be traced.
        weight_decay: share of the rate by which weights shrink in a step, may be traced.
    """
    names = {"b1": b1, "b2": b2, "eps": eps, "weight_decay": weight_decay}
    numbers = {name: as_float32(name, value) for name, value in names.items()}
    return optax.contrib.schedule_free_adamw(learning_rate, **numbers)


_B1 = Hyperparameter("b1", 0.9, 0.0, 1.0, low_open=True)
_NUMBERS = (rate(0.0025), _B1, decay("b2", 0.999), eps(1e-8), not_negative("weight_decay", 0.0))
FAMILIES = (
    Family("schedule_free_sgd", by_numbers(schedule_free_sgd), (rate(1.0), _B1), "Schedule-free SGD"),
    Family("schedule_free_adamw", by_numbers(schedule_free_adamw), _NUMBERS, "Schedule-free AdamW"),
)
