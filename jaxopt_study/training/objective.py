"""What is minimised, what is measured besides, and by what runs are stopped and their best weights chosen."""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax

from jaxopt_study.analysis.minima import Monitor
from jaxopt_study.errors import InputError, one_line
from jaxopt_study.identity import identity
from jaxopt_study.training import metrics as own
from jaxopt_study.training.losses import LOSSES, Loss, OwnLoss, are_classes, loss_of, no_accuracy, own_loss
from jaxopt_study.training.metrics import MODES, Metric

MEASURED = {"val_loss": "min", "val_accuracy": "max"}
"""What may be monitored in any study, and whether it is to be small or large."""


class Objective(NamedTuple):
    """What a study is after; made by :func:`objective`.

    Attributes:
        loss: a key of ``losses.LOSSES``, a function of outputs and labels, or None: chosen by the labels.
        metrics: of the user's own, by name.
        monitor: what the stopping rule, the best weights and ``Study.best`` go by: ``val_loss``, ``val_accuracy`` or a
            metric's name.
        mode: ``min`` or ``max``.
    """

    loss: str | OwnLoss | None = None
    metrics: Mapping[str, Metric] = MappingProxyType({})
    monitor: str = "val_loss"
    mode: str = "min"

    @property
    def is_usual(self) -> bool:
        """Whether runs are judged by the validation loss."""
        return (self.monitor, self.mode) == ("val_loss", "min")

    @property
    def watched(self) -> Monitor | None:
        """What runs are judged by, None for the validation loss."""
        return None if self.is_usual else Monitor(self.monitor, self.mode)

    def fitted(self, labels: Any, classes: int, task: str) -> "Fitted":
        """The loss for these labels.

        Raises:
            InputError: it does not fit them.
        """
        if self.loss is None or isinstance(self.loss, str):
            name, outputs = loss_of(labels, classes, self.loss, task)
            return Fitted(name, outputs, LOSSES[name])
        name = str(getattr(self.loss, "__name__", type(self.loss).__name__))
        return Fitted(f"own {name}" if name in LOSSES else name, 0, _own_loss(self.loss))

    def identity(self, name: str, usual: str) -> dict[str, Any]:
        """What a run's result depends on of it, for its fingerprint: nothing where all is as usual.

        Args:
            name: of the loss.
            usual: of the loss that the labels have by themselves.
        """
        told: dict[str, Any] = {}
        if callable(self.loss):
            told["loss"] = f"{name} {identity(self.loss, of='loss')}"
        elif name != usual:
            told["loss"] = name
        if self.metrics:
            told["metrics"] = {
                each: identity(made.per_example, made.value, of=f"metrics[{each!r}]")
                for each, made in self.metrics.items()
            }
        if not self.is_usual:
            told["monitor"] = f"{self.mode} {self.monitor}"
        return told


class Fitted(NamedTuple):
    """A loss that fits labels: its name, the outputs that a network needs for it, 0 where any will do, and itself."""

    name: str
    outputs: int
    loss: Loss


_own_loss = functools.cache(own_loss)  # the same for the same function, or programs would be compiled again


def objective(loss: Any, metrics: Any, monitor: str | None, mode: str | None) -> Objective:
    """The objective that arguments of ``js.make_study`` stand for.

    Raises:
        InputError: one of them is not allowed.
    """
    if loss is not None and not isinstance(loss, str) and not callable(loss):
        allowed = f"allowed are {', '.join(LOSSES)}, or a function of outputs and labels that returns losses [B]"
        raise InputError("loss", repr(loss), allowed)
    made = own.own_metrics(metrics or {})
    name = monitor or "val_loss"
    if name not in (*MEASURED, *made):
        raise InputError("monitor", repr(name), f"allowed are {', '.join((*MEASURED, *made))}")
    if name in made and not (mode := mode or made[name].mode):
        raise InputError("mode", None, f"allowed are min and max: whether {name} is to be small or large")
    if mode not in (None, *MODES):
        raise InputError("mode", repr(mode), "allowed are min and max")
    return Objective(loss, made, name, mode or MEASURED[name])


def check(fitted: Fitted, metrics: Mapping[str, Metric], outputs: Any, labels: Any, weights: Any, model: str) -> None:
    """Traces loss and metrics for a network's outputs, labels and weights of two examples (shapes and types).

    Raises:
        InputError: they do not fit together.
    """
    if fitted.outputs:
        shape = (2, *labels.shape[1:], fitted.outputs) if fitted.name == "softmax" else (2, fitted.outputs)
        shape = labels.shape if fitted.name == "squared_error" and len(labels.shape) > 2 else shape
        if getattr(outputs, "shape", None) != shape:
            given = f"{model} with output shape {getattr(outputs, 'shape', outputs)} for 2 examples"
            raise InputError("model", given, f"allowed is {shape}, for the loss {fitted.name}")
    if not fitted.outputs or len(weights.shape) > 1:
        _check_losses(fitted, outputs, labels, weights)
    for name, metric in metrics.items():
        own.check(name, metric, outputs, labels, weights)


def check_monitor(monitor: str, fitted: Fitted, outputs: Any, labels: Any) -> None:
    """Refuses, with an InputError, to go by the accuracy where it means nothing: it is NaN, which never improves."""
    counts = fitted.loss.correct is not no_accuracy if fitted.outputs else are_classes(outputs, labels)
    if monitor == "val_accuracy" and not counts:
        allowed = "allowed are val_loss and metrics of your own: there is no accuracy of the loss"
        raise InputError("monitor", monitor, f"{allowed} {fitted.name} and such labels")


def _check_losses(fitted: Fitted, outputs: Any, labels: Any, weights: Any) -> None:
    losses = _traced(fitted.loss.per_example, fitted.name, outputs, labels)
    if losses.shape[: len(weights.shape)] != weights.shape:
        given = f"{fitted.name}, which returns {list(losses.shape)} for 2 examples"
        raise InputError("loss", given, f"allowed is {list(weights.shape)} or more: a loss an example, no mean of them")


def _traced(loss: Callable[[Any, Any], jax.Array], name: str, outputs: Any, labels: Any) -> Any:
    try:
        return jax.eval_shape(loss, outputs, labels)
    except Exception as error:  # a user's function raises what it likes
        raise InputError("loss", name, f"it fails with {type(error).__name__}: {one_line(error)}") from error
