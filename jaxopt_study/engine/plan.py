"""What a study would do: runs, what the store holds, slots, memory, and the time from a few timed steps."""

from typing import NamedTuple

import jax
import numpy as np

from jaxopt_study.analysis.numbers import number
from jaxopt_study.data.trees import nbytes
from jaxopt_study.engine import memory, own_code, strategy
from jaxopt_study.engine.sweep import memory_of
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.grids.run import Group, Run
from jaxopt_study.optimizers.family import PRECISION


class Part(NamedTuple):
    """The plan for the runs of one batch size and one network, which one program trains.

    Attributes:
        optimizer: names of their rules.
        batch_size: training examples in a step.
        runs: of the study.
        stored: of these, in the store already.
        slots: that train at once.
        devices: that share them.
        memory_bytes: that a device needs, data included.
        compile_seconds: that one program took to compile; with an empty cache an epoch's takes as long.
        epoch_seconds: estimated time in which every slot trains an epoch, validation included.
        most_seconds: estimated time of the training if no run stops before its last epoch.
        model: values of the network's own axes, and of an axis of precisions, in words.
    """

    optimizer: str
    batch_size: int
    runs: int
    stored: int
    slots: int = 0
    devices: int = 0
    memory_bytes: int = 0
    compile_seconds: float = 0.0
    epoch_seconds: float = 0.0
    most_seconds: float = 0.0
    model: str = ""


def plan(study: Trainer) -> list[Part]:
    """Compiles a short epoch of every group that has runs to train and times it; trains nothing and writes nothing."""
    pending = study.by_group(study.pending())
    with own_code.unedited(study):
        return [
            _measured(study, group, runs, pending[group])
            if group in pending
            else Part(optimizers(runs), study.batch_size(group), len(runs), len(runs), model=in_words(study, group))
            for group, runs in study.by_group(study.runs).items()
        ]


def in_words(study: Trainer, group: Group) -> str:
    """The values of the axes of a group's network and precision: ``width 16, activation relu``."""
    choices, own = study.choices, [(PRECISION, group.precision)] if group.precision is not None else []
    return ", ".join(f"{n} {choices[n][int(v)] if n in choices else number(v)}" for n, v in (*group.model, *own))


def optimizers(runs: list[Run]) -> str:
    """The rules of some runs, in words."""
    return ", ".join(dict.fromkeys(run.optimizer for run in runs))


def _measured(study: Trainer, group: Group, runs: list[Run], left: list[Run]) -> Part:
    size, data = study.batch_size(group), study.dataset_of(group)
    steps = max(1, min(strategy.STEPS, data.examples // size))
    sweep = study.sweep(group, study.batches(size, steps, data_seed=group.data_seed))
    slots = min(memory.slots_for(sweep, len(runs), study.execution.slots), len(left))
    epoch_of = strategy.epoch_timer(sweep, runs[0], slots)
    seconds = min(epoch_of() for _ in range(3))
    examples = data.examples + data.val_examples
    timed_parts = sweep.batches.train, sweep.batches.val, sweep.batches.test
    timed = sum(int(np.prod(jax.tree.leaves(part)[0].shape[:2])) for part in timed_parts if part)
    epoch = seconds * examples / timed
    whole = nbytes((data.train_images, data.val_images))
    short = sum(x.nbytes for x in jax.tree.leaves(sweep.batches))
    return Part(
        optimizer=optimizers(runs),
        batch_size=size,
        runs=len(runs),
        stored=len(runs) - len(left),
        slots=slots,
        devices=len(sweep.devices),
        memory_bytes=memory_of(sweep.compiled("epoch", sweep.padded(slots))) - short + whole,
        compile_seconds=sweep.compile_seconds,
        epoch_seconds=epoch,
        most_seconds=epoch * sum(map(study.budget, left)) / slots,
        model=in_words(study, group),
    )
