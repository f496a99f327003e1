"""Where the package keeps what it can make again, and writing a file so that it is there whole or not at all."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs

from jaxopt_study.errors import EnvironmentFault


def cache_folder() -> Path:
    """The user's folder for compiled programs, decoded pictures and measured times: ~/.cache/jaxopt_study on Linux.

    An absolute ``XDG_CACHE_HOME`` takes the place of ~/.cache. Whatever lies there may be deleted at any time.
    """
    return platformdirs.user_cache_path("jaxopt_study")


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Lets ``write`` fill a temporary file beside ``path``, syncs it and renames it.

    Raises:
        EnvironmentFault: the folder cannot be written or the disk is full; nothing is left behind.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
        os.close(descriptor)
        temporary = Path(name)
        write(temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {reason(error)}") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Writes text atomically, in UTF-8."""
    write_atomically(path, lambda temporary: void(temporary.write_text(text, encoding="utf-8")))


def void(_: object) -> None:
    """Drops a result."""


def reason(error: OSError) -> str:
    """Why, in the system's words; a full disk said plainly."""
    return "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))
