"""What driver and worker say to each other."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxopt_study.cluster.shares import Capacity
from jaxopt_study.grids.run import Run
from jaxopt_study.history import History
from jaxopt_study.models.build import Model
from jaxopt_study.optimizers.family import Family
from jaxopt_study.settings import Execution, Settings


class Recipe(NamedTuple):
    """What a worker needs to make the driver's study, beside the data.

    Attributes:
        settings: of the study.
        runs: all of them, in the same order.
        make_model: makes the network; it goes over the wire, the network does not.
        loss: of the study.
        execution: how to compute it.
        families: rules of the runs that are not this project's own.
        workers: that share a group's runs.
        cores: CPU devices that a worker makes, and cores that it keeps to; None for workers with a GPU.
    """

    settings: Settings
    runs: list[Run]
    make_model: Callable[[], Model]
    loss: str
    execution: Execution
    families: list[Family]
    workers: int
    cores: int | None


class Hello(NamedTuple):
    """Of a worker that is ready: its node and process, and what it can hold."""

    node: str
    process: int
    capacity: Capacity


class Epoch(NamedTuple):
    """A run has trained an epoch; ``metrics`` in the order of history.CURVES."""

    run: Run
    number: int
    metrics: tuple[float, ...]


class Ended(NamedTuple):
    """A run has come to its end; ``best`` is its best variables or None."""

    run: Run
    history: History
    best: Any


class Fault(NamedTuple):
    """The worker could not go on with the runs that it has, and has dropped them."""

    reason: str


class Account(NamedTuple):
    """What a worker has done since it was there.

    Attributes:
        ready_seconds: since it was ready.
        idle_seconds: of these, without anything to train.
        compile_seconds: of these, for compilation.
        epochs_trained: of runs.
        epochs_computed: that its devices had room for.
        memory_bytes: that its largest program needs.
    """

    ready_seconds: float = 0.0
    idle_seconds: float = 0.0
    compile_seconds: float = 0.0
    epochs_trained: int = 0
    epochs_computed: int = 0
    memory_bytes: int = 0


class Reply(NamedTuple):
    """What happened since the last one: events in their order, slots with a run now, and the worker's account."""

    events: list[Epoch | Ended | Fault]
    active: int
    account: Account
