import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jaxopt_study.data.cache import Allocate, Decoded, through_cache
from jaxopt_study.errors import EnvironmentFault

KEY = {"source": "test", "image_size": 4}
SHAPE = (6, 4, 4, 3)


class Decoder:
    """Fills the array with one value and counts how often it was asked to."""

    def __init__(self, value: int = 7) -> None:
        self.value = value
        self.calls = 0

    def __call__(self, allocate: Allocate) -> Decoded:
        self.calls += 1
        images = allocate(SHAPE)
        images[:] = self.value
        return Decoded(images, np.arange(6, dtype=np.int32) % 2, ("a", "b"), 5)


def _entry(folder: Path) -> Path:
    (entry,) = folder.iterdir()
    return entry


def test_second_time_nothing_is_decoded(tmp_path: Path) -> None:
    decode = Decoder()
    first, first_digest = through_cache(tmp_path, KEY, decode)
    second, second_digest = through_cache(tmp_path, KEY, decode)
    assert decode.calls == 1
    assert first_digest == second_digest
    for decoded in (first, second):
        assert isinstance(decoded.images, np.memmap)
        assert not decoded.images.flags.writeable
        assert np.array_equal(decoded.images, np.full(SHAPE, 7))
        assert decoded.labels.tolist() == [0, 1, 0, 1, 0, 1]
        assert decoded[2:] == (("a", "b"), 5, ())


def test_another_key_is_another_entry(tmp_path: Path) -> None:
    through_cache(tmp_path, KEY, Decoder(1))
    other, _ = through_cache(tmp_path, {**KEY, "image_size": 5}, Decoder(2))
    assert (other.images == 2).all()


def _cut(entry: Path) -> None:
    os.truncate(entry / "images.npy", 200)


def _empty(entry: Path) -> None:
    (entry / "images.npy").write_bytes(b"")


def _flip(entry: Path) -> None:
    content = bytearray((entry / "images.npy").read_bytes())
    content[-1] ^= 1
    (entry / "images.npy").write_bytes(content)


def _relabel(entry: Path) -> None:
    np.save(entry / "labels.npy", np.zeros(6, np.int32))


def _garble(entry: Path) -> None:
    (entry / "meta.json").write_text("{")


def _other_json(entry: Path) -> None:
    (entry / "meta.json").write_text("[]")


def _rename_class(entry: Path) -> None:
    meta = json.loads((entry / "meta.json").read_text())
    (entry / "meta.json").write_text(json.dumps({**meta, "classes": ["b", "a"]}))


def _lose(entry: Path) -> None:
    (entry / "labels.npy").unlink()


def _pickled(entry: Path) -> None:
    np.save(entry / "labels.npy", np.array([{}]), allow_pickle=True)


@pytest.mark.parametrize(
    "damage", [_cut, _empty, _flip, _relabel, _garble, _other_json, _rename_class, _lose, _pickled]
)
def test_a_damaged_entry_is_rebuilt(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    decode = Decoder()
    through_cache(tmp_path, KEY, decode)
    damage(_entry(tmp_path))
    for _ in range(2):
        decoded, _ = through_cache(tmp_path, KEY, decode)
        assert (decoded.images == 7).all()
        assert decoded.labels.tolist() == [0, 1, 0, 1, 0, 1]
        assert decoded.classes == ("a", "b")
    assert decode.calls == 2
    assert sorted(file.name for file in _entry(tmp_path).iterdir()) == ["images.npy", "labels.npy", "meta.json"]


def test_whatever_becomes_of_an_entrys_files_the_pictures_are_those_that_were_decoded(tmp_path: Path) -> None:
    rng, decode = random.Random(0), Decoder()
    through_cache(tmp_path, KEY, decode)
    for turn in range(120):
        path = rng.choice(sorted(_entry(tmp_path).iterdir()))
        content = bytearray(path.read_bytes())
        at = rng.randrange(len(content) if path.suffix == ".json" else 96)  # the header
        content[at : at + 1] = [b"", bytes([content[at] ^ 1 << turn % 8]), b"PK\x03\x04", b"(" * 5000][turn % 4]
        path.write_bytes(content)
        if turn % 40 == 39:
            path.unlink()
            path.mkdir()
        decoded, _ = through_cache(tmp_path, KEY, decode)
        assert (decoded.images == 7).all()
        assert (decoded.labels.tolist(), *decoded[2:]) == ([0, 1, 0, 1, 0, 1], ("a", "b"), 5, ())
    assert decode.calls > 80


def test_an_entry_that_is_a_file_is_replaced(tmp_path: Path) -> None:
    through_cache(tmp_path, KEY, Decoder())
    entry = _entry(tmp_path)
    shutil.rmtree(entry)
    entry.write_text("in the way")
    through_cache(tmp_path, KEY, Decoder())
    decode = Decoder()
    through_cache(tmp_path, KEY, decode)
    assert decode.calls == 0
    assert len(list(entry.iterdir())) == 3


KILLED_WHILE_DECODING = """
import os, signal, sys
from pathlib import Path
from jaxopt_study.data.cache import through_cache
def decode(allocate):
    allocate((6, 4, 4, 3))
    os.kill(os.getpid(), signal.SIGKILL)
through_cache(Path(sys.argv[1]), {}, decode)
"""


def test_what_a_killed_process_had_half_built_goes_with_the_next_start(tmp_path: Path) -> None:
    through_cache(tmp_path, KEY, Decoder())
    subprocess.run([sys.executable, "-c", KILLED_WHILE_DECODING, tmp_path], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    through_cache(tmp_path, KEY, Decoder())
    assert len(list(tmp_path.iterdir())) == 1


def test_a_failed_decode_leaves_nothing(tmp_path: Path) -> None:
    def fail(allocate: Allocate) -> Decoded:
        allocate(SHAPE)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        through_cache(tmp_path, KEY, fail)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_cache_warns_and_decodes_to_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(RuntimeWarning, match="decoded images are not kept: Not a directory"):
        decoded, digest = through_cache(tmp_path / "file" / "cache", KEY, Decoder())
    assert (decoded.images == 7).all()
    assert digest == through_cache(tmp_path / "good", KEY, Decoder())[1]


def test_a_full_disk_warns_and_decodes_to_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.warns(RuntimeWarning, match="not kept: No space left on device"):
        decoded, _ = through_cache(tmp_path, KEY, Decoder())
    assert (decoded.images == 7).all()
    assert list(tmp_path.iterdir()) == []


def test_no_room_anywhere_is_a_fault_of_the_environment(tmp_path: Path) -> None:
    def enormous(allocate: Allocate) -> Decoded:
        return Decoder()(lambda _: allocate((10**6, 10**6, 10**6, 3)))

    with (
        pytest.warns(RuntimeWarning, match="not kept"),
        pytest.raises(EnvironmentFault, match=r"^no memory for images of shape .* 3e\+18 B$"),
    ):
        through_cache(tmp_path, KEY, enormous)


def test_leftovers_of_killed_processes_are_swept_and_those_under_way_are_not(tmp_path: Path) -> None:
    for name in (".building-old", ".building-new"):
        (tmp_path / name).mkdir()
    long_ago = time.time() - 48 * 3600
    os.utime(tmp_path / ".building-old", (long_ago, long_ago))
    through_cache(tmp_path, KEY, Decoder())
    assert not (tmp_path / ".building-old").exists()
    assert (tmp_path / ".building-new").exists()


def _race(folder: Path, barrier: "multiprocessing.synchronize.Barrier", rounds: int) -> None:
    def decode(allocate: Allocate) -> Decoded:
        images = allocate(SHAPE)
        for i in range(len(images)):
            images[i] = 7
            time.sleep(0.001)
        return Decoded(images, np.zeros(6, np.int32), ("a", "b"), 5)

    for turn in range(rounds):
        barrier.wait(30)
        for _ in range(3):
            decoded, _ = through_cache(folder, {**KEY, "turn": turn}, decode)
            assert (decoded.images == 7).all()
        if turn % 2:
            with open(next(folder.glob("*/meta.json")), "w") as meta:
                meta.write("{")


def test_processes_that_build_one_entry_at_once_all_get_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")  # forking a process with JAX's threads in it may hang
    barrier = context.Barrier(3)
    processes = [context.Process(target=_race, args=(tmp_path, barrier, 8)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert list(tmp_path.glob(".building-*")) == []
    assert len(list(tmp_path.iterdir())) == 8


def test_of_two_builders_the_first_to_end_publishes(tmp_path: Path) -> None:
    inner = Decoder()

    def outer(allocate: Allocate) -> Decoded:
        decoded = Decoder()(allocate)
        through_cache(tmp_path, KEY, inner)  # another process meanwhile
        return decoded

    decoded, _ = through_cache(tmp_path, KEY, outer)
    assert inner.calls == 1
    assert (decoded.images == 7).all()
    assert sorted(file.name for file in _entry(tmp_path).iterdir()) == ["images.npy", "labels.npy", "meta.json"]
