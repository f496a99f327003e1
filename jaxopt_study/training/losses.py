"""Losses per example, and which examples are right. Non-finite logits always give a non-finite loss."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_study.errors import InputError


class Loss(NamedTuple):
    """What is minimised and what is counted, for one batch of one run.

    Axis letters: B batch, O outputs.

    Attributes:
        per_example: ``(logits [B, O], labels [B]) -> loss float32 [B]``.
        correct: ``(logits [B, O], labels [B]) -> 1.0 where the prediction is right, else 0.0, float32 [B]``; NaN where
            that means nothing.
    """

    per_example: Callable[[jax.Array, jax.Array], jax.Array]
    correct: Callable[[jax.Array, jax.Array], jax.Array]


def sigmoid_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Returns binary cross-entropy, float32 [B], of logits [B, 1] and labels [B] that are 0 or 1.

    It is ``log(1 + exp(-x))`` at label 1 and ``log(1 + exp(x))`` at label 0. Neither large nor small losses are lost,
    nor small gradients, and an infinite logit gives NaN even where the limit is 0.
    """
    x = logits[:, 0].astype(jnp.float32)
    away_from_label = jnp.where(labels == 1, -x, x)
    return jnp.where(jnp.isfinite(x), jax.nn.softplus(away_from_label), jnp.nan)


def sigmoid_correct(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Returns 1.0 where a probability above 0.5 meets label 1 or another meets label 0, float32 [B]; NaN is wrong."""
    x = logits[:, 0]
    return jnp.where(labels == 1, x > 0, x <= 0).astype(jnp.float32)


def softmax_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Returns the negative log probability, float32 [B], that logits [B, O] give to labels [B] in 0..O-1."""
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    # Multiplied rather than gathered: 0 times minus infinity is NaN, so no output can hide that it diverged.
    return -jnp.sum(jax.nn.one_hot(labels, logits.shape[-1]) * log_probabilities, axis=-1)


def softmax_correct(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Returns 1.0 where the largest of the logits [B, O] is the label's, float32 [B]; NaN is wrong."""
    right = jnp.argmax(logits, axis=-1) == labels
    return (right & ~jnp.any(jnp.isnan(logits), axis=-1)).astype(jnp.float32)


def mean_squared_error(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Returns the squared error, float32 [B], averaged over the outputs of [B, O]; labels are [B] or [B, O]."""
    errors = logits.astype(jnp.float32) - labels.astype(jnp.float32).reshape(logits.shape)
    return jnp.mean(jnp.square(errors), axis=-1)


def no_accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Returns NaN, float32 [B]: accuracy means nothing in a regression."""
    del labels
    return jnp.full(logits.shape[0], jnp.nan, jnp.float32)


LOSSES: dict[str, Loss] = {
    "sigmoid": Loss(sigmoid_cross_entropy, sigmoid_correct),
    "softmax": Loss(softmax_cross_entropy, softmax_correct),
    "squared_error": Loss(mean_squared_error, no_accuracy),
}


def loss_of(labels: np.ndarray, classes: int, asked: str | None = None) -> tuple[str, int]:
    """Which loss fits the labels, and how many outputs a network needs for it.

    Labels of two classes have the binary cross-entropy of one output (``sigmoid``), of more classes that of an output
    a class (``softmax``), and numbers the mean squared error (``squared_error``).

    Args:
        labels: ints ``[N]``, or floats ``[N]`` or ``[N, O]``.
        classes: number of classes; 0 for a regression.
        asked: a key of :data:`LOSSES`; None chooses.

    Raises:
        InputError: there is no such loss, or it does not fit the labels.
    """
    usual = "squared_error" if classes == 0 else "sigmoid" if classes == 2 else "softmax"
    name = usual if asked is None else asked
    outputs = {"sigmoid": 1, "softmax": classes, "squared_error": labels.shape[1] if labels.ndim > 1 else 1}
    fitting = {0: ["squared_error"], 2: ["sigmoid", "softmax", "squared_error"]}.get(classes, ["softmax"])
    if name not in fitting:
        what = f"{classes} classes" if classes else "labels that are numbers"
        raise InputError("loss", name, f"allowed for {what} are {', '.join(fitting)}")
    return name, outputs[name]
