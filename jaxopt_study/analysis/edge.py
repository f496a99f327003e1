"""How sharp a loss may be for a rule to be stable: the edge of stability, from the rule's numbers."""

from collections.abc import Callable, Mapping

import numpy as np

from jaxopt_study.history import History


def _plain(n: Mapping[str, float]) -> float:
    return 2 / n["learning_rate"]


def _momentum(n: Mapping[str, float]) -> float:
    return (2 + 2 * n.get("momentum", 0.0)) / n["learning_rate"]


def _averaged(n: Mapping[str, float], share: str) -> float:
    return (2 + 2 * n[share]) / ((1 - n[share]) * n["learning_rate"])


def _nesterov(n: Mapping[str, float]) -> float:
    return (2 + 2 * n["momentum"]) / ((1 + 2 * n["momentum"]) * n["learning_rate"])


EDGES: Mapping[str, Callable[[Mapping[str, float]], float]] = {
    "sgd": _plain,
    "momentum": _momentum,
    "momentum_ema": lambda n: _averaged(n, "momentum"),
    "nesterov": _nesterov,
    "rmsprop": _plain,
    "adagrad": _plain,
    "adam": lambda n: _averaged(n, "b1"),
    "optax.sgd": _momentum,
    "optax.adam": lambda n: _averaged(n, "b1"),
    "optax.adamw": lambda n: _averaged(n, "b1"),
}
"""By the name of the rule: the sharpness from which it diverges on a quadratic.

Of gradient descent it is 2 / learning_rate, with momentum (2 + 2 momentum) / learning_rate, with Nesterov's that over
1 + 2 momentum (Cohen et al., 2021, https://arxiv.org/abs/2103.00065, section 2 and appendix B). An average of gradients
is momentum at learning_rate * (1 - momentum): Adam with b1 = 0.9 has 38 / learning_rate, of the preconditioned Hessian
with the preconditioner held (Cohen et al., 2022, https://arxiv.org/abs/2207.14484, section 2)."""


def edge(history: History) -> float | None:
    """The sharpness from which a run's rule is unstable; None where it is not known: a rate that changes, a clip."""
    if history.optimizer not in EDGES or "max_norm" in history.hyperparameters:
        return None
    return EDGES[history.optimizer](history.hyperparameters)


def over_edge(history: History) -> np.ndarray | None:
    """The sharpness of each epoch as a multiple of the edge, float64 ``[E]``; None where either is not known."""
    at = edge(history)
    return None if at is None or "sharpness" not in history.curves else history.curves["sharpness"] / at
