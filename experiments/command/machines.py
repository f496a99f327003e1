"""On which machines a study trains: this one, a Ray cluster, or hosts that JAX joins."""

from collections.abc import Callable

import jax
from absl import flags

from jaxopt_study.engine import devices
from jaxopt_study.engine.study import Study, Watcher
from jaxopt_study.errors import InputError
from jaxopt_study.history import History
from jaxopt_study.models.build import Model

CLUSTER = flags.DEFINE_string(
    "cluster",
    None,
    "Train on a Ray cluster: local (started here), auto (this machine is part of one) or ray://HOST:PORT.",
)
CPUS_PER_WORKER = flags.DEFINE_integer(
    "cpus_per_worker", None, "Cores of a cluster's worker; a GPU each if not given, or a machine each without GPUs.", 1
)
WORKERS = flags.DEFINE_integer("workers", None, "Workers of a cluster at most; as many as fit if not given.", 1)
DISTRIBUTED = flags.DEFINE_bool(
    "distributed", False, "This is one of several processes that share --workdir, each with its part of the runs."
)
COORDINATOR = flags.DEFINE_string(
    "coordinator",
    None,
    "HOST:PORT of the first process; found on Slurm, Cloud TPU and Open MPI, as are the next two.",
)
PROCESSES = flags.DEFINE_integer("processes", None, "Number of processes of --distributed.", 1)
PROCESS_ID = flags.DEFINE_integer("process_id", None, "Number of this process, from 0.", 0)


def is_first() -> bool:
    """Whether this is the process that shows progress and writes tables and figures."""
    return not DISTRIBUTED.value or jax.process_index() == 0


def prepare(cpu_devices: int | None) -> None:
    """Makes the devices ready that this process trains on; with a cluster it trains on none.

    Args:
        cpu_devices: as ``--devices`` has it.

    Raises:
        InputError: flags that do not go together, or more devices than there are.
        EnvironmentFault: Ray is not installed, or no cluster answers.
    """
    check()
    if CLUSTER.value is None:
        devices.configure(cpu_devices=cpu_devices)
        if DISTRIBUTED.value:
            from jaxopt_study.cluster import hosts as multihost

            multihost.join(COORDINATOR.value, PROCESSES.value, PROCESS_ID.value)
        devices.choose(cpu_devices)
        return
    if cpu_devices is not None:
        raise InputError("--devices", cpu_devices, "not allowed with --cluster, which has --cpus_per_worker")
    from jaxopt_study.cluster import connect

    connect.connect(CLUSTER.value)  # before JAX has threads: Ray starts processes
    devices.configure(only_cpu=True)  # the accelerator is the workers'


def kept() -> str:
    """What an interrupt leaves, in words."""
    return "what was begun is saved" if CLUSTER.value is None else "finished runs are kept"


def check() -> None:
    """Refuses flags that do not go together.

    Raises:
        InputError: they do not.
    """
    if CLUSTER.value is not None and DISTRIBUTED.value:
        raise InputError("--distributed", True, "not allowed with --cluster, which starts its own processes")
    for flag in (CPUS_PER_WORKER, WORKERS):
        if flag.value is not None and CLUSTER.value is None:
            raise InputError(f"--{flag.name}", flag.value, "allowed with --cluster only")
    for option in (COORDINATOR, PROCESSES, PROCESS_ID):
        if option.value is not None and not DISTRIBUTED.value:
            raise InputError(f"--{option.name}", option.value, "allowed with --distributed only")
    if PROCESS_ID.value is not None and PROCESS_ID.value >= (PROCESSES.value or 0):
        raise InputError("--process_id", PROCESS_ID.value, "allowed is a whole number from 0 to --processes less 1")


def run(study: Study, make_model: Callable[[], Model], watcher: Watcher) -> list[History]:
    """Trains what is not in the store, where the flags say.

    Raises:
        InputError: a flag cannot be used.
        EnvironmentFault: a machine cannot do it.
        Interrupted: the watcher asked for it.
    """
    if DISTRIBUTED.value:
        from jaxopt_study.cluster import hosts as multihost

        return multihost.run(study, watcher)
    if CLUSTER.value is None:
        return study.run(watcher)
    from jaxopt_study.cluster import driver

    return driver.run(
        study,
        make_model,
        CLUSTER.value,
        cpus_per_worker=CPUS_PER_WORKER.value,
        workers=WORKERS.value,
        watcher=watcher,
    )
