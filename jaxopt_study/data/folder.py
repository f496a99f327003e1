"""The user's own pictures: PATH/CLASS/*.jpg, *.jpeg, *.png."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxopt_study.data import decode
from jaxopt_study.data.cache import Allocate, Decoded, through_cache
from jaxopt_study.data.dataset import Source, choose_classes
from jaxopt_study.data.split import stratified_split
from jaxopt_study.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png")
DEFAULT_SIZE = 128  # the article's
_CHANNELS = 3


def read_folder(
    path: Path, *, image_size: int, cache_dir: Path, classes: Sequence[str] | None, split_seed: int, progress: bool
) -> Source:
    """The pictures [N, S, S, 3] below a folder, their classes being its subfolders in the order of their names.

    Grey pictures become RGB, transparency is dropped, orientation marks of cameras are obeyed, hidden names ignored.

    Args:
      path: The folder.
      image_size: S.
      cache_dir: Of the decoded pictures.
      classes: Those to read; None or ("all",) reads all.
      split_seed: Of the stratified 80/20 split.
      progress: Whether to show a bar while decoding.

    Raises:
      InputError: no such folder, no classes, a class without pictures or with one only, an unreadable picture.
    """
    members = _list(path, classes)
    files = [file for name in members for file in members[name]]
    labels = np.repeat(np.arange(len(members), dtype=np.int32), [len(members[name]) for name in members])
    key = {"source": "folder", "path": str(path.resolve()), "files": _stamps(path, files), **decode.key(image_size)}

    def build(allocate: Allocate) -> Decoded:
        images = allocate((len(files), image_size, image_size, _CHANNELS))

        def work(chunk: range) -> None:
            for i in chunk:
                try:
                    images[i] = decode.pixels(files[i], _CHANNELS, image_size, image_size)
                except decode.UnreadableImage as error:
                    raise _refused(path, f"cannot read image {files[i]} ({error})") from error

        decode.in_threads(len(files), work, title=f"Decoding {path.resolve().name}", progress=progress)
        return Decoded(images, labels, tuple(members), 0)

    decoded, digest = through_cache(cache_dir, key, build)
    train, val = stratified_split(decoded.labels, split_seed)
    return Source(decoded.images, decoded.labels, decoded.classes, train, val, digest)


def _list(path: Path, classes: Sequence[str] | None) -> dict[str, list[Path]]:
    """Class name -> its files, both sorted."""
    try:
        if not path.is_dir():
            raise _refused(path, "must be an existing folder with one subfolder a class")
        names = sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        if len(names) < 2:
            found = f"one only, {names[0]!r}" if names else "none"
            raise _refused(path, f"must hold at least two subfolders, one a class; found {found}")
        chosen = sorted(choose_classes(names, classes))
        members = {name: _pictures(path / name) for name in chosen}
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror})") from error
    for name, files in members.items():
        if not files:
            raise _refused(path, f"class {name!r} has no {', '.join(SUFFIXES)} image")
        if len(files) < 2:
            raise _refused(path, f"class {name!r} has one image, at least two are needed to split it")
    return members


def _stamps(path: Path, files: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Of each file its name below the path, size in bytes and time of change in ns."""
    try:
        status = [file.stat() for file in files]
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror}: {error.filename})") from error
    return [(str(file.relative_to(path)), of.st_size, of.st_mtime_ns) for file, of in zip(files, status, strict=True)]


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    )


def _refused(path: Path, allowed: str) -> InputError:
    return InputError("--dataset", f"folder:{path}", allowed)
