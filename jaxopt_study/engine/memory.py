"""How many runs fit: from the memory that the compiled program asks for and the memory that the device has."""

import warnings

import jax
import psutil

from jaxopt_study.engine import cgroups
from jaxopt_study.engine.sweep import Sweep, memory_of
from jaxopt_study.errors import EnvironmentFault

# Chosen, not measured: on CPU what the runs share should be a small part of a step by then. On an accelerator the
# memory decides.
MOST = {"cpu": 32}
MOST_ELSEWHERE = 256
MARGIN = 0.8


def most(platform: str) -> int:
    """The most slots that are of use on devices of a platform, whatever the memory."""
    return MOST.get(platform, MOST_ELSEWHERE)


def free_bytes(device: jax.Device) -> int:
    """Memory that a device can still give; of the host or its container, divided among its CPU devices."""
    if device.platform == "cpu":
        free, allowed = psutil.virtual_memory().available, cgroups.memory_left()
        return int(min(free, free if allowed is None else allowed) // jax.local_device_count("cpu"))
    known = device.memory_stats() or {}
    return int(known.get("bytes_limit", 8 << 30) - known.get("bytes_in_use", 0))


def ran_out(error: Exception) -> bool:
    """Whether it says that a device's memory does not suffice."""
    return "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower()


def slots_for(sweep: Sweep, runs: int, asked: int | None = None) -> int:
    """As many slots as are asked for, at most ``runs``; if none are, the most whose compiled epoch fits the free memory
    with a margin, at least one a device, and in a batched program no more than share the runs out evenly.

    Compiles for the number that it tries, which the training then uses: the first try fits but for large networks.
    """
    if asked:
        return min(asked, runs)
    device = sweep.devices[0]
    slots = _even(sweep, min(runs, most(device.platform)), runs)
    data = sum(x.nbytes for x in jax.tree.leaves(sweep.batches))
    # The data is there already; on a CPU once for all devices.
    room = MARGIN * free_bytes(device) + (data if device.platform == "cpu" else MARGIN * data)
    while slots > len(sweep.devices):
        needed = memory_of(sweep.compiled("epoch", sweep.padded(slots)))
        if needed <= room:
            break
        share = max(room - data, 0) / max(needed - data, 1)
        slots = _even(sweep, max(len(sweep.devices), min(slots - 1, int(slots * share))), runs)
    return slots


def _even(sweep: Sweep, slots: int, runs: int) -> int:
    """The fewest slots in which runs of one length take no longer; an empty one costs nothing where runs take turns."""
    return slots if sweep.program.strategy.in_turn else -(-runs // -(-runs // slots))


def fewer(slots: int, error: Exception) -> int:
    """Half the slots, with a warning; EnvironmentFault if there was but one."""
    if slots == 1:
        raise EnvironmentFault("the device has not enough memory for a single run") from error
    message = f"out of memory with {slots} slots; going on with {slots // 2} from the last checkpoint"
    warnings.warn(message, stacklevel=3)
    return slots // 2
