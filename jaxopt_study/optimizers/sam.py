"""SAM: the gradient of another rule is taken uphill."""

import optax
import optax.contrib

from jaxopt_study.optimizers.scalars import Scalar, as_float32


def sam(optimizer: optax.GradientTransformation, rho: Scalar = 0.05) -> optax.GradientTransformationExtraArgs:
    r"""Any rule, with the gradient at the point of the largest loss nearby: sharpness-aware minimization.

    .. math::
        g &\leftarrow \nabla f(w + rho \cdot g / \lVert g \rVert_2)

    The norm is over all weights, the batch and the dropout masks are those of the step. A step takes two gradients. It
    is Optax's, with both within one update (``opaque_mode``).

    Args:
        optimizer: that takes the gradient.
        rho: length of the ascent, may be traced.

    References:
        Foret et al., Sharpness-aware minimization for efficiently improving generalization, 2020,
        https://arxiv.org/abs/2010.01412
    """
    ascent = optax.chain(optax.contrib.normalize(), optax.sgd(as_float32("rho", rho)))
    return optax.contrib.sam(optimizer, ascent, sync_period=2, opaque_mode=True)
