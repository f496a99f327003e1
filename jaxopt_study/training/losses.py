"""Losses per example, and which examples are right. Non-finite logits always give a non-finite loss."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_study.errors import InputError


class Loss(NamedTuple):
    """What is minimised and what is counted, for one batch of one run.

    Axis letters: B batch, T places of a sequence, O outputs. Of sequences, whose logits are [B, T, O] and whose labels
    are [B, T], what is [B] here is [B, T].

    Attributes:
        per_example: ``(logits [B, O], labels [B]) -> loss float32 [B]``.
        correct: ``(logits [B, O], labels [B]) -> 1.0 where the prediction is right, else 0.0, float32 [B]``; NaN where
            that means nothing.
    """

    per_example: Callable[[Any, Any], jax.Array]
    correct: Callable[[Any, Any], jax.Array]


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
    """Returns the negative log probability, float32 [B], that logits [B, O] give to labels [B] in 0..O-1; of sequences
    [B, T], of logits [B, T, O]."""
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


def multi_label_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Returns the binary cross-entropy, float32 [B], averaged over the labels of [B, O], each 0 or 1 by itself."""
    x = logits.astype(jnp.float32)
    away_from_label = jnp.where(labels == 1, -x, x)
    return jnp.mean(jnp.where(jnp.isfinite(x), jax.nn.softplus(away_from_label), jnp.nan), axis=-1)


def multi_label_correct(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Returns the share of an example's labels [B, O] that are right, float32 [B]."""
    return jnp.mean(jnp.where(labels == 1, logits > 0, logits <= 0).astype(jnp.float32), axis=-1)


def no_accuracy(logits: Any, labels: Any) -> jax.Array:
    """Returns NaN, float32 [B]: accuracy means nothing in a regression."""
    del labels
    return jnp.full(jax.tree.leaves(logits)[0].shape[0], jnp.nan, jnp.float32)


LOSSES: dict[str, Loss] = {
    "sigmoid": Loss(sigmoid_cross_entropy, sigmoid_correct),
    "softmax": Loss(softmax_cross_entropy, softmax_correct),
    "squared_error": Loss(mean_squared_error, no_accuracy),
    "multi_label": Loss(multi_label_cross_entropy, multi_label_correct),
}
TASKS = {
    "classes": "one class an example",
    "multi_label": "rows of 0 and 1, each a label by itself",
    "sequences": "a class at every place of a sequence",
    "numbers": "numbers to predict",
}
"""What labels may be."""
OwnLoss = Callable[[Any, Any], jax.Array]
"""``(outputs, labels) -> loss [B]``, or ``[B, T]``, of whatever a network returns."""


def are_classes(outputs: Any, labels: Any) -> bool:
    """Whether outputs are logits of classes, ``[.., O]``, and labels one of them, ``[..]``, by shapes and types."""
    return getattr(labels, "dtype", None) == jnp.int32 and bool(getattr(outputs, "shape", ())[:-1] == labels.shape)


def own_loss(function: OwnLoss) -> Loss:
    """A loss of the user's own. Right is what the usual loss counts as right, where outputs and labels are of classes.

    Called with a batch's outputs and labels; its result is made float32.
    """

    def per_example(outputs: Any, labels: Any) -> jax.Array:
        return jnp.asarray(function(outputs, labels)).astype(jnp.float32)

    def correct(outputs: Any, labels: Any) -> jax.Array:
        if not are_classes(outputs, labels):
            return no_accuracy(outputs, labels)
        binary = outputs.ndim == 2 and outputs.shape[-1] == 1
        return sigmoid_correct(outputs, labels) if binary else softmax_correct(outputs, labels)

    return Loss(per_example, correct)


def weighted_sum(values: jax.Array, weights: jax.Array, *, weighted: bool) -> jax.Array:
    """The sum of values ``[A, ..]``, each times its weight: 0 for padding; axes that the weights lack are averaged.

    Args:
        values: of the examples, or of every place of their sequences.
        weights: float32 ``[A]``, or ``[A, T]``.
        weighted: whether there are others than 0 and 1.
    """
    values = values.mean(tuple(range(weights.ndim, values.ndim))) if values.ndim > weights.ndim else values
    values = values.reshape(*values.shape, *[1] * (weights.ndim - values.ndim))
    # where, not a product: padding must not bring a NaN in, and a real NaN must not be lost.
    return jnp.where(weights > 0, values * weights if weighted else values, 0.0).sum()


def batch_mean(losses: jax.Array, weights: jax.Array | None) -> jax.Array:
    """The mean over a batch's losses ``[B, ..]``; with weights the mean of those, 0 where all weights are."""
    if weights is None:
        return jnp.mean(losses)
    total = weights.sum()
    return weighted_sum(losses, weights, weighted=True) / jnp.where(total > 0, total, 1.0)


def loss_of(labels: Any, classes: int, asked: str | None = None, task: str = "") -> tuple[str, int]:
    """Which loss fits the labels, and how many outputs a network needs for it.

    Labels of two classes have the binary cross-entropy of one output (``sigmoid``), of more classes that of an output
    a class (``softmax``), and numbers the mean squared error (``squared_error``).

    Args:
        labels: ints ``[N]``, or floats ``[N]`` or ``[N, O]``; of sequences ints ``[N, T]``, of several labels
            ``[N, O]``.
        classes: number of classes; 0 for a regression.
        asked: a key of :data:`LOSSES`; None chooses.
        task: of :data:`TASKS`; empty for classes, and for numbers where there are none.

    Raises:
        InputError: there is no such loss, or it does not fit the labels.
    """
    if isinstance(labels, dict | tuple):
        what = f"{len(labels)} arrays of labels"
        raise InputError("loss", asked, f"allowed for {what} is a function of outputs and labels, loss per example")
    usual = "squared_error" if classes == 0 else "sigmoid" if classes == 2 else "softmax"
    usual = {"sequences": "softmax", "multi_label": "multi_label"}.get(task, usual)
    name = usual if asked is None else asked
    width = labels.shape[-1] if labels.ndim > 1 else 1
    outputs = {"sigmoid": 1, "softmax": classes, "squared_error": width, "multi_label": width}
    fitting = {0: ["squared_error"], 2: ["sigmoid", "softmax", "squared_error"]}.get(classes, ["softmax"])
    fitting = {"sequences": ["softmax"], "multi_label": ["multi_label", "squared_error"]}.get(task, fitting)
    if name not in fitting:
        what = f"{classes} classes" if classes else "labels that are numbers"
        raise InputError("loss", name, f"allowed for {what} are {', '.join(fitting)}, or a function")
    return name, outputs[name]
