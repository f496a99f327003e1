"""Runs under way, on disk: Orbax checkpoints of the whole sweep, written beside the training, read after a kill."""

import contextlib
import hashlib
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_study.errors import EnvironmentFault, one_line
from jaxopt_study.grids.run import Run, Signature, signature
from jaxopt_study.storage.parked import Parked, Part, described_in, digest, furthest, named, parts_of, stands, unpacked
from jaxopt_study.storage.quiet import quieten_orbax, why
from jaxopt_study.training.step import RunState

KEPT = 2


class Checkpoints:
    """The checkpoints of a work directory; the newest two are kept.

    Runs of others, half-trained, stay in them: of another grid in the same work directory, of a group whose turn comes
    later.

    Args:
        folder: made at the first save.
        study: what the results depend on beside the run, as in the fingerprints; a checkpoint of another study is
            refused.
        fingerprint: of a run of the study.
        said: names in ``study`` that each run says of itself, so that it is no matter what the study says.
        is_stored: whether the run with a fingerprint has come to its end; None keeps those of this study alone.
        process: of several that train the study; Orbax then waits for none of the others.
        before: what all of these had begun before, see :meth:`adopt`; runs are taken from there too.
    """

    def __init__(
        self,
        folder: Path,
        study: dict[str, Any],
        fingerprint: Callable[[Run], str],
        *,
        said: Collection[str] = (),
        is_stored: Callable[[str], bool] | None = None,
        process: int | None = None,
        before: "Checkpoints | None" = None,
    ) -> None:
        self.folder, self.study, self.said = folder.absolute(), study, said
        self.fingerprint, self.is_stored = fingerprint, is_stored
        self.process, self.before = process, before
        self.others: list[Part] = []
        self._manager: Any = None

    def exist(self) -> bool:
        """Whether there is anything to resume from; costs no import."""
        return self.folder.is_dir() and any(path.name.isdigit() for path in self.folder.iterdir())

    def save(self, begun: Mapping[Run, Parked]) -> None:
        """Starts writing all that is under way; returns while Orbax goes on in the background.

        The arrays go as one: a few large writes instead of many small ones, and one place where damage shows. Those of
        runs whose rules have one signature are stacked.

        EnvironmentFault: this checkpoint, or the one before it, could not be written.
        """
        self._save([*parts_of(begun, self.study, self.said, self.fingerprint), *self.others])

    def _save(self, parts: Iterable[Part]) -> None:
        from orbax import checkpoint as ocp

        described, arrays = zip(*(part.written() for part in parts), strict=True)
        packed = np.concatenate([np.frombuffer(x.tobytes(), np.uint8) for of_part in arrays for x in of_part])
        table = {
            "study": self.study,
            "parts": described,
            "bytes": packed.size,
            "sha256": hashlib.sha256(packed.data).hexdigest(),
        }
        table["digest"] = digest(table)
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
        return EnvironmentFault(f"cannot write a checkpoint to {self.folder}: {why(error)}; finished runs are kept")

    def load(self, runs: Collection[Run], templates: Mapping[Signature, RunState]) -> dict[Run, Parked]:
        """Those of the runs that the newest checkpoint that can be read holds; from now on all others in it are kept.

        ``templates`` have the structure of the state of runs whose rule has a signature. EnvironmentFault: the
        checkpoint is of another study, or has no best weights that are asked for, or none can be read.
        """
        wanted = {self.fingerprint(run): run for run in runs}
        found: dict[Run, Parked] = {}
        self.others = []
        for part in self.newest(wanted):
            usable = {}
            for known, (there, parked) in part.parked.items():
                if known in wanted and signature(wanted[known]) == signature(there):
                    usable[wanted[known]] = stands(parked, templates[signature(there)], self.folder)
            found |= usable
            rest = [known for known in part.parked if wanted.get(known) not in usable and self._is_kept(known)]
            self.others += [part.only(rest)] * bool(rest)
        if self.before:
            found = self.before.load(runs, templates) | found  # own ones are further
            self.before.others = []  # they stay where they are
        return found

    def newest(self, wanted: Collection[str]) -> list[Part]:
        """What the newest checkpoint that can be read has of runs that are wanted or not stored."""
        if not self.exist():
            return []
        errors = []
        for step in sorted(self.manager.all_steps(), reverse=True):
            try:
                return self._read(step, wanted)
            except EnvironmentFault:  # of another study
                raise
            except Exception as error:  # Orbax and its storage raise many kinds for a damaged file
                errors.append(f"{step}: {one_line(error)}")
                warnings.warn(f"checkpoint {self.folder / str(step)} is damaged; trying the one before", stacklevel=2)
        raise EnvironmentFault(
            f"no checkpoint in {self.folder} can be read ({'; '.join(errors)}); remove that folder to train the "
            "unfinished runs again, the finished ones are kept"
        )

    def check_study(self) -> list[Mapping[str, Any]]:
        """What the newest one that can be read says of each of its parts. EnvironmentFault: they are of another study;
        it is asked before anything in the work directory is changed."""
        for step in sorted(self.manager.all_steps(), reverse=True) if self.exist() else []:
            try:
                return described_in(self._table(step))
            except EnvironmentFault:
                raise
            except Exception:  # a damaged one: ``load`` tells of it
                continue
        return []

    def _table(self, step: int) -> Any:
        from orbax import checkpoint as ocp

        table = self.manager.restore(step, args=ocp.args.Composite(table=ocp.args.JsonRestore())).table
        if "digest" in table and table.pop("digest") != digest(table):
            raise ValueError("its table is not what was written")
        for part in described_in(table):
            known = self.is_stored is not None and "fingerprints" in part  # not of an earlier version
            if not known or self._unfinished(part):
                self._check(part.get("study", table["study"]), part.get("said", ()))
        return table

    def _is_kept(self, fingerprint: str) -> bool:
        return self.is_stored is not None and not self.is_stored(fingerprint)

    def _unfinished(self, part: Mapping[str, Any]) -> list[str]:
        return [known for known in named(part, self.fingerprint) or {} if self._is_kept(known)]

    def _check(self, study: Mapping[str, Any], said: Collection[str]) -> None:
        """Refuses what is of another study; what each run says of itself is no matter."""
        names = (name for name in sorted({**self.study, **study}) if name not in self.said and name not in said)
        both = [(name, study.get(name), self.study.get(name)) for name in names]
        different = ", ".join(f"{name} {there} there, {here} here" for name, there, here in both if there != here)
        if different:
            raise EnvironmentFault(
                f"--workdir={self.folder.parent}: holds a checkpoint of another study ({different}); "
                "finish that one with its own flags, or choose another --workdir"
            )

    def _packed(self, step: int, size: int) -> np.ndarray:
        from orbax import checkpoint as ocp

        from jaxopt_study.storage import block

        of_process = self.folder / str(step) / "arrays" / block.FILE
        if of_process.exists():  # whoever reads it
            packed: np.ndarray = np.load(of_process)
            return packed
        args = self._args()[1]({"packed": np.zeros(size, np.uint8)})
        return np.asarray(self.manager.restore(step, args=ocp.args.Composite(arrays=args)).arrays["packed"])

    def _read(self, step: int, wanted: Collection[str]) -> list[Part]:
        table = self._table(step)
        described = described_in(table)
        runs = [named(part, self.fingerprint) or {} for part in described]
        if not any(known in wanted or self._is_kept(known) for of_part in runs for known in of_part):
            return []
        packed = self._packed(step, table["bytes"])
        if hashlib.sha256(packed.data).hexdigest() != table["sha256"]:
            raise ValueError("its bytes are not those that were written")
        return [
            Part(
                part.get("rule", ""),
                part.get("study", table["study"]),
                part.get("said", ()),
                dict(zip(of_part, zip(of_part.values(), parked, strict=True), strict=True)),
            )
            for part, of_part, parked in zip(described, runs, unpacked(packed, described), strict=True)
            if of_part
        ]

    def clear(self) -> None:
        """Removes all checkpoints but of others: nothing of this study is under way any more."""
        self.wait()
        steps = self.manager.all_steps() if self.exist() else []
        unfinished = ([known for known in part.parked if self._is_kept(known)] for part in self.others)
        self.others = [part.only(known) for part, known in zip(self.others, unfinished, strict=True) if known]
        if self.others:
            self._save(self.others)
            self.wait()
        for step in set(steps) & set(self.manager.all_steps()) if steps else ():
            self.manager.delete(step)

    def tidy(self) -> None:
        """Removes what has come to its end, as a kill just before, or whoever trained it elsewhere, leaves it."""
        if any(len(self._unfinished(part)) < len(part["runs"]) for part in self.check_study()):
            self.others = self.newest(())
            self.clear()

    def adopt(self, folders: Collection[Path]) -> None:
        """Takes over what was begun in other folders, of each run what is furthest, and removes it there.

        EnvironmentFault: something in them is of another study or cannot be read; or it cannot be written here.
        """
        how: Any = {"said": self.said, "is_stored": self.is_stored, "process": self.process}
        with contextlib.ExitStack() as opened:
            others = [Checkpoints(folder, self.study, self.fingerprint, **how) for folder in folders]
            for one in others:
                opened.callback(one.close)
            self.others = furthest([part for one in (self, *others) for part in one.newest(())])
            self.clear()
            for one in others:
                one.clear()
        for emptied in (*folders, *([] if self.others else [self.folder])):
            with contextlib.suppress(OSError):  # it holds something else, or was not there
                emptied.rmdir()

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
