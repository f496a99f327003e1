"""What this process trains on, made ready before JAX first touches a device."""

from jaxopt_study.cluster import hosts
from jaxopt_study.engine import devices
from jaxopt_study.errors import InputError
from jaxopt_study.settings import Execution, Machines


def prepare(execution: Execution, machines: Machines) -> None:
    """Makes the devices ready that this process trains on; with a cluster it trains on none.

    Raises:
        InputError: more devices than there are.
        EnvironmentFault: Ray is not installed, or no cluster or process answers.
    """
    if machines.cluster is None:
        devices.use_all_cores(execution.devices)
        if machines.distributed:
            hosts.join(machines.coordinator, machines.processes, machines.process_id)
        devices.choose(execution.devices)
        return
    if execution.devices is not None:
        raise InputError("--devices", execution.devices, "not allowed with --cluster, which has --cpus_per_worker")
    from jaxopt_study.cluster import connect  # Ray is an extra

    connect.connect(machines.cluster)  # before JAX has threads: Ray starts processes
    devices.configure(only_cpu=True)  # the accelerator is the workers'
