"""Where the package keeps what it can make again, and writing a file so that it is there whole or not at all."""

import atexit
import contextlib
import errno
import functools
import itertools
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs
import psutil

from jaxopt_study.errors import EnvironmentFault, InputError

_ABANDONED_S = 24 * 3600.0
"""After which the temporary folder of another machine's process is taken for left behind."""


def cache_folder() -> Path:
    """The user's folder for compiled programs, decoded pictures and measured times: ~/.cache/jaxopt_study on Linux.

    ``XDG_CACHE_HOME`` takes the place of ~/.cache. Whatever lies there may be deleted at any time. Of a user without a
    home, as containers have them, nothing is kept: the folder goes with the process.
    """
    with contextlib.suppress(RuntimeError):  # no home; an older platformdirs gives a relative path
        folder = platformdirs.user_cache_path("jaxopt_study")
        if folder.is_absolute():
            return folder
    return _passing_folder()


@functools.cache
def _passing_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="jaxopt_study-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets ``write`` fill a temporary file in a folder beside ``path``, syncs it and renames it.

    Raises:
        EnvironmentFault: the folder cannot be written or the disk is full; nothing is left behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(path.parent) as folder:
            write(temporary := folder / path.name)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {reason(error)}") from error


@contextlib.contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder in ``parent`` while the context lasts, hidden from what reads there; a killed process leaves it."""
    folder = parent / f".building-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Removes the temporary folders in ``parent`` whose processes were killed."""
    for left in parent.glob(".building-*"):
        with contextlib.suppress(OSError):  # another process may be removing it too
            if _is_abandoned(left.name, left.stat().st_mtime):
                shutil.rmtree(left, ignore_errors=True)


def _is_abandoned(name: str, since: float) -> bool:
    made = re.fullmatch(r"\.building-(.+)-(\d+)-\w+", name)
    if made is None or made[1] != socket.gethostname():
        return time.time() - since > _ABANDONED_S
    try:
        process = psutil.Process(int(made[2]))
        anew = float(process.create_time()) > since + 1  # a younger process has been given the number
        return anew or str(process.status()) == psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, OverflowError):
        return True


def set_aside(path: Path, workdir: Path) -> Path:
    """Moves what is damaged to WORKDIR/damaged/NAME.damaged, or .damaged-2 and so on: it may be of use to somebody.

    Not beside the others, since what reads a folder of Parquet files reads all that it holds.

    Returns:
        The new path.

    Raises:
        EnvironmentFault: it cannot be moved.
    """
    names = (workdir / "damaged" / f"{path.name}.damaged{f'-{n}' if n > 1 else ''}" for n in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    try:
        aside.parent.mkdir(exist_ok=True)
        return path.rename(aside)
    except OSError as error:
        raise EnvironmentFault(f"{path} is damaged and cannot be moved to {aside}: {reason(error)}") from error


def write_text(path: Path, text: str) -> None:
    """Writes text atomically, in UTF-8."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def reason(error: OSError) -> str:
    """Why, in the system's words; a full disk said plainly."""
    return "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))


def path_of(name: str, text: str) -> Path:
    """A path as a person gives it, its ``~`` filled in; InputError, under this name: it can be no path here."""
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:  # no such user, or a user without a home
        raise InputError(name, text, f"allowed is a path; {error}") from None
    if "\0" in text or not is_utf8(text):
        raise InputError(name, ascii(text)[1:-1], "allowed is a path in UTF-8 and without zeros")
    return path


def is_utf8(text: str) -> bool:
    """Whether it can be written; names of files may hold other bytes, which Python carries along as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
