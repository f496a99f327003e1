"""One study over several processes that JAX joins: the hosts of a pod, each with accelerators of its own.

Each process trains its part of the runs on its own devices and writes them to the work directory that all share.
Nothing passes between them but the word that each has come to its end. Where one ends early the others stop too: a file
in the work directory is there as long as all are at work, and goes even where the disk is full.
"""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxopt_study.engine import stats
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.engine.watcher import Interrupted, OutOfTime, Watcher
from jaxopt_study.errors import EnvironmentFault, InputError, one_line
from jaxopt_study.files import write_text
from jaxopt_study.history import History
from jaxopt_study.storage import workdir

STOPS = {stop.__name__: stop for stop in (Interrupted, OutOfTime)}


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Joins the processes of a job; to be called before JAX first touches a device.

    ``coordinator`` is ``HOST:PORT`` of the first of ``processes``, of which this is number ``process``; all None where
    JAX finds them (Slurm, Cloud TPU, Open MPI). EnvironmentFault: they cannot be found or do not answer.
    """
    if jax.distributed.is_initialized():
        return
    try:
        jax.distributed.initialize(coordinator, processes, process)
    except (RuntimeError, ValueError, LookupError) as error:
        raise EnvironmentFault(f"--distributed: {one_line(error)}") from error


def train(trainer: Trainer, watcher: Watcher | None = None) -> list[History]:
    """Trains this process's part and waits for the others; as Trainer.train, called by all of them alike.

    Only the first process holds the work directory and writes its tables; the others leave runs and checkpoints there.
    Returns all runs of the study. The errors are Trainer.train's, InputError for successive halving, which compares all
    runs, and EnvironmentFault where another process has ended with an error.
    """
    if trainer.settings.halving:
        raise InputError("--halving", trainer.settings.halving, "not allowed with --distributed")
    process, processes = jax.process_index(), jax.process_count()
    all_at_work = trainer.folder / ".all_at_work"
    asked = (watcher or Watcher()).interrupted
    told = (watcher or Watcher())._replace(interrupted=lambda: asked() or not all_at_work.exists())
    error: Exception | None = None
    with contextlib.ExitStack() as held:
        _hold(trainer, all_at_work, held)
        try:
            trainer.train(told, process=process, processes=processes)
        except Exception as raised:
            error = raised
        of_others = type(error) is Interrupted and not asked()
        if error is not None:
            all_at_work.unlink(missing_ok=True)
        reasons = _gathered("" if error is None or of_others else one_line(error))
        if process == 0:
            all_at_work.unlink(missing_ok=True)
        if error is not None and not of_others:
            raise error
        for other, why in enumerate(reasons):
            if why in STOPS:  # a signal, or the end of the time, which comes to all, one after the other
                raise STOPS[why]
            if why:
                saved = "what was begun is saved, the same command goes on from there"
                raise EnvironmentFault(f"--distributed: process {other} has ended ({why}); {saved}") from error
        if process == 0:
            gather(trainer.folder, processes)
            trainer.gather_begun(process=0)
        return trainer.histories


def _gathered(text: str) -> list[str]:
    """What each process says, when all have come here."""
    line = np.zeros(200, np.uint8)
    said = text.encode()[: len(line)]
    line[: len(said)] = np.frombuffer(said, np.uint8)
    return [each.tobytes().rstrip(b"\0").decode(errors="replace") for each in multihost_utils.process_allgather(line)]


def _hold(trainer: Trainer, all_at_work: Path, held: contextlib.ExitStack) -> None:
    """Lets the first process hold the work directory for all, and mend what is in it.

    InputError or EnvironmentFault: it cannot.
    """
    folder, refused = trainer.folder, None
    if jax.process_index() == 0:
        try:
            held.enter_context(workdir.locked(folder))
            trainer.mend()
            trainer.gather_begun(process=0)
            write_text(all_at_work, "")
        except (InputError, EnvironmentFault) as error:
            refused = error
    (free,) = multihost_utils.broadcast_one_to_all(np.array([refused is None]))
    if refused is not None:
        raise refused
    if not free:
        raise EnvironmentFault(f"--workdir={folder}: the first process cannot use it")


def gather(folder: Path, processes: int) -> None:
    """Makes one part of stats.json of what the processes have left: times of the slowest, sums of the work."""
    paths = [folder / f"stats_{process}.json" for process in range(processes)]
    found = [parts for path in paths if (parts := workdir.usable(workdir.written_stats, path).get("parts"))]
    if not found:
        return
    of_processes = [_combined(parts, ("slots", "devices", "peak_memory_bytes")) for parts in found]
    whole = _combined(of_processes, ("seconds", "compile_seconds", "training_seconds"))
    for path in paths:
        path.unlink(missing_ok=True)
    stats.add_part(folder / "stats.json", {**whole, "processes": len(found)})


def _combined(parts: Sequence[Mapping[str, Any]], largest: Sequence[str]) -> dict[str, Any]:
    """One part of several: the ``largest`` of some numbers, sums of the others; the hosts of a pod are of one kind."""
    of_all = {name: [part.get(name, 0) for part in parts] for name in parts[0] if name != "device_kind"}
    numbers = {name: (max if name in largest else sum)(values) for name, values in of_all.items()}
    return {**numbers, **({"device_kind": parts[0]["device_kind"]} if "device_kind" in parts[0] else {})}
