"""The loss of guessing, and which runs are no better: this alone decides it, for tables, figures and the terminal.

Guessing is what knows nothing of an example: of classes the same probability for each, of numbers their mean in the
training part. A run whose lowest validation loss is not below that has learnt nothing, however it ended.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxopt_study.history import History, remembered

WORSE = "worse than guessing"
"""What is said of such a run in the place of ``finished`` or ``stopped``; the store keeps those."""
UNLEARNT = ("diverged", "failed", WORSE)
"""How runs end that have learnt nothing."""


def loss_of_guessing(
    loss: str,
    classes: int,
    train_labels: np.ndarray,
    val_labels: np.ndarray,
    train_weights: np.ndarray | None = None,
    val_weights: np.ndarray | None = None,
) -> float:
    """The validation loss of a constant: ``log(classes)``; of a squared error that of the mean training label.

    Of several labels, each by itself, it is ``log(2)``. Weights count as in training and validation.
    """
    if loss != "squared_error":
        return math.log(2 if loss == "multi_label" else classes)
    train, val = (np.reshape(labels, (len(labels), -1)).astype(np.float64) for labels in (train_labels, val_labels))
    errors = val - np.average(train, axis=0, weights=_of_examples(train_weights))
    return float(np.average(np.square(errors).mean(1), weights=_of_examples(val_weights)))


def _of_examples(weights: np.ndarray | None) -> np.ndarray | None:
    return None if weights is None else np.reshape(weights, (len(weights), -1)).sum(1, dtype=np.float64)


def worst_counted(chance: float, losses: Iterable[float]) -> float:
    """What a run counts as that diverged or failed, and any loss at most: that of guessing.

    Where that is not known the highest finite one of these; NaN without any.
    """
    return chance if math.isfinite(chance) else max(filter(math.isfinite, losses), default=math.nan)


def guessing_in(config: Mapping[str, Any]) -> float:
    """The loss of guessing by a config.json; infinite where that does not say it, as of a regression it once did not.

    A file without data set is of two classes.
    """
    if "guessing" in config:
        return float(config["guessing"])
    if "dataset" not in config:
        return math.log(2)
    classes = len(config["dataset"]["classes"])
    return math.log(classes) if classes and config.get("loss") in (None, "sigmoid", "softmax") else math.inf


@remembered
def is_worse(history: History, chance: float) -> bool:
    """Whether a run was trained to its end and its lowest validation loss is not below ``chance``, that of guessing."""
    if history.status not in ("finished", "stopped") or math.isinf(chance):
        return False
    return not bool(np.any(np.asarray(history.curves["val_loss"], np.float64) < chance))


def fails(history: History, chance: float) -> bool:
    """Whether a run has learnt nothing: it diverged or failed, or is no better than guessing."""
    return history.status in ("diverged", "failed") or is_worse(history, chance)


def count_worse(histories: Sequence[History], chance: float) -> int:
    """How many of some runs are no better than guessing."""
    return sum(is_worse(history, chance) for history in histories)


def status(history: History, chance: float) -> str:
    """How a run ended, as it is told: its status, or :data:`WORSE`."""
    return WORSE if is_worse(history, chance) else history.status
