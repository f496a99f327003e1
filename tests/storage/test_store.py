"""A run that is in the store is what was written, or is said not to be; all files of a store are one table."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from compared import assert_identical

from jaxopt_study.errors import Damaged, EnvironmentFault, InputError
from jaxopt_study.history import CURVES, History
from jaxopt_study.storage import choice, workdir
from jaxopt_study.storage.store import Store, load_runs, read_run, read_runs, run_files, to_table


def history(epochs: int = 3, **changes: object) -> History:
    rng = np.random.default_rng(epochs)
    curves = {name: rng.normal(size=epochs).astype(np.float32) for name in CURVES}
    curves["train_loss"][1:2] = np.nan
    fields = {
        "optimizer": "adam",
        "hyperparameters": {"learning_rate": 0.1, "b1": 0.9},
        "seed": 3,
        "status": "diverged",
        "curves": curves,
        "diverged_epoch": 2,
    }
    return History(**fields | changes)


SGD = {"optimizer": "sgd", "hyperparameters": {"learning_rate": 0.2}, "seed": 4}


def store(folder: Path) -> Store:
    return Store(folder / "runs")


def test_the_store_gives_back_what_it_was_given(tmp_path: Path) -> None:
    assert "abc" not in store(tmp_path)
    store(tmp_path).write("abc", history())
    assert "abc" in store(tmp_path)
    assert_identical(store(tmp_path).read("abc"), history())
    assert list(read_runs(tmp_path)) == ["abc"]


def test_runs_load_as_one_tidy_table(tmp_path: Path) -> None:
    store(tmp_path).write("a", history())
    store(tmp_path).write("b", history(**SGD))
    table = load_runs(tmp_path)
    assert isinstance(table, pa.Table)
    assert {"epoch", "val_loss", "optimizer", "learning_rate", "b1", "seed", "status"} <= set(table.column_names)
    assert len(table) == 6
    assert table["b1"].null_count == 3  # the other rule has none
    with pytest.raises(EnvironmentFault, match="no finished runs"):
        load_runs(tmp_path / "elsewhere")


def test_all_files_have_the_columns_of_all_rules_whoever_came_first(tmp_path: Path) -> None:
    failed = history(0, optimizer="lion", hyperparameters={"decay": 1.0}, status="failed", diverged_epoch=None)
    runs = {"a": history(**SGD), "b": history(), "c": failed, "d": history(**SGD | {"seed": 5})}
    for name, run in runs.items():
        store(tmp_path).write(name, run)
    (schema,) = {pq.read_schema(path).remove_metadata() for path in run_files(tmp_path)}
    assert schema.names[len(CURVES) + 1 :] == ["optimizer", "learning_rate", "b1", "decay", "seed", "status"]
    table = pa.dataset.dataset(tmp_path / "runs").to_table()  # as pandas, polars and DuckDB read it
    assert table["learning_rate"].null_count == 0
    assert (len(table), table["b1"].null_count) == (9, 6)
    for name, run in runs.items():
        assert_identical(store(tmp_path).read(name), run)


def test_any_bit_that_flips_is_harmless_or_noticed(tmp_path: Path) -> None:
    store(tmp_path).write("a", history(40))
    (path,) = run_files(tmp_path)
    whole, noticed = path.read_bytes(), 0
    for bit in random.Random(0).sample(range(8 * len(whole)), 300):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            assert_identical(read_run(path), history(40))
        except Damaged:
            noticed += 1
    assert noticed > 150


def test_another_runs_file_under_this_runs_name_is_not_this_run(tmp_path: Path) -> None:
    store(tmp_path).write("a", history())
    store(tmp_path).path("b").write_bytes(store(tmp_path).path("a").read_bytes())
    with pytest.raises(Damaged, match=r"b\.parquet is damaged \(it holds another run, a\)"):
        store(tmp_path).read("b")
    with pytest.warns(UserWarning, match=r"b\.parquet is damaged .* it is now .*/damaged/b\.parquet\.damaged,"):
        assert list(store(tmp_path).mend()) == ["a"]


def of_earlier_versions(path: Path, run: History, **changes: object) -> None:
    """A file without a digest and with the run's own columns only."""
    table = to_table(path.stem, run)
    described = json.loads(table.schema.metadata[b"jaxopt_study"])
    del described["digest"]
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"jaxopt_study": json.dumps(described | changes)}), path)


def test_files_of_earlier_versions_are_read_and_joined_unless_they_contradict_themselves(tmp_path: Path) -> None:
    paths = [store(tmp_path).path(name) for name in "abc"]
    of_earlier_versions(paths[0], history())
    of_earlier_versions(paths[1], history(**SGD))
    of_earlier_versions(paths[2], history(), seed=4)  # the column says 3
    of_earlier_versions(
        store(tmp_path).path("d"), history(), hyperparameters={"learning_rate": 0.1, "b1": 0.9, "epoch": 7}
    )
    assert_identical(read_run(paths[0]), history())
    with pytest.warns(UserWarning, match=r"\.parquet is damaged \(its columns are not those of its run\)") as told:
        assert list(store(tmp_path).mend()) == ["a", "b"]
    assert len(told) == 2
    assert len({pq.read_schema(path).remove_metadata() for path in run_files(tmp_path)}) == 1
    assert_identical(read_run(paths[1]), history(**SGD))


def test_what_is_set_aside_never_takes_the_place_of_what_was(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        store(tmp_path).write("a", history())
        store(tmp_path).path("a").write_bytes(content)
        with pytest.warns(UserWarning, match="is damaged"):
            assert store(tmp_path).mend() == {}
    assert not list((tmp_path / "runs").iterdir())  # pandas and others read all that is there
    kept = [path.read_bytes() for path in sorted((tmp_path / "damaged").iterdir())]
    assert kept == [b"first", b"second"]


KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from jaxopt_study.files import write_atomically
def write(path):
    path.write_bytes(b"whole")
    os.kill(os.getpid(), signal.SIGKILL)
write_atomically(Path(sys.argv[1]), write)
"""


def test_a_metric_named_like_a_number_of_other_runs_is_refused_and_leaves_the_store_as_it_is(tmp_path: Path) -> None:
    measured = history()
    measured.curves["alpha"] = measured.curves["val_loss"]
    store(tmp_path).write("a", measured)
    with pytest.raises(InputError, match="where alpha is a metric of some runs and a hyperparameter of others"):
        store(tmp_path).mend(["alpha"])
    assert list(store(tmp_path).mend(["beta"])) == ["a"]


def test_a_run_of_several_orders_of_the_data_is_found_by_its_data_seed(tmp_path: Path) -> None:
    for name, order in (("a", 0), ("b", 1)):
        store(tmp_path).write(name, dataclasses.replace(history(), data_seed=order))
    assert choice._found(read_runs(tmp_path), {"data_seed": 1}, {}, 2) == "b"


def test_what_a_killed_process_left_half_written_is_no_run_and_goes_with_the_next_start(tmp_path: Path) -> None:
    store(tmp_path).write("a", history())
    for target in (tmp_path / "runs" / "b.parquet", tmp_path / "config.json"):
        ended = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, target], check=False)
        assert ended.returncode == -signal.SIGKILL
    (tmp_path / "runs" / ".c.parquet").write_bytes(b"of an earlier version")
    assert len([*tmp_path.glob(".building-*"), *tmp_path.glob("runs/.building-*")]) == 2
    assert list(read_runs(tmp_path)) == list(store(tmp_path).mend()) == ["a"]
    with workdir.locked(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "runs"]
        assert [path.name for path in (tmp_path / "runs").iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("mask", [0o077, 0o022, 0o027])
def test_files_and_folders_have_the_rights_that_the_user_gives_them(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        store(tmp_path / "w").write("a", history())
        workdir.write_json(tmp_path / "w" / "stats.json", {})
    finally:
        os.umask(before)
    for path in (tmp_path / "w").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~mask


@pytest.mark.parametrize("name", ["adam:v2", "file:x", "study:1/deep"])
def test_a_relative_folder_that_looks_like_a_url_is_a_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store(Path(name) / "runs")
    store.write("a", history())
    store.mend(["b1"])
    assert list(read_runs(name)) == ["a"]
    assert (tmp_path / name / "runs" / "a.parquet").exists()
