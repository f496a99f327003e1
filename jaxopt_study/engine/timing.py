"""Timing a few steps of a sweep without training anything that is kept."""

import time
from collections.abc import Callable

import jax
import numpy as np

from jaxopt_study.engine.sweep import Sweep
from jaxopt_study.grids.run import Run, stack
from jaxopt_study.training.early_stopping import Limits


def timer(sweep: Sweep, run: Run, slots: int) -> Callable[[], float]:
    """Compiles the epoch for so many slots and fills them all with one run.

    Returns:
        A function that trains all slots for an epoch and returns the seconds that it took.
    """
    padded = sweep.padded(slots)
    numbers, seeds = stack([run] * padded), np.zeros(padded, np.uint32)
    bounds = np.full(padded, 1_000_000, np.int32)
    limits: tuple[np.ndarray, np.ndarray] = (bounds, bounds)
    states = sweep.fill(sweep.idle(padded), *sweep.put((numbers, seeds, np.arange(padded) < slots)))
    arguments = sweep.put((numbers, Limits(*limits)))  # type: ignore[arg-type]  # host arrays until put
    sweep.compiled_epoch(padded)

    def seconds() -> float:
        nonlocal states
        begin = time.perf_counter()
        states, report = sweep.epoch(states, *arguments)
        jax.block_until_ready(report)
        return time.perf_counter() - begin

    return seconds
