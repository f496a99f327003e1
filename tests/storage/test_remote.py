"""Work directories in object storage, on fsspec's storage in memory."""

import json
import shutil
import threading
import time

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFile

from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.storage import remote

URL = "memory://bucket/study"


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    """Storage with nothing in it, and a first machine."""
    storage = fsspec.filesystem("memory")
    storage.store.clear()
    machine(tmp_path, "first", monkeypatch)
    yield storage
    storage.store.clear()


def machine(tmp_path, name, monkeypatch):
    """Whatever runs from now on runs on a machine of that name, whose cache is its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
    monkeypatch.setattr(remote.socket, "gethostname", lambda: name)


def fill(folder):
    (folder / "runs").mkdir(parents=True)
    (folder / "runs" / "a.parquet").write_bytes(b"run a")
    (folder / "config.json").write_text("{}")
    (folder / ".lock").write_text("process 1")
    for step in ("17", "18.orbax-checkpoint-tmp"):
        (folder / "checkpoints" / step / "arrays").mkdir(parents=True)
        (folder / "checkpoints" / step / "arrays" / "0").write_bytes(step.encode())


def test_what_is_written_here_is_there_and_on_the_next_machine(tmp_path, monkeypatch, empty):
    with remote.kept(URL) as folder:
        fill(folder)
    names = {path.removeprefix("/bucket/study/") for path in empty.find("/bucket/study")}
    assert names == {"runs/a.parquet", "config.json", "checkpoints/17.tar"}  # no lock, no half-written checkpoint
    machine(tmp_path, "second", monkeypatch)
    with remote.kept(URL) as there:
        assert there != folder
        assert (there / "runs" / "a.parquet").read_bytes() == b"run a"
        assert (there / "checkpoints" / "17" / "arrays" / "0").read_bytes() == b"17"
        (there / "config.json").write_text('{"by": "second"}')
        (there / "runs" / "b.parquet").write_bytes(b"run b")
        (there / "checkpoints" / "17" / "arrays" / "0").unlink()
        (there / "checkpoints" / "17" / "arrays").rmdir()
        (there / "checkpoints" / "17").rmdir()
    machine(tmp_path, "first", monkeypatch)
    with remote.kept(URL) as again:
        assert again == folder
        assert json.loads((folder / "config.json").read_text()) == {"by": "second"}
        assert (folder / "runs" / "b.parquet").read_bytes() == b"run b"
        assert not (folder / "checkpoints" / "17").exists()


def test_what_a_killed_process_had_not_sent_is_sent_by_the_next(empty):
    with remote.kept(URL) as folder:
        fill(folder)
    (folder / "runs" / "late.parquet").write_bytes(b"late")
    with remote.kept(URL):
        assert (folder / "runs" / "late.parquet").read_bytes() == b"late"
    assert empty.cat("/bucket/study/runs/late.parquet") == b"late"


def test_a_run_removed_there_is_removed_here(empty):
    with remote.kept(URL) as folder:
        fill(folder)
    empty.rm("/bucket/study/runs/a.parquet")
    with remote.kept(URL):
        assert not (folder / "runs" / "a.parquet").exists()


def test_a_cleared_cache_removes_nothing_there(empty):
    with remote.kept(URL) as folder:
        fill(folder)
    for path in ("runs", "checkpoints"):
        shutil.rmtree(folder / path)
    with remote.kept(URL):
        assert (folder / "runs" / "a.parquet").read_bytes() == b"run a"
        assert (folder / "checkpoints" / "17" / "arrays" / "0").read_bytes() == b"17"
        shutil.rmtree(folder / "runs")
        shutil.rmtree(folder / "checkpoints")  # the engine removes checkpoints, and nothing removes runs
    assert empty.exists("/bucket/study/runs/a.parquet")
    assert not empty.exists("/bucket/study/checkpoints/17.tar")


def test_what_vanished_there_as_a_whole_is_kept_here_and_sent(empty):
    with remote.kept(URL) as folder:
        fill(folder)
    empty.rm("/bucket/study", recursive=True)
    with remote.kept(URL):
        assert (folder / "runs" / "a.parquet").exists()
    assert empty.cat("/bucket/study/runs/a.parquet") == b"run a"


def test_it_is_sent_while_the_study_goes_on(empty, monkeypatch):
    monkeypatch.setattr(remote, "SEND_SECONDS", 0.05)
    with remote.kept(URL) as folder:
        fill(folder)
        deadline = time.monotonic() + 10
        while not empty.exists("/bucket/study/runs/a.parquet"):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_storage_that_fails_for_a_while_costs_nothing(empty, monkeypatch):
    """Nothing is lost: it stays here, the message says where, and the same command sends it."""
    monkeypatch.setattr(remote, "SEND_SECONDS", 0.02)
    whole, tried = type(empty).pipe_file, threading.Event()

    def broken(self, path, value, **options):
        if "runs/" in path:
            tried.set()
            raise OSError("the network is away")
        return whole(self, path, value, **options)

    def study():
        with remote.kept(URL) as folder:
            monkeypatch.setattr(type(empty), "pipe_file", broken)
            fill(folder)
            assert tried.wait(10)

    with pytest.warns(UserWarning, match="not sent yet"), pytest.raises(EnvironmentFault, match="same command") as told:
        study()
    monkeypatch.setattr(type(empty), "pipe_file", whole)
    assert str(remote.place(URL)) in str(told.value)
    with remote.kept(URL):
        pass
    assert empty.cat("/bucket/study/runs/a.parquet") == b"run a"


def test_errors_name_the_url_and_not_only_the_mirror(empty):
    mirror = str(remote.place(URL))
    with pytest.raises(InputError, match=f"^workdir={URL}/runs: allowed is another than {URL}$"), remote.kept(URL):
        raise InputError("--workdir", f"{mirror}/runs", f"allowed is another than {mirror}")
    with pytest.raises(EnvironmentFault, match=f"is the mirror of {URL}"), remote.kept(URL):
        raise EnvironmentFault(f"{mirror}/runs: no space left")
    with pytest.raises(InputError, match=r"^seeds=0: allowed is 1$"), remote.kept(URL):
        raise InputError("--seeds", 0, "allowed is 1")


def test_two_machines_at_once_are_refused(tmp_path, monkeypatch):
    with remote.kept(URL):
        machine(tmp_path, "second", monkeypatch)
        with pytest.raises(EnvironmentFault, match=r"first process .* is at work there"), remote.kept(URL):
            pass


def test_a_work_directory_is_shared_by_those_of_one_process_and_held_until_the_last_of_them_ends(empty):
    with remote.kept(URL) as outer:
        with remote.kept(URL) as inner:
            assert inner == outer
        assert empty.exists("/bucket/study/.holder.json")
    assert not empty.exists("/bucket/study/.holder.json")


@pytest.mark.parametrize(
    "holder",
    [
        {"holder": "other process 1", "time": 0},  # not heard of for years
        {"holder": "first process 4194305", "time": time.time()},  # of this machine, and no process now
        {"holder": 1},
        "half a li",
    ],
)
def test_a_holder_that_is_no_more_holds_nothing(holder, empty):
    empty.pipe_file("/bucket/study/.holder.json", json.dumps(holder).encode()[: None if holder != "half a li" else 5])
    with remote.kept(URL):
        pass
    assert not empty.exists("/bucket/study/.holder.json")


def test_a_damaged_checkpoint_is_left_out(empty):
    empty.pipe_file("/bucket/study/checkpoints/3.tar", b"no tar")
    with pytest.warns(UserWarning, match=r"3\.tar is damaged"), remote.kept(URL) as folder:
        assert not (folder / "checkpoints" / "3").exists()


@pytest.mark.parametrize(
    "name", ["../x", "runs/../../x", "/{out}/x", "runs/../config.json", "runs//a.parquet", "checkpoints/../../3.tar"]
)
def test_an_object_that_is_no_file_of_a_work_directory_is_refused(name, tmp_path, empty):
    name = name.format(out=tmp_path)
    empty.store[f"/bucket/study/{name}"] = MemoryFile(empty, f"/bucket/study/{name}", b"hostile")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(EnvironmentFault, match="is no file of a work directory; remove it") as told, remote.kept(URL):
        pass
    assert "\n" not in str(told.value)
    assert not [path for path in set(tmp_path.rglob("*")) - before if path.is_file()]


def test_marks_of_folders_and_hidden_objects_are_passed_over(empty):
    for name in ("runs/", ".cache/x"):
        empty.store[f"/bucket/study/{name}"] = MemoryFile(empty, f"/bucket/study/{name}", b"")
    with remote.kept(URL) as folder:
        assert [path.name for path in folder.iterdir()] == [".known.json"]


@pytest.mark.parametrize("known", ["[]", "3", '{"config.json": 1}', '{"config.json": ["a"]}', "{"])
def test_a_damaged_list_of_what_was_sent_is_made_anew(known, empty):
    with remote.kept(URL) as folder:
        fill(folder)
    (folder / ".known.json").write_text(known)
    with remote.kept(URL):
        assert (folder / "runs" / "a.parquet").read_bytes() == b"run a"
    assert json.loads((folder / ".known.json").read_text()).keys() >= {"runs/a.parquet", "config.json"}


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("nowhere://a/b", InputError),
        ("memory://", InputError),
        ("reference://a/b", InputError),
        ("ftp://127.0.0.1:1/a", EnvironmentFault),
        ("zip://a.zip", EnvironmentFault),
    ],
)
def test_what_is_no_place_is_refused_in_one_line(url, error):
    with pytest.raises(error, match="workdir=") as told:
        remote.place(url)
    assert "\n" not in str(told.value)


def test_a_missing_package_is_named(monkeypatch):
    def absent(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", absent)
    with pytest.raises(EnvironmentFault, match=r"pip install 'jaxopt-study\[s3\]'"):
        remote.place("s3://bucket/study")


def test_a_folder_is_itself(tmp_path):
    with remote.kept(tmp_path) as folder:
        assert folder == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == []  # nothing of a mirror


def test_a_url_where_processes_are_to_share_a_folder_is_refused_before_the_storage_is_asked(monkeypatch):
    monkeypatch.setattr(remote, "_objects", lambda url: pytest.fail("the storage was asked"))
    with pytest.raises(InputError, match=f"^workdir={URL}: allowed with distributed is a folder"):
        remote.kept(URL, shared=True).__enter__()
