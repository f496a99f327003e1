"""The finished runs of a work directory: one Parquet file a run, written once."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jaxopt_study.errors import EnvironmentFault, one_line
from jaxopt_study.files import write_atomically
from jaxopt_study.history import CURVES, History

_METADATA = b"jaxopt_study"


class Store:
    """``folder/FINGERPRINT.parquet``, a row an epoch; the folder is made when the first run is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, fingerprint: str) -> Path:
        """Where the run with this fingerprint is or would be."""
        return self.folder / f"{fingerprint}.parquet"

    def __contains__(self, fingerprint: str) -> bool:
        return self.path(fingerprint).exists()

    def write(self, fingerprint: str, history: History) -> None:
        """Adds a finished run; EnvironmentFault: it cannot be written; nothing is left half-written."""
        table = to_table(fingerprint, history)
        write_atomically(self.path(fingerprint), lambda path: pq.write_table(table, path, compression="zstd"))

    def read(self, fingerprint: str) -> History:
        """The run with this fingerprint; EnvironmentFault: its file is damaged."""
        return read_run(self.path(fingerprint))


def to_table(fingerprint: str, history: History) -> pa.Table:
    """A run as a tidy table: epoch, curves, then what describes the run, the same in every row."""
    epochs = history.epochs
    columns: dict[str, Any] = {"epoch": pa.array(np.arange(1, epochs + 1, dtype=np.int32))}
    columns |= {name: pa.array(np.asarray(history.curves[name], np.float32)) for name in CURVES}
    columns["optimizer"] = pa.array([history.optimizer] * epochs)
    columns |= {name: pa.array(np.full(epochs, value, np.float64)) for name, value in history.hyperparameters.items()}
    columns["seed"] = pa.array(np.full(epochs, history.seed, np.int64))
    columns["status"] = pa.array([history.status] * epochs)
    described = {
        "fingerprint": fingerprint,
        "optimizer": history.optimizer,
        "hyperparameters": dict(history.hyperparameters),
        "seed": history.seed,
        "status": history.status,
        "diverged_epoch": history.diverged_epoch,
    }
    if history.reason:
        described["reason"] = history.reason
    return pa.table(columns, metadata={_METADATA: json.dumps(described).encode()})


def read_run(path: Path) -> History:
    """One run from its file; EnvironmentFault: the file is damaged or not a run's."""
    try:
        # From a buffer: one file is one record here, never a dataset of partitions.
        table = pq.read_table(pa.BufferReader(path.read_bytes()))
        described = json.loads(table.schema.metadata[_METADATA])
        curves = {name: table[name].to_numpy() for name in CURVES}
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        what = f"{path} is damaged ({one_line(error)}); remove it and the run is trained again"
        raise EnvironmentFault(what) from error
    return History(
        optimizer=described["optimizer"],
        hyperparameters=described["hyperparameters"],
        seed=described["seed"],
        status=described["status"],
        curves=curves,
        diverged_epoch=described["diverged_epoch"],
        reason=described.get("reason", ""),
    )


def read_runs(workdir: str | Path) -> dict[str, History]:
    """All finished runs of a work directory by their fingerprints; EnvironmentFault: none, or a damaged file."""
    paths = sorted((Path(workdir) / "runs").glob("*.parquet"))
    if not paths:
        raise EnvironmentFault(f"{workdir} holds no finished runs (looked for runs/*.parquet)")
    return {path.stem: read_run(path) for path in paths}


def load_runs(workdir: str | Path) -> pa.Table:
    """All finished runs of a work directory as one tidy pyarrow table, a row an epoch.

    ``.to_pandas()`` makes a pandas data frame of it, ``polars.from_arrow(..)`` one of polars.

    Raises:
        EnvironmentFault: there are no runs, or a file is damaged.
    """
    return tidy(read_runs(workdir).items())


def tidy(runs: Iterable[tuple[str, History]]) -> pa.Table:
    """Runs, each with its fingerprint, as one table as :func:`load_runs` returns it."""
    tables = [to_table(fingerprint, history).replace_schema_metadata() for fingerprint, history in runs]
    return pa.concat_tables(tables, promote_options="default")
