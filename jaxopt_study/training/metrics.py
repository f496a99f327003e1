"""Metrics of the user's own: means over the validation split, and a number that is made of them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_study.errors import InputError, one_line
from jaxopt_study.history import CURVES, OPTIONAL_CURVES
from jaxopt_study.training.losses import softmax_cross_entropy

PyTree = Any
MODES = ("min", "max")
TEST = "test_"
"""Begins the name of a metric on the part that is held back for testing."""


def mean(means: jax.Array) -> jax.Array:
    """The mean of what is left of a mean over examples, such as one a place of a sequence."""
    return jnp.mean(means)


class Metric(NamedTuple):
    """A number of the validation split, from what can be added up over its examples.

    Axis letters: B batch, T places of a sequence.

    Attributes:
        per_example: ``(outputs, labels) -> array [B, ..]``, or a tree of such arrays; of examples with weights
            ``[N, T]``, ``[B, T, ..]``.
        value: of the means of these over the split, weights counted, the metric: a float32 scalar. The sums are these
            times the number of examples, so that any ratio of sums is one of means.
        mode: whether it is to be small, ``min``, or large, ``max``; empty where that is not said: the page then calls
            no value of it the best, and a study that monitors it needs a mode of its own.
    """

    per_example: Callable[[Any, Any], PyTree]
    value: Callable[[PyTree], jax.Array] = mean
    mode: str = ""


def own_metrics(metrics: Mapping[str, Any]) -> dict[str, Metric]:
    """What a user gives as metrics, by name: each a :class:`Metric`, or its ``per_example`` alone.

    Raises:
        InputError: it is neither, or has a name that is taken.
    """
    if not isinstance(metrics, Mapping):
        raise InputError("metrics", repr(metrics), 'allowed is a dictionary such as {"f1": js.macro_f1}')
    taken = {*CURVES, *OPTIONAL_CURVES, "epoch", "optimizer", "seed", "data_seed", "status"}
    made = {}
    for name, metric in metrics.items():
        if not isinstance(name, str) or not name.isidentifier() or name in taken or name.startswith(TEST):
            allowed = "allowed is a name such as f1: letters, digits and _, not test_.. and not the name of a column"
            raise InputError("metrics", repr(name), allowed)
        if not callable(metric) and not isinstance(metric, Metric):
            allowed = "allowed is js.Metric(per_example, value), or a function of outputs and labels, [B]"
            raise InputError(f"metrics[{name!r}]", repr(metric), allowed)
        if isinstance(metric, Metric) and metric.mode not in ("", *MODES):
            raise InputError(f"metrics[{name!r}].mode", repr(metric.mode), "allowed are min and max")
        made[name] = metric if isinstance(metric, Metric) else Metric(metric)
    return made


def sums(metric: Metric, outputs: Any, labels: Any, weights: jax.Array) -> PyTree:
    """Of a batch, the sums over examples of what a metric adds up, each times its weight (0 for padding), ``[A, ..]``.

    Of sequences with weights of their own the places are summed over too.
    """

    def total(x: jax.Array) -> jax.Array:
        x = jnp.asarray(x).astype(jnp.float32)
        own = weights.reshape(*weights.shape, *[1] * (x.ndim - weights.ndim))
        return jnp.where(own > 0, x * own, 0.0).sum(tuple(range(weights.ndim)))

    return jax.tree.map(total, metric.per_example(outputs, labels))


def value(metric: Metric, totals: PyTree, weight: jax.Array) -> jax.Array:
    """The metric, float32 scalar, of the sums over a split and the sum of its weights."""
    return jnp.asarray(metric.value(jax.tree.map(lambda x: x / weight, totals))).astype(jnp.float32)


def check(name: str, metric: Metric, outputs: Any, labels: Any, weights: Any) -> None:
    """Traces a metric on a batch's outputs, labels and weights (shapes and types).

    Raises:
        InputError: it fails, or is no single number.
    """
    given = f"metrics[{name!r}]"

    def per_example(outputs: Any, labels: Any) -> PyTree:
        return jax.tree.map(jnp.asarray, metric.per_example(outputs, labels))

    def of_batch(outputs: Any, labels: Any, weights: jax.Array) -> jax.Array:
        return value(metric, sums(metric, outputs, labels, weights), weights.sum())

    try:
        for x in jax.tree.leaves(jax.eval_shape(per_example, outputs, labels)):
            if x.shape[: len(weights.shape)] != weights.shape:
                allowed = f"allowed is {list(weights.shape)} or more, a value an example or an array of them"
                raise InputError(given, f"an array {list(x.shape)} of {weights.shape[0]} examples", allowed)
        shape = jax.eval_shape(of_batch, outputs, labels, weights).shape
    except InputError:
        raise
    except Exception as error:  # a user's function raises what it likes
        raise InputError(given, "a function", f"it fails with {type(error).__name__}: {one_line(error)}") from error
    if shape:
        raise InputError(given, f"an array {list(shape)}", "allowed is a single number")


def _check_classes(name: str, labels: jax.Array) -> None:
    if jnp.issubdtype(labels.dtype, jnp.floating):
        raise InputError(name, "labels that are numbers to predict", "allowed are classes")


def _hits(outputs: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
    """Of each example, or place, ``[.., K]``: the classes that it has, those predicted, and both."""
    _check_classes("macro_f1", labels)
    if labels.ndim == outputs.ndim:  # several labels, each by itself
        there, found = labels > 0, outputs > 0
    else:
        classes = max(outputs.shape[-1], 2)
        predicted = jnp.argmax(outputs, -1) if outputs.shape[-1] > 1 else (outputs[..., 0] > 0).astype(jnp.int32)
        there, found = (jax.nn.one_hot(each, classes, dtype=jnp.bool_) for each in (labels, predicted))
    return {"there": there, "found": found, "both": there & found}


def _macro_f1(means: dict[str, jax.Array]) -> jax.Array:
    there, found, both = (means[name].reshape(-1, means[name].shape[-1]).sum(0) for name in ("there", "found", "both"))
    return jnp.mean(2 * both / jnp.where(found + there > 0, found + there, 1))


macro_f1 = Metric(_hits, _macro_f1, "max")
"""The mean over the classes of F1, the harmonic mean of precision and recall; 0 for a class that is neither there nor
predicted. Of logits [B, K], or [B, 1] of two classes; of sequences [B, T, K]; of rows of several labels [B, O], where
the mean is over the labels."""


def _nats(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    _check_classes("perplexity", labels)
    return softmax_cross_entropy(outputs, labels)


perplexity = Metric(_nats, lambda means: jnp.exp(jnp.mean(means)), "min")
"""The exponential of the mean cross-entropy: of sequences [B, T, K], or classes [B, K]."""
