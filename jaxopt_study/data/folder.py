"""The user's own pictures: PATH/CLASS/.., of every kind that Pillow reads, in subfolders of a class too."""

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxopt_study import files
from jaxopt_study.data import broken, pictures
from jaxopt_study.data.cache import Allocate, Decode, Decoded
from jaxopt_study.data.dataset import choose_classes
from jaxopt_study.errors import InputError

PARTS = {"train", "training"}, {"val", "valid", "validation", "test", "testing", "dev", "eval"}
"""Names of folders, one of each, that are not taken for classes: the split is made here."""
_CHANNELS = 3
_NAMED = 10


def open_folder(
    path: Path, image_size: int | None, classes: Sequence[str] | None, *, leave_out_broken: bool, progress: bool
) -> tuple[dict[str, object], Decode]:
    """The pictures [N, S, S, 3] below a folder, by its subfolders: their key in the cache, and what decodes them.

    Grey pictures become RGB, transparency is dropped, orientation marks of cameras are obeyed, hidden names ignored.
    Other files are left out with a warning that counts them. The arguments are those of `load`; only the chosen classes
    are read.

    Raises:
        InputError: no such folder, no classes, a class without pictures or with one only, unreadable pictures.
    """
    size = image_size or pictures.DEFAULT_SIZE
    try:
        members = _list(path, classes)
        chosen = [file for group in members.values() for file in group]
        key = pictures.cache_key("folder", path, chosen, size)
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror}: {error.filename})") from error
    labels = np.repeat(np.arange(len(members), dtype=np.int32), [len(group) for group in members.values()])

    def decode(allocate: Allocate) -> Decoded:
        images = allocate((len(chosen), size, size, _CHANNELS))
        unreadable: dict[int, str] = {}

        def work(chunk: range) -> None:
            for i in chunk:
                try:
                    images[i] = pictures.decode(chosen[i], size, size, _CHANNELS)
                except pictures.UnreadableImage as error:
                    unreadable[i] = f"{chosen[i]} ({error})"

        pictures.in_threads(len(chosen), work, title=f"Decoding {path.resolve().name}", progress=progress)
        if not unreadable:
            return Decoded(images, labels, tuple(members), 0)
        names = [unreadable[i] for i in sorted(unreadable)]
        told = broken.told(unreadable, len(chosen), names)
        if not leave_out_broken:
            raise _refused(path, told)
        kept = [i for i in range(len(chosen)) if i not in unreadable]
        _check_counts(path, dict(zip(members, np.bincount(labels[kept], minlength=len(members)), strict=True)), told)
        images, _ = broken.others(images, unreadable, allocate)
        left_out = tuple(str(chosen[i].relative_to(path)) for i in sorted(unreadable))
        return Decoded(images, labels[kept], tuple(members), 0, left_out)

    return key, decode


def _list(path: Path, classes: Sequence[str] | None) -> dict[str, list[Path]]:
    """Class name -> its pictures, both sorted; warns of files that are none."""
    if not path.is_dir():
        raise _refused(path, "must be an existing folder with one subfolder a class")
    visible = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    names = sorted(entry.name for entry in visible if entry.is_dir())
    if not set(classes or ("all",)) <= set(names):
        _refuse_parts(path, names)
    if len(names) < 2:
        only = f"one only, {names[0]!r}" if names else "none"
        raise _refused(path, f"must hold at least two subfolders, one a class; found {only}")
    members: dict[str, list[Path]] = {name: [] for name in sorted(choose_classes(names, classes))}
    left = [entry for entry in visible if _is_picture(entry) and entry.is_file()]
    for name, pictures_of in members.items():
        if not files.is_utf8(name):
            raise _refused(path, f"class {name!a} has a name that is not UTF-8")
        for file in _files(path / name):
            (pictures_of if _is_picture(file) else left).append(file)
        pictures_of.sort()
    _check_counts(path, {name: len(found) for name, found in members.items()}, _counted(left) if left else "")
    if left:
        warnings.warn(f"folder:{path}: {_counted(left)}", stacklevel=2)
    return members


def _check_counts(path: Path, counts: Mapping[str, int], left_out: str) -> None:
    """Refuses a class with fewer than two pictures, which cannot be split; with what is left out, if anything."""
    for name, count in counts.items():
        if count < 2:
            what = "one picture, at least two are needed to split it" if count else "no picture"
            raise _refused(path, f"class {name!r} has {what}" + (f"; {left_out}" if left_out else ""))


def _refuse_parts(path: Path, names: Sequence[str]) -> None:
    parts = [[name for name in names if name.lower() in of] for of in PARTS]
    if all(parts):
        listed = " and ".join(parts[0] + parts[1])
        allowed = f"allowed is the folder of the classes alone, such as folder:{path / parts[0][0]}; it is split here"
        raise _refused(path, f"{listed} are parts of a data set and no classes, {allowed}")


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in pictures.suffixes()


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder that are not hidden; links are followed, each folder once."""
    seen = set()

    def fail(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, followlinks=True, onerror=fail):
        known = os.stat(place)
        fresh = (known.st_dev, known.st_ino) not in seen
        seen.add((known.st_dev, known.st_ino))
        folders[:] = sorted(name for name in folders if fresh and not name.startswith("."))
        visible = (Path(place, name) for name in names if fresh and not name.startswith("."))
        yield from (file for file in visible if file.is_file())


def _counted(left: Sequence[Path]) -> str:
    """How many files are left out, by suffix: ``3 files are left out: .txt 2, no suffix 1``."""
    suffixes = Counter(ascii(file.suffix.lower())[1:-1] or "no suffix" for file in left)
    listed = [f"{suffix} {count}" for suffix, count in sorted(suffixes.items(), key=lambda item: (-item[1], item[0]))]
    more = [f"{len(listed) - _NAMED} other suffixes"] if len(listed) > _NAMED else []
    return f"{len(left)} {'file is' if len(left) == 1 else 'files are'} left out: {', '.join(listed[:_NAMED] + more)}"


def _refused(path: Path, allowed: str) -> InputError:
    return InputError("--dataset", f"folder:{path}", allowed)
