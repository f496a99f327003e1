"""Sophia: an average of the gradient over one of the Hessian's diagonal, clipped."""

import optax
import optax.contrib

from jaxopt_study.optimizers.family import Family, by_numbers, decay, eps, not_negative
from jaxopt_study.optimizers.family import learning_rate as rate
from jaxopt_study.optimizers.scalars import LearningRate, Scalar, as_float32


def sophia(
    learning_rate: LearningRate,
    b1: Scalar = 0.965,
    b2: Scalar = 0.99,
    gamma: Scalar = 0.01,
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 1e-4,
) -> optax.GradientTransformation:
    r"""Divides by an estimate of the loss's curvature along each weight, and never steps further than the rate.

    .. math::
        mu &\leftarrow b1 \cdot mu + (1 - b1) \cdot g \\
        u &= \operatorname{clip}\left(\frac{mu / (1 - b1^t)}{\max(gamma \cdot h, eps)}, \pm 1\right) \\
        w &\leftarrow w - learning\_rate \cdot (u + weight\_decay \cdot w) \\
        h &\leftarrow b2 \cdot h + (1 - b2) \cdot z \circ \nabla^2 f(w) z
            \quad \text{in the first of every 10 steps}

    ``z`` are random signs (Hutchinson's estimator), the same for all runs; the product with the Hessian is that of the
    batch and the dropout of the step, of the network without its kernels, which cannot be differentiated twice
    (``obj_fn`` of a training step). ``h`` is 0 in the first step, which is the rate against the sign. It is Optax's.

    Args:
        learning_rate: step size, a scalar that may be traced, or a schedule of the steps taken so far.
        b1: weight of the past in the average of the gradient, in [0, 1), may be traced.
        b2: weight of the past in the average of the diagonal, in [0, 1), may be traced.
        gamma: the larger, the fewer weights are clipped, may be traced.
        eps: least number that is divided by, may be traced.
        weight_decay: share of the rate by which weights shrink in a step, may be traced.

    References:
        Liu et al., Sophia: a scalable stochastic second-order optimizer for language model pre-training, 2023,
        https://arxiv.org/abs/2305.14342
    """
    names = {"b1": b1, "b2": b2, "gamma": gamma, "eps": eps, "weight_decay": weight_decay}
    return optax.contrib.sophia(learning_rate, **{name: as_float32(name, value) for name, value in names.items()})


NUMBERS = (
    rate(1e-4), decay("b1", 0.965), decay("b2", 0.99), not_negative("gamma", 0.01), eps(1e-8),
    not_negative("weight_decay", 1e-4),
)  # fmt: skip
FAMILIES = (Family("sophia", by_numbers(sophia), NUMBERS, "Sophia"),)
