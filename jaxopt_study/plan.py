"""What a study would do: runs, what the store holds, slots, memory, and the time from a few timed steps."""

import time
from typing import NamedTuple

import jax
import numpy as np

from jaxopt_study import capacity
from jaxopt_study.early_stopping import Limits
from jaxopt_study.grid import stack
from jaxopt_study.study import Study
from jaxopt_study.sweep import Sweep, memory_of

STEPS = 8


class Part(NamedTuple):
    """The plan for the runs of one rule.

    Attributes:
        optimizer: its name.
        runs: of the study.
        stored: of these, in the store already.
        slots: that train at once.
        devices: that share them.
        memory_bytes: that a device needs, data included.
        compile_seconds: that one program took to compile; with an empty cache an epoch's takes as long.
        epoch_seconds: estimated time in which every slot trains an epoch, validation included.
        most_seconds: estimated time of the training if no run stops before its last epoch.
    """

    optimizer: str
    runs: int
    stored: int
    slots: int
    devices: int
    memory_bytes: int
    compile_seconds: float
    epoch_seconds: float
    most_seconds: float


def plan(study: Study) -> list[Part]:
    """Compiles a short epoch of every rule that has runs to train and times it; trains nothing and writes nothing."""
    pending = study.pending()
    parts = []
    for optimizer in dict.fromkeys(run.optimizer for run in study.runs):
        of_rule = [run for run in study.runs if run.optimizer == optimizer]
        left = [run for run in pending if run.optimizer == optimizer]
        if left:
            parts.append(_measured(study, optimizer, len(of_rule), len(left)))
        else:
            parts.append(Part(optimizer, len(of_rule), len(of_rule), 0, 0, 0, 0.0, 0.0, 0.0))
    return parts


def _measured(study: Study, optimizer: str, runs: int, left: int) -> Part:
    steps = max(1, min(STEPS, len(study.dataset.train_labels) // study.settings.batch_size))
    sweep = study.job(optimizer, study.batches(steps)).sweep
    asked = study.execution.slots
    slots = min(asked, runs) if asked else capacity.slots_for(sweep, runs)
    slots = min(slots, left)
    seconds = _time(study, sweep, optimizer, slots)
    examples = len(study.dataset.train_labels) + len(study.dataset.val_labels)
    timed = sum(int(np.prod(part[1].shape)) for part in (sweep.batches.train, sweep.batches.val))
    epoch = seconds * examples / timed
    whole = study.dataset.train_images.nbytes + study.dataset.val_images.nbytes
    short = sum(x.nbytes for x in jax.tree.leaves(sweep.batches))
    return Part(
        optimizer=optimizer,
        runs=runs,
        stored=runs - left,
        slots=slots,
        devices=len(sweep.devices),
        memory_bytes=memory_of(sweep.compiled_epoch(sweep.padded(slots))) - short + whole,
        compile_seconds=sweep.compile_seconds,
        epoch_seconds=epoch,
        most_seconds=epoch * study.settings.max_epochs * left / slots,
    )


def _time(study: Study, sweep: Sweep, optimizer: str, slots: int) -> float:
    """Seconds of a short epoch with every slot at work, the best of three."""
    run = next(run for run in study.runs if run.optimizer == optimizer)
    padded = sweep.padded(slots)
    numbers, seeds = stack([run] * padded), np.zeros(padded, np.uint32)
    bounds = np.full(padded, 1_000_000, np.int32)
    limits: tuple[np.ndarray, np.ndarray] = (bounds, bounds)
    states = sweep.fill(sweep.idle(padded), *sweep.put((numbers, seeds, np.arange(padded) < slots)))
    arguments = sweep.put((numbers, Limits(*limits)))  # type: ignore[arg-type]  # host arrays until put
    best = np.inf
    for _ in range(3):
        begin = time.perf_counter()
        states, report = sweep.epoch(states, *arguments)
        jax.block_until_ready(report)
        best = min(best, time.perf_counter() - begin)
    return float(best)
