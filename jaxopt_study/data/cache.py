"""Decoded pictures on disk: memory-mapped when they are wanted again, never stale, safe to delete at any time.

An entry is a folder named by a hash of all that its pixels depend on, holding images.npy, labels.npy and meta.json. It
is built beside its place and renamed into it when complete, so a reader sees a whole entry or none, and where two
processes build the same one, the first to end publishes it. Reading checks the digest of the pixels, at the speed of
memory, since a file that was cut or changed must not become a result.
"""

import contextlib
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxopt_study.data.dataset import Images, Labels, digest_of
from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.files import sweep, temporary_folder


class Decoded(NamedTuple):
    """All pictures of a source, in its own order."""

    images: Images  # [N, H, W, K]
    labels: Labels  # [N]
    classes: tuple[str, ...]
    train_count: int  # how many of the first belong to training by the source's own split, 0 where it has none
    left_out: tuple[str, ...] = ()  # names of pictures that cannot be read and are not among these


Allocate = Callable[[tuple[int, int, int, int]], Images]
Decode = Callable[[Allocate], Decoded]  # fills the array [N, H, W, K] that it lets allocate


class _Unusable(Exception):
    """The cache cannot be written; the message says why."""


def through_cache(folder: Path, key: Mapping[str, Any], decode: Decode) -> tuple[Decoded, str]:
    """What ``decode`` gives, from the cache where it is there.

    Args:
        folder: of the cache; created when needed. Where it cannot be written, a warning, and all stays in memory.
        key: all that the result depends on, as JSON values, the list "files" among them.
        decode: called where there is no such entry.

    Returns:
        The pictures, images mapped read-only where they are on disk, and the digest of their pixels.

    Raises:
        EnvironmentFault: neither the cache nor the memory has room.
        What ``decode`` raises; nothing half-built is left.
    """
    entry = folder / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    sweep(folder)
    cached = _read(entry)
    if cached is not None:
        return cached
    try:
        return _build(entry, key, decode)
    except _Unusable as reason:
        warnings.warn(f"decoded images are not kept: {reason}", RuntimeWarning, stacklevel=2)
    decoded = decode(_allocate_in_memory)
    return decoded, digest_of(decoded.images)


def _read(entry: Path) -> tuple[Decoded, str] | None:
    """The entry, or None where it is missing or damaged in any way."""
    try:
        meta = json.loads((entry / "meta.json").read_text())
        images = np.load(entry / "images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(entry / "labels.npy", allow_pickle=False)
        left_out = tuple(meta.get("left_out", ()))
        decoded = Decoded(images, labels, tuple(meta["classes"]), int(meta["train_count"]), left_out)
        whole = images.dtype == np.uint8 and images.ndim == 4 and digest_of(images) == meta["digest"]
        whole = whole and _seal(decoded, meta["digest"]) == meta["seal"]
    except Exception:  # NumPy, zip files and JSON raise many kinds for a damaged file
        return None
    return (decoded, meta["digest"]) if whole else None


def _build(entry: Path, key: Mapping[str, Any], decode: Decode) -> tuple[Decoded, str]:
    with contextlib.ExitStack() as stack:
        with _writing():
            entry.parent.mkdir(parents=True, exist_ok=True)
            # Where publishing was not needed or not possible the mapped file lives on without a name until it is
            # closed.
            building = stack.enter_context(temporary_folder(entry.parent))
        decoded = decode(lambda shape: _allocate(building / "images.npy", shape))
        digest = digest_of(decoded.images)
        meta = {
            "key": {name: value for name, value in key.items() if name != "files"},
            "classes": decoded.classes,
            "train_count": decoded.train_count,
            "left_out": decoded.left_out,
            "digest": digest,
            "seal": _seal(decoded, digest),
        }
        with _writing():  # without fsync, since reading would see what a crash took
            np.save(building / "labels.npy", decoded.labels, allow_pickle=False)
            (building / "meta.json").write_text(json.dumps(meta, indent=1))
            if isinstance(decoded.images, np.memmap):
                decoded.images.flush()  # tells of a quota or a disk that gave way
            images: Images = np.load(building / "images.npy", mmap_mode="r", allow_pickle=False)
        _publish(building, entry)
        return decoded._replace(images=images), digest


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except (OSError, OverflowError) as error:
        text, file = getattr(error, "strerror", None) or str(error), getattr(error, "filename", None)
        raise _Unusable(f"{text} ({file})" if file else text) from error


@_writing()
def _allocate(file: Path, shape: tuple[int, int, int, int]) -> Images:
    """A file of this shape, its space reserved: writing to a map on a full disk would kill the process."""
    file.unlink(missing_ok=True)  # what maps an earlier one keeps it
    images = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with open(file, "r+b") as reserved:
            os.posix_fallocate(reserved.fileno(), 0, os.path.getsize(file))
    return images


def _allocate_in_memory(shape: tuple[int, int, int, int]) -> Images:
    try:
        return np.empty(shape, np.uint8)
    except (MemoryError, ValueError) as error:
        raise EnvironmentFault(f"no memory for images of shape {shape}, {np.prod(shape, dtype=float):.2g} B") from error


def _publish(building: Path, entry: Path) -> None:
    try:
        os.rename(building, entry)
    except OSError:
        if _read(entry) is not None:  # another process was faster
            return
        with contextlib.suppress(OSError):
            os.rename(entry, building / "damaged")
            os.rename(building, entry)
            (entry / "damaged").unlink() if (entry / "damaged").is_file() else shutil.rmtree(entry / "damaged")


def _seal(decoded: Decoded, digest: str) -> str:
    parts = [digest, decoded.labels.dtype.str, decoded.labels.tobytes(), list(decoded.classes), decoded.train_count]
    parts += [list(decoded.left_out)] if decoded.left_out else []  # entries without it are from before there was any
    return hashlib.sha256(repr(tuple(parts)).encode()).hexdigest()
