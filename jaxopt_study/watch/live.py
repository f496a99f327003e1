"""What is under way, in a file of the work directory that a page reads while a study trains."""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_study.files import write_text
from jaxopt_study.grids.run import Run
from jaxopt_study.history import History

FILES = ".live*.json"
RUNNING = "running"
"""The status of a run that is under way; no run in a store has it."""
SECONDS = 2.0


class Live:
    """A callback that writes the curves so far of the runs under way, every two seconds or seldomer.

    Writing takes a hundredth of the time at most. The file is gone after :meth:`close`.

    Args:
        folder: the work directory.
        process: of several that share it, each with a file of its own; the first forgets what others of an earlier
            start have left.
    """

    def __init__(self, folder: Path, process: int = 0) -> None:
        self.path = folder / f".live{f'-{process}' if process else ''}.json"
        if not process:
            for path in folder.glob(FILES):
                path.unlink(missing_ok=True)
        self._rows: dict[Run, list[Mapping[str, float]]] = {}
        self._begun, self._next, self._epochs = 0.0, 0.0, -1  # the first epoch has compiled: it tells no speed

    def on_epoch(self, run: Run, epoch: int, metrics: Mapping[str, float]) -> None:
        """Keeps the epoch; see Callback."""
        self._begun = self._begun or time.time()
        rows = self._rows.setdefault(run, [])
        del rows[epoch - 1 :]  # of a run that went back to a checkpoint
        empty = dict.fromkeys(metrics, float("nan"))
        rows.extend([empty] * (epoch - 1 - len(rows)))  # of a run that goes on from one
        rows.append(dict(metrics))
        self._epochs += 1
        self._write()

    def on_run_end(self, run: Run, history: History) -> None:
        """Forgets the run, which is in the store now; see Callback."""
        self._rows.pop(run, None)
        self._write()

    def close(self) -> None:
        """Nothing is under way any more."""
        self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        begin = time.monotonic()
        if begin < self._next:
            return
        runs = [
            {
                "optimizer": run.optimizer, "hyperparameters": dict(run.hyperparameters), "seed": run.seed,
                "data_seed": run.data_seed, "curves": {name: [row[name] for row in rows] for name in rows[-1]},
            }
            for run, rows in self._rows.items()
        ]  # fmt: skip
        told = {"seconds": time.time() - self._begun, "written": time.time(), "epochs": self._epochs, "runs": runs}
        write_text(self.path, json.dumps(told))
        self._next = begin + max(SECONDS, 100 * (time.monotonic() - begin))


@dataclasses.dataclass(frozen=True)
class UnderWay:
    """What the file says.

    Attributes:
        histories: the runs so far, of status :data:`RUNNING`.
        seconds: since the first epoch was heard of.
        epochs: trained since then, of all runs together.
        written: when the file was written, seconds since 1970.
    """

    histories: tuple[History, ...]
    seconds: float
    epochs: int
    written: float

    def without(self, ended: Callable[[History], bool]) -> "UnderWay":
        """What is left without runs that have ended since it was written."""
        return dataclasses.replace(self, histories=tuple(run for run in self.histories if not ended(run)))


def read_live(folder: Path) -> list[UnderWay]:
    """What is under way in a work directory, by each process that says so; of files that are not whole nothing."""
    return [told for path in sorted(folder.glob(FILES)) if (told := _read(path))]


def _read(path: Path) -> UnderWay | None:
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        histories = [
            History(
                run["optimizer"], run["hyperparameters"], run["seed"], RUNNING,
                {name: np.asarray(curve, np.float32) for name, curve in run["curves"].items()},
                data_seed=run["data_seed"],
            )
            for run in told["runs"]
        ]  # fmt: skip
        return UnderWay(tuple(histories), told["seconds"], told["epochs"], told["written"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
