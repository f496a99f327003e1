"""The user's own pictures: PATH/CLASS/*.jpg, *.jpeg, *.png."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxopt_study.data import pictures
from jaxopt_study.data.cache import Allocate, Decode, Decoded
from jaxopt_study.data.dataset import choose_classes
from jaxopt_study.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png")
_CHANNELS = 3


def open_folder(
    path: Path, image_size: int | None, classes: Sequence[str] | None, *, progress: bool
) -> tuple[dict[str, object], Decode]:
    """The pictures [N, S, S, 3] below a folder, by its subfolders: their key in the cache, and what decodes them.

    Grey pictures become RGB, transparency is dropped, orientation marks of cameras are obeyed, hidden names ignored.
    The arguments are those of `load`; only the chosen classes are read.

    Raises:
        InputError: no such folder, no classes, a class without pictures or with one only, an unreadable picture.
    """
    size = image_size or pictures.DEFAULT_SIZE
    try:
        members = _list(path, classes)
        files = [file for group in members.values() for file in group]
        key = pictures.cache_key("folder", path, files, size)
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror}: {error.filename})") from error
    labels = np.repeat(np.arange(len(members), dtype=np.int32), [len(group) for group in members.values()])

    def decode(allocate: Allocate) -> Decoded:
        images = allocate((len(files), size, size, _CHANNELS))

        def work(chunk: range) -> None:
            for i in chunk:
                try:
                    images[i] = pictures.decode(files[i], size, size, _CHANNELS)
                except pictures.UnreadableImage as error:
                    raise _refused(path, f"cannot read image {files[i]} ({error})") from error

        pictures.in_threads(len(files), work, title=f"Decoding {path.resolve().name}", progress=progress)
        return Decoded(images, labels, tuple(members), 0)

    return key, decode


def _list(path: Path, classes: Sequence[str] | None) -> dict[str, list[Path]]:
    """Class name -> its files, both sorted."""
    if not path.is_dir():
        raise _refused(path, "must be an existing folder with one subfolder a class")
    names = sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(names) < 2:
        only = f"one only, {names[0]!r}" if names else "none"
        raise _refused(path, f"must hold at least two subfolders, one a class; found {only}")
    members = {name: _pictures(path / name) for name in sorted(choose_classes(names, classes))}
    for name, files in members.items():
        if not files:
            raise _refused(path, f"class {name!r} has no {', '.join(SUFFIXES)} image")
        if len(files) < 2:
            raise _refused(path, f"class {name!r} has one image, at least two are needed to split it")
    return members


def _pictures(folder: Path) -> list[Path]:
    visible = (file for file in folder.iterdir() if not file.name.startswith("."))
    return sorted(file for file in visible if file.suffix.lower() in SUFFIXES and file.is_file())


def _refused(path: Path, allowed: str) -> InputError:
    return InputError("--dataset", f"folder:{path}", allowed)
