"""The finished runs of a work directory: one Parquet file a run, written once, all with the same columns."""

import dataclasses
import hashlib
import json
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jaxopt_study.errors import Damaged, EnvironmentFault, InputError, one_line
from jaxopt_study.files import reason, set_aside, write_atomically
from jaxopt_study.history import CURVES, OPTIONAL_CURVES, History

_METADATA = b"jaxopt_study"


class Store:
    """``folder/FINGERPRINT.parquet``, a row an epoch; the folder is made when the first run is written.

    All files have the columns of all hyperparameters and optional curves that any of the runs has, empty where a run
    has none of that name, so that whatever reads Parquet reads the folder as one table.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers: tuple[str, ...] = ()
        self.optional: tuple[str, ...] = ()

    def path(self, fingerprint: str) -> Path:
        """Where the run with this fingerprint is or would be."""
        return self.folder / f"{fingerprint}.parquet"

    def __contains__(self, fingerprint: str) -> bool:
        return self.path(fingerprint).exists()

    def write(self, fingerprint: str, history: History) -> None:
        """Adds a finished run; EnvironmentFault: it cannot be written; nothing is left half-written."""
        if not (numbers_of(history).keys() <= set(self.numbers) and set(optional(history)) <= set(self.optional)):
            self.mend(numbers_of(history), optional(history))
        table = to_table(fingerprint, history, self.numbers, self.optional)

        def fill(path: Path) -> None:
            with path.open("wb") as file:  # Arrow takes a relative path such as adam:v2/.. for a URL
                pq.write_table(table, file, compression="zstd")

        write_atomically(self.path(fingerprint), fill)

    def read(self, fingerprint: str) -> History:
        """The run with this fingerprint; Damaged: its file is not what was written."""
        return read_run(self.path(fingerprint))

    def mend(self, numbers: Iterable[str] = (), curves: Iterable[str] = ()) -> dict[str, History]:
        """Reads all files, sets those aside that are damaged, and gives all the columns of all.

        They get those of the hyperparameters ``numbers`` and of the optional ``curves`` too.

        For who holds the work directory.

        Returns:
            The runs by their fingerprints.

        Raises:
            EnvironmentFault: a file cannot be read, renamed or written.
            InputError: a metric has the name of a hyperparameter: there would be two columns of it.
        """
        read = {}
        for path in run_files(self.folder.parent):
            try:
                read[path.stem] = _read(path)
            except Damaged as error:
                aside = set_aside(path, self.folder.parent)
                what = f"{path} is damaged ({error.why}); it is now {aside}, and the run is trained again"
                warnings.warn(what, stacklevel=2)
        held = [name for _, table in read.values() for name in _numbers(table)]
        found = [name for _, table in read.values() for name in _curves(table) if name not in CURVES]
        columns, more = dict.fromkeys([*held, *numbers]), _ordered([*found, *curves])
        for name in more:
            if name in columns:
                given = f"{self.folder.parent}, where {name} is a metric of some runs and a hyperparameter of others"
                raise InputError("--workdir", given, "allowed is another one, or another name for the metric")
        self.numbers, self.optional = tuple(columns), more
        for fingerprint, (history, table) in read.items():
            if table.schema != _schema(self.numbers, self.optional):
                self.write(fingerprint, history)
        return {fingerprint: history for fingerprint, (history, _) in read.items()}


def numbers_of(history: History) -> dict[str, float]:
    """The numbers of a run that have a column of their name: hyperparameters, and the data seed where it has one."""
    return {**history.hyperparameters, **({} if history.data_seed is None else {"data_seed": history.data_seed})}


def optional(history: History) -> tuple[str, ...]:
    """The names of the optional curves that a run has, and of metrics of the user's own."""
    return _ordered(name for name in history.curves if name not in CURVES)


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Names of curves besides ``CURVES``, each once, in the order of their columns."""
    wanted = dict.fromkeys(names)
    return (*(n for n in OPTIONAL_CURVES if n in wanted), *(n for n in wanted if n not in OPTIONAL_CURVES))


def to_table(
    fingerprint: str, history: History, numbers: Sequence[str] | None = None, more: Sequence[str] | None = None
) -> pa.Table:
    """A run as a tidy table: epoch, curves, then what describes the run, the same in every row.

    ``numbers`` are the names of the columns for hyperparameters, ``more`` those for optional curves; the run's own if
    None. The metadata hold what describes the run and a digest of all.
    """
    epochs, own = history.epochs, numbers_of(history)
    numbers = list(own if numbers is None else numbers)
    more = optional(history) if more is None else more
    empty = [None] * epochs
    curves = [
        np.asarray(history.curves[name], np.float32) if name in history.curves else empty for name in (*CURVES, *more)
    ]
    same = [history.optimizer, *(own.get(name) for name in numbers), history.seed, history.status]
    columns = [np.arange(1, epochs + 1, dtype=np.int32), *curves, *([value] * epochs for value in same)]
    schema = _schema(numbers, more)
    table = pa.table([pa.array(*each) for each in zip(columns, schema.types, strict=True)], schema)
    described = {
        "fingerprint": fingerprint,
        "optimizer": history.optimizer,
        "hyperparameters": own,
        "seed": history.seed,
        "status": history.status,
        "diverged_epoch": history.diverged_epoch,
    }
    if history.reason:
        described["reason"] = history.reason
    described["digest"] = _digest(described, table)
    return table.replace_schema_metadata({_METADATA: json.dumps(described).encode()})


def _digest(described: dict[str, Any], table: pa.Table) -> str:
    """Of what describes a run, the names of the columns and the curves; the other columns follow from these."""
    digest = hashlib.sha256(json.dumps([described, table.column_names]).encode())
    for name in _measured(table):
        digest.update(np.ascontiguousarray(table[name].to_numpy(), "<f4").data)
    return digest.hexdigest()


def _numbers(table: pa.Table) -> list[str]:
    """The hyperparameters that a run's table has columns for: those between the rule and the seed."""
    names: list[str] = table.column_names
    return names[names.index("optimizer") + 1 : -2]


def _curves(table: pa.Table) -> list[str]:
    """The curves that a run's table has columns for: those between the epoch and the rule."""
    names: list[str] = table.column_names
    return names[1 : names.index("optimizer")]


def _measured(table: pa.Table) -> list[str]:
    """The curves that a run's table holds: a column without any value is another run's."""
    return [name for name in _curves(table) if name in CURVES or table[name].null_count < len(table)]


def _schema(numbers: Sequence[str], more: Sequence[str] = ()) -> pa.Schema:
    """The columns of a run, in their order."""
    curves = [(name, pa.float32()) for name in (*CURVES, *more)]
    own = [(name, pa.float64()) for name in numbers]
    end = [("seed", pa.int64()), ("status", pa.string())]
    return pa.schema([("epoch", pa.int32()), *curves, ("optimizer", pa.string()), *own, *end])


def run_files(workdir: Path) -> list[Path]:
    """The files of a work directory's finished runs; not those that a killed process left under a hidden name."""
    return sorted((workdir / "runs").glob("[!.]*.parquet"))


def read_run(path: Path) -> History:
    """One run from its file.

    Raises:
        Damaged: the file is not as it was written, or not a run's, or another run's.
        EnvironmentFault: it cannot be read.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[History, pa.Table]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EnvironmentFault(f"cannot read {path}: {reason(error)}") from error
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
        return _checked(table, path.stem), table.replace_schema_metadata()
    except Exception as error:  # Arrow, JSON and NumPy raise many kinds for bytes that are not what was written
        advice = "the command of its study sets it aside and trains the run again"
        raise Damaged(path, one_line(error), advice) from error


def _checked(table: pa.Table, fingerprint: str) -> History:
    """The run that a file's table holds; ValueError, or whatever fails, if it contradicts itself.

    Files of earlier versions have no digest: what describes the run is there twice, and must be the same.
    """
    described = json.loads(table.schema.metadata[_METADATA])
    digest = described.pop("digest", None)
    if described["fingerprint"] != fingerprint:
        raise ValueError(f"it holds another run, {described['fingerprint']}")
    if digest is not None and digest != _digest(described, table):
        raise ValueError("its content is not what was written")
    history = History(
        optimizer=described["optimizer"],
        hyperparameters=described["hyperparameters"],
        seed=described["seed"],
        status=described["status"],
        curves={name: table[name].to_numpy() for name in _measured(table)},
        diverged_epoch=described["diverged_epoch"],
        reason=described.get("reason", ""),
        data_seed=described["hyperparameters"].pop("data_seed", None),
    )
    curves = _curves(table)
    again = to_table(fingerprint, history, _numbers(table), curves[len(CURVES) :])
    # A number that earlier versions let be named as a curve has taken its column, and the measurement is lost.
    if not history.hyperparameters.keys() <= set(_numbers(table)):
        raise ValueError("its columns are not those of its run")
    if not table.cast(again.schema).drop_columns(curves).equals(again.drop_columns(curves)):
        raise ValueError("its columns are not those of its run")
    return history


def read_runs(workdir: str | Path) -> dict[str, History]:
    """All finished runs of a work directory by their fingerprints.

    Raises:
        EnvironmentFault: there are none; as Damaged: a file is not what was written.
    """
    paths = run_files(Path(workdir))
    if not paths:
        raise EnvironmentFault(f"{workdir} holds no finished runs (looked for runs/*.parquet)")
    return {path.stem: read_run(path) for path in paths}


def load_runs(workdir: str | Path) -> pa.Table:
    """All finished runs of a work directory as one tidy pyarrow table, a row an epoch.

    ``.to_pandas()`` makes a pandas data frame of it, ``polars.from_arrow(..)`` one of polars. The content of every file
    is checked, which what reads the folder by itself does not do.

    Raises:
        EnvironmentFault: there are no runs, or a file is damaged.
    """
    return tidy(read_runs(workdir).items())


def tidy(runs: Iterable[tuple[str, History]]) -> pa.Table:
    """Runs, each with its fingerprint, as one table as :func:`load_runs` returns it."""
    listed = list(runs)
    more = _ordered(name for _, history in listed for name in optional(history))
    tables = [to_table(known, history, more=more).replace_schema_metadata() for known, history in listed]
    return pa.concat_tables(tables or [_schema(()).empty_table()], promote_options="default")


def histories_of(table: pa.Table) -> list[History]:
    """The runs of a table as :func:`load_runs` returns it, in any order of its rows.

    Raises:
        InputError: its columns are not those of runs, or it holds several runs of one configuration and seed.
    """
    names = table.column_names
    missing = [name for name in ("epoch", *CURVES, "optimizer", "seed", "status") if name not in names]
    if missing:
        raise InputError(
            "runs", f"a table without {missing[0]}", "allowed is what load_runs or a study's run() returned"
        )
    numbers = [name for name in names if name not in ("epoch", *_curves(table), "optimizer", "seed", "status")]
    columns = {name: table[name].to_pylist() for name in ("optimizer", *numbers, "seed", "status")}
    rows: dict[tuple[Any, ...], list[int]] = {}
    for row, key in enumerate(zip(*columns.values(), strict=True)):
        rows.setdefault(key, []).append(row)
    epochs, measured = table["epoch"].to_numpy(), _measured(table)
    curves = np.stack([table[name].to_numpy().astype(np.float32) for name in measured], axis=1)
    histories = []
    for (optimizer, *values, seed, status), of_run in rows.items():
        ordered = np.array(of_run)[np.argsort(epochs[of_run], kind="stable")]
        if not np.array_equal(epochs[ordered], np.arange(1, len(ordered) + 1)):
            given = f"several runs of {optimizer} with seed {seed} and the same numbers"
            raise InputError("runs", given, "allowed are the runs of one study")
        own = {name: value for name, value in zip(numbers, values, strict=True) if value is not None}
        data_seed = own.pop("data_seed", None)
        history = History.from_rows(optimizer, own, seed, status, curves[ordered], measured)
        histories.append(dataclasses.replace(history, data_seed=None if data_seed is None else int(data_seed)))
    return histories
