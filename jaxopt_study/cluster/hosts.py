"""One study over several processes that JAX joins: the hosts of a pod, each with accelerators of its own.

Each process trains its part of the runs on its own devices and writes them to the work directory that all share.
Nothing passes between them but the word that each has come to its end.
"""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxopt_study.engine import stats
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.engine.watcher import Watcher
from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.history import History
from jaxopt_study.storage import workdir


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Joins the processes of a job; to be called before JAX first touches a device.

    ``coordinator`` is ``HOST:PORT`` of the first of ``processes``, of which this is number ``process``; all None where
    JAX finds them (Slurm, Cloud TPU, Open MPI). EnvironmentFault: they cannot be found or do not answer.
    """
    if jax.distributed.is_initialized():
        return
    try:
        jax.distributed.initialize(coordinator, processes, process)
    except (RuntimeError, ValueError) as error:
        raise EnvironmentFault(f"--distributed: {str(error).splitlines()[0][:200]}") from error


def train(trainer: Trainer, watcher: Watcher | None = None) -> list[History]:
    """Trains this process's part and waits for the others; as Trainer.train, called by all of them alike.

    Only the first process holds the work directory and writes its tables; the others leave runs and checkpoints there.
    Returns all runs of the study. The errors are Trainer.train's, and InputError for successive halving, which compares
    all runs.
    """
    if trainer.settings.halving:
        raise InputError("--halving", trainer.settings.halving, "not allowed with --distributed")
    process, processes = jax.process_index(), jax.process_count()
    with contextlib.ExitStack() as held:
        _hold(trainer.folder, held)
        trainer.train(watcher, process=process, processes=processes)
        multihost_utils.sync_global_devices("all runs are trained")
        if process == 0:
            gather(trainer.folder, processes)
        return trainer.histories


def _hold(folder: Path, held: contextlib.ExitStack) -> None:
    """Lets the first process hold the work directory for all; InputError or EnvironmentFault where it cannot."""
    refused: Exception | None = None
    if jax.process_index() == 0:
        try:
            held.enter_context(workdir.locked(folder))
        except (InputError, EnvironmentFault) as error:
            refused = error
    (free,) = multihost_utils.broadcast_one_to_all(np.array([refused is None]))
    if refused is not None:
        raise refused
    if not free:
        raise EnvironmentFault(f"--workdir={folder}: the first process cannot use it")


def gather(folder: Path, processes: int) -> None:
    """Makes one part of stats.json of what the processes have left: times of the slowest, sums of the work."""
    paths = [path for process in range(processes) if (path := folder / f"stats_{process}.json").exists()]
    if not paths:
        return
    of_processes = [
        _combined(workdir.read_json(path)["parts"], ("slots", "devices", "peak_memory_bytes")) for path in paths
    ]
    whole = _combined(of_processes, ("seconds", "compile_seconds", "training_seconds"))
    for path in paths:
        path.unlink()
    stats.add_part(folder / "stats.json", {**whole, "processes": len(paths)})


def _combined(parts: Sequence[Mapping[str, float]], largest: Sequence[str]) -> dict[str, float]:
    """One part of several: the ``largest`` of some numbers, sums of the others."""
    return {name: (max if name in largest else sum)(part[name] for part in parts) for name in parts[0]}
