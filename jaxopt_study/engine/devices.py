"""Which devices train, and where their compiled programs are kept."""

import contextlib
import logging
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import jax
from threadpoolctl import threadpool_limits

from jaxopt_study import files
from jaxopt_study.engine import cgroups, compiled
from jaxopt_study.errors import EnvironmentFault, InputError, one_line


def cpu_cores() -> int:
    """Cores that this process may use: those it is kept to, and no more than its container has the time of."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return max(1, min(count, math.ceil(cgroups.cores() or count)))


def configure(*, cpu_devices: int | None = None, compilation_cache: bool = True, only_cpu: bool = False) -> None:
    """Makes every core a device and keeps compiled programs, unless the user chose a number of devices or a cache.

    The cache is only for its owner to read and write: whoever can write there can run code as the user.

    Args:
        cpu_devices: host devices to make; one a core if None.
        compilation_cache: whether to keep compiled programs on disk.
        only_cpu: leave accelerators to other processes.

    Raises:
        RuntimeError: JAX has touched a device before, so that their number stays.
    """
    config: Any = jax.config  # whose options have no types
    # JAX tells at INFO which platforms it did not find; absl's app.run would show it.
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.WARNING)
    if only_cpu:
        config.update("jax_platforms", "cpu")
    if compilation_cache and not config.jax_compilation_cache_dir:
        _keep_compiled()
    chosen = config.jax_num_cpu_devices >= 1 or "host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not chosen:
        config.update("jax_num_cpu_devices", cpu_devices or cpu_cores())


def use_all_cores(count: int | None) -> None:
    """Makes the cores, or so many, devices, unless somebody chose or JAX has begun its work, of which it warns."""
    cores = cpu_cores()
    try:
        configure(cpu_devices=count)
    except RuntimeError:
        if count is None and jax.default_backend() == "cpu" and jax.local_device_count() < cores:
            warnings.warn(
                f"JAX was used before the study was made, so that it has {jax.local_device_count()} of {cores} cores; "
                f'begin with jax.config.update("jax_num_cpu_devices", {cores})',
                stacklevel=5,
            )


def _keep_compiled() -> None:
    folder = files.cache_folder() / "programs"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError:
        return  # no cache costs time, nothing else
    if os.access(folder, os.W_OK):
        compiled.check(folder)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


# Products of float32 arrays as three of coarser ones, by platform: TF32 on GPUs, bfloat16 on TPUs.
IN_THREE = {"gpu": "TF32_TF32_F32_X3", "tpu": "BF16_BF16_F32_X3"}


def precision(name: str, platform: str) -> str:
    """JAX's name for one of ``settings.PRECISIONS`` on a platform; a CPU has nothing coarser than float32."""
    return IN_THREE.get(platform, "float32") if name == "float32x3" else name


def choose(count: int | None) -> Sequence[jax.Device]:
    """The first ``count`` of this process's devices of the default platform, all if None.

    Raises:
        InputError: there are fewer.
        EnvironmentFault: there is none of the kind that the user's environment asks for.
    """
    try:
        devices: Sequence[jax.Device] = jax.local_devices()
    except (RuntimeError, AssertionError) as error:  # the latter without a word
        asked: Any = jax.config
        given = f"JAX_PLATFORMS={asked.jax_platforms or ''}"
        raise EnvironmentFault(f"{given}: JAX finds no such device here ({one_line(error)})") from error
    if count is None:
        return devices
    if not 1 <= count <= len(devices):
        raise InputError("--devices", count, f"allowed is a whole number from 1 to {len(devices)} on this machine")
    return devices[:count]


@contextlib.contextmanager
def cores_apart(devices: Sequence[jax.Device]) -> Iterator[None]:
    """Within it the decompositions of a CPU's device have its share of the cores, one where each core is a device.

    jaxlib computes them by SciPy's OpenBLAS, which takes all cores for every call: their threads wait for each other in
    loops, in the time of the other devices' runs. It is loaded when a program with one is compiled, not before, and
    what is loaded within is not limited.
    """
    if devices[0].platform != "cpu":
        yield
        return
    with threadpool_limits(max(1, cpu_cores() // len(devices)), user_api="blas"):
        yield
