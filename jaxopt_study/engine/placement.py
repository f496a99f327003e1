"""Where runs sit: the slot that a run takes, and where all go when there are fewer of them than slots.

Slots lie on the devices in order, as many on each; one holds a run or None.
"""

from collections.abc import Sequence

import numpy as np

from jaxopt_study.grids.run import Run


def free(slots: Sequence[Run | None], devices: int) -> int:
    """The first free slot of a device that has the fewest runs; there must be one."""
    each, load = len(slots) // devices, _load(slots, devices)
    return min((slot for slot, run in enumerate(slots) if run is None), key=lambda slot: (load[slot // each], slot))


def closed(slots: Sequence[Run | None], devices: int, size: int) -> np.ndarray | None:
    """Spreads the runs evenly over the devices in ``size`` slots, which must have room for them.

    Returns:
        For each of those slots the slot whose run it gets, or -1; None if the runs sit evenly already and there are no
        slots to spare.
    """
    load = _load(slots, devices)
    if load.max() - load.min() < 2 and size == len(slots):
        return None
    target = np.full((devices, size // devices), -1)
    for i, slot in enumerate(slot for slot, run in enumerate(slots) if run is not None):
        target[i % devices, i // devices] = slot
    return target.ravel()


def _load(slots: Sequence[Run | None], devices: int) -> np.ndarray:
    """How many runs each device has."""
    load: np.ndarray = np.array([run is not None for run in slots]).reshape(devices, -1).sum(1)
    return load
