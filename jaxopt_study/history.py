"""What is known of one trained run: the record that the store keeps and all analysis reads."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np

CURVES = (
    "train_loss",
    "val_loss",
    "val_accuracy",
    "oscillation",
    "update_size",
    "distance",
    "grad_norm",
    "update_norm",
    "param_norm",
)
"""Of every run."""
TEST_CURVES = ("test_loss", "test_accuracy")
"""Of runs with a part of the validation split held back for testing; see ``settings.Settings.test_share``."""
OPTIONAL_CURVES = (*TEST_CURVES, "sharpness")
"""Of runs of which they were asked for; they come after ``CURVES``, in this order, and before metrics of the user's
own, see ``training.metrics``. The sharpness is NaN after epochs in which it was not measured."""
MOMENTUM_RULES = ("momentum", "momentum_ema", "nesterov")
"""Rules with a velocity; at momentum 0 their updates are those of plain SGD, bit for bit."""


_SEED_BITS = 32


def order_of(replicate: int) -> int:
    """The seed of the order of the data in a :attr:`History.replicate`; 0 where the study has but one."""
    return replicate >> _SEED_BITS


def several_orders(replicates: Iterable[int]) -> bool:
    """Whether runs, by :attr:`History.replicate`, are of more than one order of the data."""
    return len(set(map(order_of, replicates))) > 1


def plain_name(optimizer: str, hyperparameters: Mapping[str, float]) -> tuple[str, dict[str, float]]:
    """``"sgd"`` and the other numbers for a rule with a momentum of 0, else the rule and the numbers as they are.

    This alone decides that momentum 0 is plain SGD; :func:`jaxopt_study.optimizers.registry.canonical` asks it for the
    runs to be trained, the analysis for those that were.
    """
    numbers = dict(hyperparameters)
    # A momentum counts as the float32 that is computed with.
    if optimizer in (*MOMENTUM_RULES, "sgd") and "momentum" in numbers and np.float32(numbers["momentum"]) == 0:
        del numbers["momentum"]
        return "sgd", numbers
    return optimizer, numbers


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class History:
    """One finished run; its arrays are not changed. A run is equal to itself alone.

    Attributes:
        optimizer: name of the rule in the registry, e.g. ``"momentum"``.
        hyperparameters: the rule's numbers by their Optax names.
        seed: of the initial weights and the dropout masks.
        status: ``stopped`` (patience ran out), ``finished`` (all epochs trained), ``diverged``
            (a loss, a weight or the rule's memory was not finite, or weights stood still since the norm of a gradient
            was not), ``failed`` (the run could not be trained) or
            ``halved`` (others were better when successive halving compared them).
        curves: float32 arrays ``[E]`` by the names in ``CURVES``, of ``OPTIONAL_CURVES`` those that were asked for, and
            metrics of the user's own; entry ``e`` belongs to epoch ``e + 1``. The row of the epoch in which a run
            diverged is kept, non-finite as it was.
        diverged_epoch: the first epoch, counted from 1, with a non-finite loss, or the last of a run that diverged with
            finite losses; None if there is none.
        reason: why a run failed; empty for all others.
        data_seed: of the order of its examples and, without a fixed split, of that; None where the study has but one.
    """

    optimizer: str
    hyperparameters: Mapping[str, float]
    seed: int
    status: str
    curves: Mapping[str, np.ndarray]
    diverged_epoch: int | None = None
    reason: str = ""
    data_seed: int | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the user's own metrics on the validation split."""
        known = (*CURVES, *OPTIONAL_CURVES)
        return tuple(n for n in self.curves if n not in known and n.removeprefix("test_") == n)

    @property
    def replicate(self) -> int:
        """A number that no other run of its configuration has: its seed, a uint32, and above that of its data."""
        return ((self.data_seed or 0) << _SEED_BITS) + self.seed

    @classmethod
    def from_rows(
        cls,
        optimizer: str,
        hyperparameters: Mapping[str, float],
        seed: int,
        status: str,
        rows: np.ndarray,
        names: Sequence[str] = CURVES,
        data_seed: int | None = None,
    ) -> "History":
        """The record of a run from what was measured after each of its epochs, float32 ``[E, len(names)]``."""
        curves = {name: rows[:, i] for i, name in enumerate(names)}
        bad = np.flatnonzero(~(np.isfinite(curves["train_loss"]) & np.isfinite(curves["val_loss"])))
        diverged = int(bad[0]) + 1 if len(bad) else len(rows) if status == "diverged" else None
        return cls(optimizer, hyperparameters, seed, status, curves, diverged_epoch=diverged, data_seed=data_seed)

    def __repr__(self) -> str:
        numbers = ", ".join([f"{name} {value:.6g}" for name, value in self.hyperparameters.items()])
        of_data = "" if self.data_seed is None else f", data seed {self.data_seed}"
        finite = [float(loss) for loss in self.curves["val_loss"] if np.isfinite(loss)]
        lowest = f", lowest validation loss {min(finite):.4f}" if finite else ""
        return f"<{self.optimizer}, {numbers}, seed {self.seed}{of_data}: {self.status}, {self.epochs} epochs{lowest}>"

    @property
    def epochs(self) -> int:
        """Number of epochs trained."""
        return len(self.curves["val_loss"])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != _MEMORY}


_MEMORY = "_remembered"
"""Where a run has what was found of it; no field, and not sent to other processes."""

Measure = TypeVar("Measure", bound=Callable[..., Any])


def remembered(measure: Measure) -> Measure:
    """A function of a run that is computed once for the same other arguments, as long as the run is there."""

    @functools.wraps(measure)
    def looked_up(history: History, *others: Any, **named: Any) -> Any:
        of_run = history.__dict__.setdefault(_MEMORY, {})
        key = (measure, *others, *named.items()) if named else (measure, *others)
        try:
            return of_run[key]
        except KeyError:
            of_run[key] = found = measure(history, *others, **named)
            return found

    return cast(Measure, looked_up)
