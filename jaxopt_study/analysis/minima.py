"""How low the loss of a run got and when, and how a run counts that diverged."""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_study.analysis import guessing
from jaxopt_study.analysis.runs import Runs
from jaxopt_study.history import History, remembered

_NEAR = 10
"""Epochs before and after the lowest loss from which the noise of epochs there is told."""
PATIENCE = 50
"""Epochs without improvement after which a run is stopped where nobody says otherwise."""


class Summary(NamedTuple):
    """What is said of a run in a table of all; NaN and None where no loss of it counts, or no accuracy was measured."""

    min_val_loss: float
    min_val_epoch: int | None
    val_accuracy_at_min_val: float
    max_val_accuracy: float
    train_loss_at_min_val: float
    min_train_loss: float
    min_train_epoch: int | None
    epochs: int
    status: str
    diverged_epoch: int | None
    test_loss_at_min_val: float = math.nan
    test_accuracy_at_min_val: float = math.nan


class Minimum(NamedTuple):
    """Smallest finite value of a curve and the first epoch, from 1, with it; NaN and None where there is none."""

    value: float
    epoch: int | None


_NONE = Minimum(math.nan, None)


def minimum(curve: ArrayLike) -> Minimum:
    """The smallest finite value of a curve ``[E]`` and its epoch; the first of equals."""
    values = np.asarray(curve, np.float64)
    at = int(values.argmin()) if len(values) else 0  # of the first NaN if there is one
    if len(values) and math.isfinite(values[at]):
        return Minimum(float(values[at]), at + 1)
    finite = np.isfinite(values)
    if not finite.any():
        return _NONE
    at = int(np.argmin(np.where(finite, values, math.inf)))
    return Minimum(float(values[at]), at + 1)


@remembered
def minimum_of(history: History, curve: str = "val_loss") -> Minimum:
    """The minimum of a curve of a run."""
    return minimum(history.curves[curve])


def summary(history: History, chance: float = math.inf) -> Summary:
    """The numbers of one run; its status as :func:`jaxopt_study.analysis.guessing.status` tells it."""
    counts = not math.isnan(lowest_loss(history))
    val, train = (minimum_of(history, curve) if counts else _NONE for curve in ("val_loss", "train_loss"))
    shares = accuracy(history)
    at_val, beside = (
        float(curve[val.epoch - 1]) if val.epoch else math.nan for curve in (shares, history.curves["train_loss"])
    )
    most, status = -minimum(-shares).value if counts else math.nan, guessing.status(history, chance)
    return Summary(
        *val, at_val, most, beside, *train, history.epochs, status, history.diverged_epoch,
        at_minimum(history, "test_loss"), at_minimum(history, "test_accuracy"),
    )  # fmt: skip


@remembered
def accuracy(history: History) -> np.ndarray:
    """The validation accuracy ``[E]``; NaN where none was measured, which older stores of regressions have as 0."""
    curve = np.asarray(history.curves["val_accuracy"], np.float64)
    return curve if (curve > 0).any() else np.full(len(curve), math.nan)


def lowest_loss(history: History, curve: str = "val_loss") -> float:
    """Smallest loss of a run; NaN for one that diverged or failed, which has none that counts."""
    return math.nan if history.status in ("diverged", "failed") else minimum_of(history, curve).value


class Monitor(NamedTuple):
    """What runs are judged by in place of the validation loss.

    Attributes:
        name: of the curve.
        mode: ``min`` or ``max``.
    """

    name: str
    mode: str

    @property
    def sign(self) -> int:
        """What turns the curve into one that is to be small, and back."""
        return -1 if self.mode == "max" else 1

    def added(self, history: History) -> History:
        """The run with a curve :data:`COST`, which is to be small."""
        cost = self.sign * np.asarray(history.curves[self.name], np.float64)
        return dataclasses.replace(history, curves={**history.curves, COST: cost})

    def best(self, history: History) -> Minimum:
        """The best value of a run and its epoch; NaN for one that diverged or failed."""
        cost = self.added(history)
        found = minimum(cost.curves[COST])
        return Minimum(self.sign * lowest_loss(cost, COST), found.epoch)


COST = "cost"


def at_minimum(history: History, curve: str) -> float:
    """A curve in the epoch of the lowest validation loss; NaN if it was not measured, or no loss of the run counts."""
    epoch = minimum_of(history).epoch
    if curve not in history.curves or epoch is None or math.isnan(lowest_loss(history)):
        return math.nan
    return float(history.curves[curve][epoch - 1])


@remembered
def unchosen_loss(history: History, curve: str = "val_loss") -> float:
    """The loss of a run where its loss is the smallest, by numbers that did not choose this epoch.

    The smallest of many noisy losses is too small by luck, the more the noisier they are. Told is therefore the test
    loss of that epoch where some of the validation split was held back, else the mean loss of the epochs before and
    after it, of which noise is as often above as below; of fewer than three epochs the smallest loss itself. NaN as in
    :func:`lowest_loss`.
    """
    values = np.asarray(history.curves[curve], np.float64)
    smallest, epoch = minimum(values)
    if epoch is None or math.isnan(lowest_loss(history, curve)):
        return math.nan
    if _is_tested(history, curve):
        return at_minimum(history, "test_loss")
    beside = np.array([values[at] for at in (epoch - 2, epoch) if 0 <= at < len(values)])
    beside = beside[np.isfinite(beside)]
    return float(beside.mean()) if len(beside) and len(values) > 2 else smallest


@remembered
def variance_of_epochs(history: History, curve: str = "val_loss") -> float:
    """What noise from epoch to epoch adds to the variance of :func:`unchosen_loss`; 0 of a run too short to tell.

    Noise that is independent in each epoch has second differences with 6 times its variance, whatever line it is on.
    The lowest epoch is among them, so that some 10% too much is told.
    """
    epoch = minimum(history.curves[curve]).epoch
    if epoch is None:
        return 0.0
    tested = _is_tested(history, curve)
    told = np.asarray(history.curves["test_loss" if tested else curve], np.float64)
    near = told[max(0, epoch - _NEAR) : epoch + _NEAR]
    bends = np.diff(near[np.isfinite(near)], 2)
    epochs = 1 if tested else 2  # that the loss is a mean of
    return float(np.square(bends).mean()) / 6 / epochs if len(bends) else 0.0


def _is_tested(history: History, curve: str) -> bool:
    """Whether what is told of a run's lowest loss is measured on examples that chose no epoch."""
    return curve == "val_loss" and "test_loss" in history.curves


def lowest(runs: Runs, history: History, curve: str = "val_loss") -> float:
    """:func:`unchosen_loss`, at most the loss of guessing, which is also what a run gets that has none."""
    value = unchosen_loss(history, curve)
    return runs.chance if math.isnan(value) else min(value, runs.chance)


class Lowest(NamedTuple):
    """What ranks a configuration: the mean of the smallest losses of the seeds that have one, NaN where none has.

    Attributes:
        value: the mean.
        seeds: how many have one.
        runs: how many there are.
    """

    value: float
    seeds: int
    runs: int

    @property
    def is_whole(self) -> bool:
        """Whether every seed has a loss that counts."""
        return 0 < self.seeds == self.runs


def seed_lowest(histories: Sequence[History], curve: str = "val_loss") -> Lowest:
    """Of the seeds of one configuration, perhaps none."""
    losses = [lowest_loss(history, curve) for history in histories]
    kept = [loss for loss in losses if math.isfinite(loss)]
    return Lowest(sum(kept) / len(kept) if kept else math.nan, len(kept), len(losses))


class Minima(NamedTuple):
    """The smallest losses of the seeds of one configuration; numbers are NaN where no seed has one.

    Attributes:
        value: mean over the seeds that have one.
        low: smallest of them.
        high: largest of them.
        epoch: mean of the epochs that have them.
        train_loss: mean training loss in these epochs.
        accuracy: mean validation accuracy in these epochs; NaN where none was measured.
        seeds: how many have one.
        runs: how many there are.
        diverged: epochs in which runs diverged, ascending (0 where it is not known).
        worse: how many runs are no better than guessing.
        learnt: whether the mean is below the loss of guessing and not all runs are worse than it.
    """

    value: float
    low: float
    high: float
    epoch: float
    train_loss: float
    accuracy: float
    seeds: int
    runs: int
    diverged: tuple[int, ...]
    worse: int = 0
    learnt: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether every seed has a loss that counts."""
        return 0 < self.seeds == self.runs


def seed_minima(histories: Sequence[History], curve: str = "val_loss", chance: float = math.inf) -> Minima:
    """Sums up the seeds of one configuration, perhaps none; ``chance`` is the loss of guessing."""
    lost = tuple(sorted(h.diverged_epoch or 0 for h in histories if h.status == "diverged"))
    kept = [history for history in histories if math.isfinite(lowest_loss(history, curve))]
    if not kept:
        none = math.nan
        return Minima(none, none, none, none, none, none, 0, len(histories), lost, 0, False)
    values, epochs = zip(*(minimum_of(history, curve) for history in kept), strict=True)
    both = [(h.curves["train_loss"][epoch - 1], accuracy(h)[epoch - 1]) for h, epoch in zip(kept, epochs, strict=True)]
    train_losses, shares = zip(*both, strict=True)
    means = (float(np.mean(numbers, dtype=np.float64)) for numbers in (values, epochs, train_losses, shares))
    value, epoch, train_loss, share = means
    worse = guessing.count_worse(kept, chance)
    return Minima(
        value, min(values), max(values), epoch, train_loss, share, len(kept), len(histories), lost, worse,
        value < chance and worse < len(kept),
    )  # fmt: skip


def settled(history: History) -> bool:
    """Whether more epochs would hardly have lowered a run's smallest validation loss.

    So it is for a run that early stopping ended or that diverged. A run that used up its epochs must have gone without
    improvement for the last half of them, or for the usual patience where that is less. A run that successive halving
    ended was cut off: of its minimum nothing is known.
    """
    if history.status == "halved":
        return False
    if history.status != "finished":
        return True
    epoch = minimum_of(history).epoch
    return epoch is None or history.epochs - epoch >= min(PATIENCE, history.epochs / 2)
