"""What is the same for every run of a study, how it is computed, and on which machines; every default is said here."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

from jaxopt_study.errors import InputError

# Raised when a change of the code changes what a run computes, so that stored runs are not mistaken for new ones.
RESULTS_VERSION = 1
# How exactly float32 products are computed, where a device has faster, coarser units: names of JAX's, and float32x3,
# which is three coarse products of which the sum is nearly as exact as one in float32.
PRECISIONS = ("float32", "float32x3", "tensorfloat32", "bfloat16")
UNTIL = ("decided",)
MOST_SEEDS = 10  # of a configuration, where a study adds seeds until all is decided and nobody says how many
STRATEGIES = ("auto", "vmap", "map")
MOST_WHOLE = 2**31 - 1  # devices count in int32
MOST_MINUTES = 525_600.0  # a year


@contextlib.contextmanager
def own_switches() -> Iterator[None]:
    """Within it JAX's switches are as training needs them, whatever the environment or the program set.

    Results depend on types and random numbers, which a fingerprint does not name; divergence is data and stops nothing;
    what is compiled is compiled. Also a decorator.
    """
    import jax  # slow to import: data are read without it

    options: Any = jax  # which have no types
    x64 = options.enable_x64 if hasattr(jax, "enable_x64") else options.experimental.enable_x64  # before jax 0.8
    switches: Any = (
        (x64, False), (jax.default_prng_impl, "threefry2x32"), (jax.threefry_partitionable, True),
        (jax.debug_nans, False), (jax.debug_infs, False), (jax.debug_key_reuse, False), (jax.disable_jit, False),
        (jax.check_tracer_leaks, False), (jax.transfer_guard, "allow"), (jax.legacy_prng_key, "allow"),
        (jax.enable_custom_prng, False), (jax.numpy_dtype_promotion, "standard"),  # Flax and Optax are not strict
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        for switch, value in switches:
            stack.enter_context(switch(value))
        stack.callback(jax.config.update, "jax_random_seed_offset", options.config.jax_random_seed_offset)
        jax.config.update("jax_random_seed_offset", 0)
        yield


def check_whole(name: str, value: object, least: int, most: int = MOST_WHOLE) -> None:
    """Refuses what is not a whole number from ``least`` to ``most``, with an InputError."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        upper = f" to {most}" if most < MOST_WHOLE or (isinstance(value, int) and value > most) else ""
        raise InputError(name, repr(value), f"allowed is a whole number from {least}{upper}")


def check_sequence(name: str, value: Any) -> Sequence[Any]:
    """Returns what is a sequence of at least one, and no text; refuses anything else with an InputError."""
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise InputError(name, repr(value), "allowed is one, or a list of them")
    return value


def _check_fields(settings: Any, least: dict[str, int]) -> None:
    """Refuses whole numbers that are too small, where they are given at all."""
    for name, bound in least.items():
        value = getattr(settings, name)
        if value is not None:
            check_whole(name, value, bound)


def _check_minutes(name: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= MOST_MINUTES:
        raise InputError(name, repr(value), f"allowed is a number above 0, up to {MOST_MINUTES:.0f}")


def check_one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuses what is none of some names, with an InputError."""
    if value not in allowed:
        raise InputError(name, value, f"allowed are {', '.join(allowed)}")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings shared by all runs; their results depend on them.

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
            them in float32. On NVIDIA's GPUs ``bfloat16`` is the device's default, which is TF32, and ``float32x3`` is
            for products alone: convolutions that a network leaves to XLA are in the device's default.
        test_share: of the validation examples, held back and only measured: neither stopping nor choosing sees them.
            The same for every run; see ``data.dataset.held_back``.
        sharpness: measure the largest eigenvalue of the Hessian after epochs; see ``training.sharpness``.
        sharpness_every: epochs from one measurement to the next, the first after the first; None is as many as cost
            under 5% of the training steps.

    Raises:
        InputError: a value is not allowed.
    """

    batch_size: int = 32
    max_epochs: int = 100
    patience: int = 10
    data_seed: int = 0
    stop_on_nonfinite: bool = True
    halving: int | None = None
    diagnostics: bool = True
    matmul_precision: str = "float32"
    test_share: float = 0.0
    sharpness: bool = False
    sharpness_every: int | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_epochs", "patience"):
            check_whole(name, getattr(self, name), 1)
        check_whole("data_seed", self.data_seed, 0, 2**63 - 1)
        _check_fields(self, {"halving": 2, "sharpness_every": 1})
        if self.sharpness_every is not None and not self.sharpness:
            raise InputError("--sharpness_every", self.sharpness_every, "allowed with --sharpness only")
        check_one_of("matmul_precision", self.matmul_precision, PRECISIONS)
        share = self.test_share
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share < 1:
            raise InputError("test_share", repr(share), "allowed is a number from 0 up to, but not including, 1")

    def identity(self) -> dict[str, Any]:
        """Everything in here that a run's result depends on, for its fingerprint."""
        found = {**dataclasses.asdict(self), "results_version": RESULTS_VERSION}
        del found["matmul_precision"]
        found |= of_precision(self.matmul_precision)
        # As runs were stored before there was a choice.
        if not self.test_share:
            del found["test_share"]
        if not self.sharpness:
            del found["sharpness"]
        if self.sharpness_every is None:
            del found["sharpness_every"]
        return found


def of_precision(name: str) -> dict[str, str]:
    """What the identity of a study says of one of :data:`PRECISIONS`: nothing of the one there was before others."""
    return {} if name == PRECISIONS[0] else {"matmul_precision": name}


@dataclasses.dataclass(frozen=True)
class Execution:
    """How a study is computed; its results do not depend on it.

    Attributes:
        slots: runs that train at once; None chooses.
        devices: number of devices; None takes all.
        strategy: ``vmap`` (all runs in one batched program), ``map`` (a device trains its runs in turn) or ``auto``:
            the faster one for device and shapes; see engine.strategy.
        checkpoint_minutes: between two checkpoints.
        save_best_weights: keep each run's variables at its lowest validation loss.
        max_minutes: after so many, compilation counted, what is under way is saved and training ends; None is as long
            as it takes.
        until: ``decided``: once all runs are trained, configurations on which open questions hang get more seeds, one
            at a time, until all are decided or unlikely to be; None adds no seeds.
        max_seeds: of a configuration, with ``until`` only; 10 if not given. What looking after every seed allows
            depends on it (see analysis.looking), so it is to be chosen beforehand.

    Raises:
        InputError: a value is not allowed.
    """

    slots: int | None = None
    devices: int | None = None
    strategy: str = "auto"
    checkpoint_minutes: float = 2.0
    save_best_weights: bool = False
    max_minutes: float | None = None
    until: str | None = None
    max_seeds: int | None = None

    @property
    def most_seeds(self) -> int | None:
        """Of a configuration where the study looks after every seed; None where it looks once."""
        return None if self.until is None else self.max_seeds or MOST_SEEDS

    def __post_init__(self) -> None:
        _check_fields(self, {"slots": 1, "devices": 1, "max_seeds": 2})
        if self.until is not None:
            check_one_of("until", self.until, UNTIL)
        elif self.max_seeds is not None:
            raise InputError("--max_seeds", self.max_seeds, f"allowed with --until={UNTIL[0]} only")
        check_one_of("strategy", self.strategy, STRATEGIES)
        _check_minutes("checkpoint_minutes", self.checkpoint_minutes)
        if self.max_minutes is not None:
            _check_minutes("max_minutes", self.max_minutes)


@dataclasses.dataclass(frozen=True)
class Machines:
    """On which machines a study trains: this one alone, a Ray cluster, or one of several processes that JAX joins.

    Attributes:
        cluster: ``local`` (started here), ``auto`` (this machine is part of one) or ``ray://HOST:PORT``.
        cpus_per_worker: cores of a cluster's worker; None is a GPU each, or a machine each without GPUs.
        workers: of a cluster at most; None is as many as fit.
        distributed: whether this is one of several processes that share the work directory, each with its part.
        coordinator: ``HOST:PORT`` of the first process; None where JAX finds it (Slurm, Cloud TPU, Open MPI).
        processes: how many there are; None as above.
        process_id: number of this one; None as above.

    Raises:
        InputError: they do not go together.
    """

    cluster: str | None = None
    cpus_per_worker: int | None = None
    workers: int | None = None
    distributed: bool = False
    coordinator: str | None = None
    processes: int | None = None
    process_id: int | None = None

    def __post_init__(self) -> None:
        _check_fields(self, {"cpus_per_worker": 1, "workers": 1, "processes": 1, "process_id": 0})
        if self.cluster is not None and self.distributed:
            raise InputError("--distributed", True, "not allowed with --cluster, which starts its own processes")
        for name in ("cpus_per_worker", "workers"):
            if getattr(self, name) is not None and self.cluster is None:
                raise InputError(f"--{name}", getattr(self, name), "allowed with --cluster only")
        for name in ("coordinator", "processes", "process_id"):
            if getattr(self, name) is not None and not self.distributed:
                raise InputError(f"--{name}", getattr(self, name), "allowed with --distributed only")
        if self.coordinator is not None and not re.fullmatch(r"\S+:\d{1,5}", str(self.coordinator)):
            raise InputError("--coordinator", repr(self.coordinator), "allowed is HOST:PORT of the first process")
        if self.process_id is not None and self.process_id >= (self.processes or 0):
            allowed = "allowed is a whole number from 0 to --processes less 1"
            raise InputError("--process_id", self.process_id, allowed)


def check_until(
    execution: Execution, seeds: int, data_seeds: int | None, settings: Settings, machines: Machines
) -> None:
    """Refuses what seeds cannot be added to."""
    most = execution.most_seeds
    if most is None:
        return
    check_whole("--max_seeds", most, max(seeds, 2))
    if data_seeds is not None:
        raise InputError("--data_seeds", data_seeds, "not allowed with --until")
    if settings.halving is not None:
        raise InputError("--halving", settings.halving, "not allowed with --until: its runs depend on each other")
    if machines.distributed:
        raise InputError("--distributed", True, "not allowed with --until; --cluster is")
