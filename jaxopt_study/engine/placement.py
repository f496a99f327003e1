"""Where runs sit: slots lie on the devices in order, as many on each; one holds a run or None."""

from collections.abc import Sequence

import numpy as np

from jaxopt_study.grids.run import Run


def free_slot(slots: Sequence[Run | None], devices: int) -> int:
    """The first free slot of a device that has the fewest runs; there must be one."""
    per_device, load = len(slots) // devices, _load(slots, devices)
    free = (slot for slot, run in enumerate(slots) if run is None)
    return min(free, key=lambda slot: (load[slot // per_device], slot))


def closed_ranks(slots: Sequence[Run | None], devices: int, size: int) -> np.ndarray | None:
    """Spreads the runs evenly over the devices in ``size`` slots, which must have room for them.

    Returns:
        For each of those slots the slot whose run it gets, or -1; None if the runs sit evenly already and there are no
        slots to spare.
    """
    load = _load(slots, devices)
    if load.max() - load.min() < 2 and size == len(slots):
        return None
    source = np.full((devices, size // devices), -1)
    for i, slot in enumerate(slot for slot, run in enumerate(slots) if run is not None):
        source[i % devices, i // devices] = slot
    return source.ravel()


def _load(slots: Sequence[Run | None], devices: int) -> np.ndarray:
    """How many runs each device has."""
    load: np.ndarray = np.array([run is not None for run in slots]).reshape(devices, -1).sum(1)
    return load
