"""Runs under way, on disk: Orbax checkpoints of the whole sweep, written beside the training, read after a kill."""

import contextlib
import errno
import hashlib
import json
import logging
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_study.errors import EnvironmentFault, one_line
from jaxopt_study.grids.run import Run, Signature, signature
from jaxopt_study.optimizers import registry
from jaxopt_study.training.step import RunState

PyTree = Any
KEPT = 2


class Parked(NamedTuple):
    """A run that was begun and waits for a slot: its rows, float32 ``[E, curves]``, and its state on the host."""

    rows: np.ndarray
    state: RunState


class Checkpoints:
    """The checkpoints of a work directory; the newest two are kept.

    Args:
        folder: made at the first save.
        study: what the results depend on beside the run, as in the fingerprints; a checkpoint of another study is
            refused.
        process: of several that train the study; Orbax then waits for none of the others.
    """

    def __init__(self, folder: Path, study: dict[str, Any], *, process: int | None = None) -> None:
        self.folder = folder.absolute()
        self.process = process
        self.study = study
        self._manager: Any = None

    def exist(self) -> bool:
        """Whether there is anything to resume from; costs no import."""
        return self.folder.is_dir() and any(path.name.isdigit() for path in self.folder.iterdir())

    def save(self, begun: Mapping[Run, Parked]) -> None:
        """Starts writing all that is under way; returns while Orbax goes on in the background.

        The arrays go as one: a few large writes instead of many small ones, and one place where damage shows. Those of
        runs whose rules have one signature are stacked.

        Raises:
            EnvironmentFault: this checkpoint, or the one before it, could not be written.
        """
        from orbax import checkpoint as ocp

        parts: dict[Signature, dict[Run, Parked]] = {}
        for run, parked in begun.items():
            parts.setdefault(signature(run), {})[run] = parked
        described, leaves = zip(*(_part(part) for part in parts.values()), strict=True)
        packed = np.concatenate([np.frombuffer(x.tobytes(), np.uint8) for of_part in leaves for x in of_part])
        table = {
            "study": self.study,
            "parts": described,
            "bytes": packed.size,
            "sha256": hashlib.sha256(packed.data).hexdigest(),
        }
        table["digest"] = _digest(table)
        try:
            saved = self.manager.save(
                self._next_step(),
                args=ocp.args.Composite(arrays=self._args()[0]({"packed": packed}), table=ocp.args.JsonSave(table)),
            )
        except Exception as error:  # also what the writing of the one before ended with
            raise self._unwritten(error) from error
        if not saved:
            raise EnvironmentFault(f"cannot write a checkpoint to {self.folder}: Orbax passes it over")

    def _next_step(self) -> int:
        """Above all that are there, also where the clock was set back."""
        # Of several processes JAX, which is asked whether the job is about to be preempted, takes 32 bits.
        least = time.time_ns() // 1_000_000 if self.process is None else 1
        steps: list[int] = self.manager.all_steps()
        return max([least, *(step + 1 for step in steps)])

    def _unwritten(self, error: Exception) -> EnvironmentFault:
        text = str(error)
        full = "No space left" in text or "RESOURCE_EXHAUSTED" in text or getattr(error, "errno", 0) == errno.ENOSPC
        why = "the disk is full" if full else one_line(error)
        return EnvironmentFault(f"cannot write a checkpoint to {self.folder}: {why}; finished runs are kept")

    def load(self, templates: Mapping[Signature, RunState]) -> dict[Run, Parked]:
        """The runs of the newest checkpoint that can be read, of rules as they are now; empty if there is none.

        ``templates`` have the structure of the state of runs whose rule has a signature; of other rules nothing is
        read. EnvironmentFault: the checkpoint is of another study, or none of them can be read.
        """
        if not self.exist():
            return {}
        errors = []
        for step in sorted(self.manager.all_steps(), reverse=True):
            try:
                return self._read(step, templates)
            except EnvironmentFault:  # of another study
                raise
            except Exception as error:  # Orbax and its storage raise many kinds for a damaged file
                errors.append(f"{step}: {one_line(error)}")
                warnings.warn(f"checkpoint {self.folder / str(step)} is damaged; trying the one before", stacklevel=2)
        raise EnvironmentFault(
            f"no checkpoint in {self.folder} can be read ({'; '.join(errors)}); remove that folder to train the "
            "unfinished runs again, the finished ones are kept"
        )

    def check_study(self) -> None:
        """Refuses, before anything in the work directory is changed, checkpoints of another study: EnvironmentFault."""
        for step in sorted(self.manager.all_steps(), reverse=True) if self.exist() else []:
            try:
                self._table(step)
                return
            except EnvironmentFault:
                raise
            except Exception:  # a damaged one: ``load`` tells of it
                continue

    def _table(self, step: int) -> Any:
        from orbax import checkpoint as ocp

        table = self.manager.restore(step, args=ocp.args.Composite(table=ocp.args.JsonRestore())).table
        if "digest" in table and table.pop("digest") != _digest(table):
            raise ValueError("its table is not what was written")
        if table["study"] != self.study:
            names = sorted(self.study | table["study"])
            both = [(name, table["study"].get(name), self.study.get(name)) for name in names]
            different = ", ".join(f"{name} {there} there, {here} here" for name, there, here in both if there != here)
            raise EnvironmentFault(
                f"--workdir={self.folder.parent}: holds a checkpoint of another study ({different}); "
                "finish that one with its own flags, or choose another --workdir"
            )
        return table

    def _read(self, step: int, templates: Mapping[Signature, RunState]) -> dict[Run, Parked]:
        from orbax import checkpoint as ocp

        table = self._table(step)
        parts = table.get("parts", [table])  # before rules shared a program a checkpoint was of one
        if not any(_runs(part, templates) for part in parts):
            return {}
        blank = {"packed": np.zeros(table["bytes"], np.uint8)}
        restored = self.manager.restore(step, args=ocp.args.Composite(arrays=self._args()[1](blank)))
        packed = np.asarray(restored.arrays["packed"])
        if hashlib.sha256(packed.data).hexdigest() != table["sha256"]:
            raise ValueError("its bytes are not those that were written")
        saved: dict[Run, Parked] = {}
        leaves = iter(_unpack(packed, [leaf for part in parts for leaf in part["leaves"]]))
        for part in parts:
            rows, *of_states = (next(leaves) for _ in part["leaves"])
            if runs := _runs(part, templates):
                structure = jax.tree.structure(templates[signature(runs[0])])
                states = [jax.tree.unflatten(structure, own) for own in zip(*of_states, strict=True)]
                rows_of_runs = np.split(rows, np.cumsum(part["epochs"])[:-1])
                saved |= zip(runs, map(Parked, rows_of_runs, states), strict=True)
        return saved

    def clear(self) -> None:
        """Removes all checkpoints: nothing is under way any more."""
        if self.exist():
            self.wait()
            for step in self.manager.all_steps():
                self.manager.delete(step)

    def wait(self) -> None:
        """Until what was begun is on disk; EnvironmentFault: it could not be written."""
        if self._manager is not None:
            try:
                self._manager.wait_until_finished()
            except Exception as error:  # Orbax and its storage raise many kinds for a full disk
                raise self._unwritten(error) from error

    def close(self) -> None:
        """Waits and lets go of Orbax's threads; what could not be written was told by ``save`` or ``wait``."""
        if self._manager is not None:
            with contextlib.suppress(Exception):
                self._manager.close()
            self._manager = None

    def _args(self) -> tuple[Any, Any, Any]:
        """How the arrays are saved, restored, and by whom: Orbax's way, but for one of several processes."""
        if self.process is None:
            from orbax import checkpoint as ocp

            return ocp.args.StandardSave, ocp.args.StandardRestore, None
        from jaxopt_study.storage import block

        return block.BlockSave, block.BlockRestore, block.BlockHandler()

    @property
    def manager(self) -> Any:
        """Orbax's manager, imported and made when it is first needed."""
        if self._manager is None:
            from orbax import checkpoint as ocp

            quieten_orbax()
            options: Any = {"max_to_keep": KEPT, "cleanup_tmp_directories": True}
            handlers: Any = None
            if self.process is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
                alone = ocp.options.MultiprocessingOptions(
                    primary_host=self.process,
                    active_processes={self.process},
                    barrier_sync_key_prefix=f"process_{self.process}",
                )
                # Beside the saving it makes folders with signals through JAX's coordinator, under names that two
                # processes share: the one that is ready removes the signals that the other still waits for.
                beforehand = ocp.options.AsyncOptions(create_directories_asynchronously=False)
                options |= {"multiprocessing_options": alone, "async_options": beforehand, "create": False}
                json_handler = ocp.JsonCheckpointHandler(multiprocessing_options=alone)
                handlers = {"arrays": self._args()[2], "table": json_handler}
            options = ocp.CheckpointManagerOptions(**options)
            self._manager = ocp.CheckpointManager(self.folder, options=options, item_handlers=handlers)
        return self._manager


def _part(begun: Mapping[Run, Parked]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """What the table says of runs of one signature, and their arrays."""
    rows, states = zip(*begun.values(), strict=True)
    leaves = [np.concatenate(rows), *jax.tree.leaves(jax.tree.map(lambda *x: np.stack(x), *states))]
    optimizer = next(iter(begun)).optimizer
    described = {
        "optimizer": optimizer,
        "rule": registry.family(optimizer).identity,
        "runs": [[list(map(list, run.hyperparameters)), run.seed, run.data_seed] for run in begun],
        "epochs": list(map(len, rows)),
        "leaves": [[list(x.shape), str(x.dtype)] for x in leaves],
    }
    return described, [np.ascontiguousarray(x) for x in leaves]


def _runs(part: Mapping[str, Any], templates: Mapping[Signature, RunState]) -> list[Run]:
    """The runs of a part of a checkpoint; none where their rule is not wanted, or is another now."""
    runs = [
        Run(part["optimizer"], tuple((name, value) for name, value in hyperparameters), *seeds)
        for hyperparameters, *seeds in part["runs"]
    ]
    is_wanted = signature(runs[0]) in templates
    return runs if is_wanted and part.get("rule", "") == registry.family(part["optimizer"]).identity else []


def _digest(table: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def quieten_orbax() -> None:
    """Keeps Orbax's steps, and its failures with their tracebacks, from the log: what matters is raised in a line."""
    logging.getLogger("absl").addFilter(_not_orbax)
    logging.getLogger("asyncio").addFilter(_not_orbax)  # of several parts that fail it waits for one only


def _not_orbax(record: logging.LogRecord) -> bool:
    text = record.pathname if record.name == "absl" else record.getMessage()
    return "orbax" not in text and "tensorstore" not in text


def _unpack(packed: np.ndarray, leaves: list[tuple[list[int], str]]) -> list[np.ndarray]:
    """The arrays that lie one after another in ``packed``, of the given shapes and types."""
    ends = np.cumsum([int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in leaves])
    parts = zip(np.split(packed, ends[:-1]), leaves, strict=True)
    return [np.frombuffer(part.tobytes(), dtype).reshape(shape) for part, (shape, dtype) in parts]
