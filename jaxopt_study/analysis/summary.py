"""The figures of one run: its lowest losses, their epochs, how it ended."""

from typing import Any

import numpy as np

from jaxopt_study.history import History

FIGURES = ("min_val_loss", "min_val_epoch", "train_loss_at_min_val", "min_train_loss", "min_train_epoch")


def row(history: History) -> dict[str, Any]:
    """The figures of one run; None where there is no finite loss. Of equal minima the first counts."""
    numbers: dict[str, Any] = {
        "optimizer": history.optimizer,
        **history.hyperparameters,
        "seed": history.seed,
        **dict.fromkeys(FIGURES),
        "epochs": history.epochs,
        "status": history.status,
        "diverged_epoch": history.diverged_epoch,
    }
    val, train = history.curves["val_loss"], history.curves["train_loss"]
    for name, losses in (("val", val), ("train", train)):
        finite = np.where(np.isfinite(losses), losses, np.inf)
        if np.isfinite(finite).any():
            best = int(finite.argmin())
            numbers[f"min_{name}_loss"], numbers[f"min_{name}_epoch"] = float(losses[best]), best + 1
    if numbers["min_val_epoch"] is not None:
        numbers["train_loss_at_min_val"] = float(train[numbers["min_val_epoch"] - 1])
    return numbers
