"""Where runs sit: evenly on the devices, whatever came and went."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxopt_study.engine.placement import closed_ranks, free_slot
from jaxopt_study.grids.run import make_run

RUN = make_run("sgd", {"learning_rate": 0.1}, 0)
DEVICES = st.integers(1, 4)


@st.composite
def filled(draw):
    """Slots, some with a run, and the number of devices they lie on."""
    devices, each = draw(DEVICES), draw(st.integers(1, 4))
    taken = draw(st.lists(st.booleans(), min_size=devices * each, max_size=devices * each))
    return [make_run("sgd", {"learning_rate": 0.1}, i) if there else None for i, there in enumerate(taken)], devices


def loads(slots, devices):
    return np.array([run is not None for run in slots]).reshape(devices, -1).sum(1)


@given(filled())
def test_runs_that_come_one_by_one_load_the_devices_evenly(of):
    slots, devices = of
    slots = [None] * len(slots)
    for _ in range(len(slots)):
        slots[free_slot(slots, devices)] = RUN
        assert np.ptp(loads(slots, devices)) <= 1
    assert None not in slots


@given(filled())
def test_a_run_takes_a_free_slot_of_a_device_with_the_fewest(of):
    slots, devices = of
    if None not in slots:
        return
    slot = free_slot(slots, devices)
    load = loads(slots, devices)
    open_devices = [device for device in range(devices) if load[device] < len(slots) // devices]
    assert slots[slot] is None
    assert load[slot // (len(slots) // devices)] == min(load[device] for device in open_devices)


@given(filled(), st.integers(1, 4))
def test_closing_ranks_keeps_every_run_once_and_evens_the_devices_out(of, each):
    slots, devices = of
    runs = [run for run in slots if run is not None]
    size = devices * max(min(each, len(slots) // devices), -(-len(runs) // devices))
    moved = closed_ranks(slots, devices, size)
    after = slots if moved is None else [slots[slot] if slot >= 0 else None for slot in moved]
    assert len(after) == size
    assert {run for run in after if run} == set(runs)
    assert sum(run is not None for run in after) == len(runs)
    assert np.ptp(loads(after, devices)) <= 1
