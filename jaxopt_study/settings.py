"""What is the same for every run of a study: the static part of its description, and how it is computed."""

import dataclasses
from typing import Any

from jaxopt_study.errors import InputError

# Raised when a change of the code changes what a run computes, so that stored runs are not mistaken for new ones.
RESULTS_VERSION = 1
# How exactly float32 products are computed, where a device has faster, coarser units: names of JAX's.
PRECISIONS = ("float32", "tensorfloat32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings shared by all runs.

    Attributes:
        batch_size: training examples a step; the last, smaller batch of an epoch is trained on too.
        max_epochs: a run ends after this many epochs at the latest.
        patience: a run ends when its validation loss has not improved for this many epochs.
        data_seed: seeds the one shuffle of the training examples, which is the same for every run and every epoch.
        stop_on_nonfinite: end a run in the epoch in which its loss stops being finite; otherwise it runs out its
            patience as Keras has it.
        halving: if given, successive halving: the best 1 / halving of a rule's runs go on at every rung of epochs.
        diagnostics: measure oscillation, update size, distance and norms (NaN in the results if not).
        matmul_precision: of products and convolutions of float32 arrays, one of ``PRECISIONS``; CPUs compute all of
            them in float32.
    """

    batch_size: int = 32
    max_epochs: int = 1000
    patience: int = 50
    data_seed: int = 0
    stop_on_nonfinite: bool = True
    halving: int | None = None
    diagnostics: bool = True
    matmul_precision: str = "float32"

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_epochs", "patience"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name}", getattr(self, name), "allowed is a whole number from 1")
        if self.halving is not None and self.halving < 2:
            raise InputError("--halving", self.halving, "allowed is a whole number from 2")
        if self.matmul_precision not in PRECISIONS:
            allowed = f"allowed are {', '.join(PRECISIONS)}"
            raise InputError("--matmul_precision", self.matmul_precision, allowed)
        if self.data_seed < 0:
            raise InputError("--data_seed", self.data_seed, "allowed is a whole number from 0")

    def identity(self) -> dict[str, Any]:
        """Everything in here that a run's result depends on, for its fingerprint."""
        found = {**dataclasses.asdict(self), "results_version": RESULTS_VERSION}
        if self.matmul_precision == "float32":  # as runs were stored before there was a choice
            del found["matmul_precision"]
        return found


@dataclasses.dataclass(frozen=True)
class Execution:
    """How a study is computed; its results do not depend on it.

    Attributes:
        slots: runs that train at once; None chooses.
        devices: number of devices; None takes all.
        strategy: ``vmap`` (all runs in one batched program), ``map`` (a device trains its runs in turn) or ``auto``:
            the faster one for device and shapes, and with it the fastest of the network's forms; see choice.
        checkpoint_minutes: between two checkpoints.
        save_best_weights: keep each run's variables at its lowest validation loss.
    """

    slots: int | None = None
    devices: int | None = None
    strategy: str = "auto"
    checkpoint_minutes: float = 2.0
    save_best_weights: bool = False
