"""Runs under way, on disk: Orbax checkpoints of the whole sweep, written beside the training, read after a kill."""

import logging
import time
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.grid import Run
from jaxopt_study.history import CURVES
from jaxopt_study.scheduler import Parked, Snapshot
from jaxopt_study.step import RunState

PyTree = Any
KEPT = 2


class Checkpoints:
    """The checkpoints of a work directory; the newest two are kept.

    Args:
        folder: made at the first save.
        study: what the results depend on beside the run, as in the fingerprints; a checkpoint of another study is
            refused.
    """

    def __init__(self, folder: Path, study: dict[str, Any]) -> None:
        self.folder = folder.absolute()
        self.study = study
        self._manager: Any = None

    def exist(self) -> bool:
        """Whether there is anything to resume from; costs no import."""
        return self.folder.is_dir() and any(path.name.isdigit() for path in self.folder.iterdir())

    def save(self, optimizer: str, snapshot: Snapshot) -> None:
        """Starts writing; returns while Orbax goes on in the background.

        Raises:
            EnvironmentFault: the checkpoint before this one could not be written.
        """
        from orbax import checkpoint as ocp

        longest = max((len(run.rows) for run in snapshot.parked), default=0)
        rows = np.full((len(snapshot.runs), longest, len(CURVES)), np.nan, np.float32)
        for i, parked in enumerate(snapshot.parked):
            rows[i, : len(parked.rows)] = parked.rows
        states = jax.tree.map(lambda *x: np.stack(x), *(parked.state for parked in snapshot.parked))
        table = {
            "study": self.study,
            "optimizer": optimizer,
            "runs": [[list(map(list, run.hyperparameters)), run.seed] for run in snapshot.runs],
            "epochs": [len(parked.rows) for parked in snapshot.parked],
            "shapes": [[list(x.shape), str(x.dtype)] for x in jax.tree.leaves(states)],
        }
        arrays = {"rows": rows, "states": dict(_numbered(states))}
        try:
            self.manager.save(
                time.time_ns() // 1_000_000,
                args=ocp.args.Composite(arrays=ocp.args.StandardSave(arrays), table=ocp.args.JsonSave(table)),
            )
        except (OSError, ValueError) as error:
            raise EnvironmentFault(f"cannot write a checkpoint to {self.folder}: {_line(error)}") from error

    def load(self, templates: dict[str, RunState]) -> dict[Run, Parked]:
        """The runs of the newest checkpoint that can be read; empty if there is none.

        Args:
            templates: the structure of a run's state by rule.

        Raises:
            EnvironmentFault: the checkpoint is of another study, or none of them can be read.
        """
        if not self.exist():
            return {}
        errors = []
        for step in sorted(self.manager.all_steps(), reverse=True):
            try:
                return self._read(step, templates)
            except _OtherStudyError as error:
                raise EnvironmentFault(str(error)) from None
            except Exception as error:  # Orbax and its storage raise many kinds for a damaged file
                errors.append(f"{step}: {_line(error)}")
                warnings.warn(f"checkpoint {self.folder / str(step)} is damaged; trying the one before", stacklevel=2)
        raise EnvironmentFault(
            f"no checkpoint in {self.folder} can be read ({'; '.join(errors)}); remove that folder to train the "
            "unfinished runs again, the finished ones are kept"
        )

    def _read(self, step: int, templates: dict[str, RunState]) -> dict[Run, Parked]:
        from orbax import checkpoint as ocp

        table = self.manager.restore(step, args=ocp.args.Composite(table=ocp.args.JsonRestore())).table
        if table["study"] != self.study:
            names = sorted(
                name for name in self.study | table["study"] if self.study.get(name) != table["study"].get(name)
            )
            different = ", ".join(
                f"{name} {table['study'].get(name)} there, {self.study.get(name)} here" for name in names
            )
            raise _OtherStudyError(
                f"--workdir={self.folder.parent}: holds a checkpoint of another study ({different}); "
                "finish that one with its own flags, or choose another --workdir"
            )
        if table["optimizer"] not in templates:
            return {}
        arrays = self.manager.restore(
            step, args=ocp.args.Composite(arrays=ocp.args.StandardRestore(self._blank(table)))
        ).arrays
        structure = jax.tree.structure(templates[table["optimizer"]])
        leaves = [arrays["states"][name] for name, _ in _numbered(table["shapes"])]
        result = {}
        for i, ((hyperparameters, seed), epochs) in enumerate(zip(table["runs"], table["epochs"], strict=True)):
            run = Run(table["optimizer"], tuple((name, value) for name, value in hyperparameters), seed)
            state = jax.tree.unflatten(structure, [leaf[i] for leaf in leaves])
            result[run] = Parked(arrays["rows"][i, :epochs], state)
        return result

    def _blank(self, table: dict[str, Any]) -> PyTree:
        longest = max(table["epochs"], default=0)
        rows = np.zeros((len(table["runs"]), longest, len(CURVES)), np.float32)
        states = {name: np.zeros(shape, dtype) for name, (shape, dtype) in _numbered(table["shapes"])}
        return {"rows": rows, "states": states}

    def clear(self) -> None:
        """Removes all checkpoints: nothing is under way any more."""
        if self.exist():
            self.wait()
            for step in self.manager.all_steps():
                self.manager.delete(step)

    def wait(self) -> None:
        """Until what was begun is on disk."""
        if self._manager is not None:
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits and lets go of Orbax's threads."""
        if self._manager is not None:
            self.wait()
            self._manager.close()
            self._manager = None

    @property
    def manager(self) -> Any:
        """Orbax's manager, imported and made when it is first needed."""
        if self._manager is None:
            from orbax import checkpoint as ocp

            logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax tells every step at INFO and WARNING
            self._manager = ocp.CheckpointManager(
                self.folder, options=ocp.CheckpointManagerOptions(max_to_keep=KEPT, cleanup_tmp_directories=True)
            )
        return self._manager


class _OtherStudyError(Exception):
    pass


def _numbered(values: PyTree) -> list[tuple[str, Any]]:
    """The leaves of a tree by position, so that what is read needs no class of ours."""
    leaves = values if isinstance(values, list) else jax.tree.leaves(values)
    return [(f"{i:04d}", leaf) for i, leaf in enumerate(leaves)]


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
