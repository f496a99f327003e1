"""Where the package keeps what it can make again, and writing a file so that it is there whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs

from jaxopt_study.errors import EnvironmentFault, InputError


def cache_folder() -> Path:
    """The user's folder for compiled programs, decoded pictures and measured times: ~/.cache/jaxopt_study on Linux.

    ``XDG_CACHE_HOME`` takes the place of ~/.cache. Whatever lies there may be deleted at any time.
    """
    return platformdirs.user_cache_path("jaxopt_study")


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets ``write`` fill a temporary file in a folder beside ``path``, syncs it and renames it.

    Raises:
        EnvironmentFault: the folder cannot be written or the disk is full; nothing is left behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
            temporary = Path(folder, f".{path.name}")  # a hidden name: what mirrors the folder leaves it alone
            write(temporary)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {reason(error)}") from error


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
